package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// smallBallastFrom makes stores of a test have a ballast.
const smallBallastFrom = 1 << 20

// newBallastScript is one of a store that soon has a ballast.
// Its log stays in one segment: the next would have space set aside for it.
func newBallastScript(fsys vfs.FS, mode SyncMode, h *history, rng *rand.Rand) *script {
	sc := newScript(fsys, mode, h, rng)
	sc.tune = func(o *Options) {
		o.ballastFrom = smallBallastFrom
		o.SegmentBytes = 16 << 20
	}
	return sc
}

// fullScript is one of a store with its ballast, on a disk that is full, whose
// first puts were of small values. The background is halted: it makes room now
// and then.
func fullScript(t *testing.T, mem *vfs.Mem, fsys vfs.FS, mode SyncMode, small int) *script {
	t.Helper()
	mem.SetCapacity(8 << 20)
	sc := newBallastScript(fsys, mode, newHistory(), rand.New(rand.NewPCG(testSeed(t), 7)))
	if err := sc.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sc.resume()
		_ = sc.s.Close()
	})
	for i := 0; i < small || sc.s.written() <= smallBallastFrom; i++ {
		if err := sc.step(sc.put(smallKey(i), 300)); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 { // or more than the disk has room for may wait in memory
			if err := sc.sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	sc.fillUpHalted(t)
	return sc
}

func (sc *script) fillUpHalted(t *testing.T) {
	t.Helper()
	sc.s.background.wake()
	await(t, "the ballast", func() bool { return sc.s.ballast.state.Load() == ballastHeld })
	sc.s.background.halt()
	sc.fillUp(t)
}

// haltBackground keeps the background from tending the ballast until resume.
func haltBackground(s *Store) (resume func()) {
	s.background.halt()
	return func() {
		s.background.halting.Store(false)
		s.background.start(s)
	}
}

// resume starts the background again.
func (sc *script) resume() {
	if sc.s.background.halting.CompareAndSwap(true, false) && !sc.s.closed.Load() {
		sc.s.background.start(sc.s)
	}
}

func smallKey(i int) string { return fmt.Sprintf("small%05d", i) }

// fillUp puts until not even the smallest value fits.
func (sc *script) fillUp(t *testing.T) {
	t.Helper()
	n := 0
	for _, size := range []int{largeFrom + 10<<10, 9000, 10} {
		for {
			before := n
			for sc.refused(t, sc.put(fmt.Sprintf("fill%06d", n), size)) == nil {
				n++
			}
			// What is in memory fits on the disk.
			if err := sc.sync(); err != nil {
				t.Fatalf("sync on a full disk: %v", err)
			}
			if n == before {
				break
			}
		}
	}
}

// refused does a step and returns its error, which has to be of a full disk and
// must not have changed anything; or nil.
func (sc *script) refused(t *testing.T, writes ...modelWrite) error {
	t.Helper()
	least := sc.durable
	err := sc.step(writes...)
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrNoSpace) {
		t.Fatalf("on a full disk: %v", err)
	}
	sc.h.undo()
	sc.durable, sc.begun = least, sc.h.len()
	for _, w := range writes {
		if err := checkPair(sc.ctx, sc.s, sc.h, w.key); err != nil {
			t.Fatalf("after a put that was refused: %v", err)
		}
	}
	return err
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("no end of waiting for %s", what)
		}
	}
}

// wantBallast checks whether the file is there, with space of its own.
func wantBallast(t *testing.T, mem *vfs.Mem, want bool) {
	t.Helper()
	info, err := mem.Stat(memDir + "/" + ballastName)
	switch {
	case !want && !errors.Is(err, fs.ErrNotExist):
		t.Fatalf("there is a ballast: %+v, %v", info, err)
	case want && (err != nil || info.Size != ballastSize || info.Allocated < ballastSize):
		t.Fatalf("the ballast: %+v, %v", info, err)
	}
}

// putsWork puts until that is as it should be: without SyncAlways, the first puts
// may still be told of the full disk.
func (sc *script) putsWork(t *testing.T) {
	t.Helper()
	for _, writes := range [][]modelWrite{
		{sc.put("works", 5000)},
		{sc.put("works too", 50_000), sc.put("works as well", 10)},
	} {
		await(t, "a put", func() bool {
			err := sc.refused(t, writes...)
			if err != nil && sc.mode == SyncAlways {
				t.Fatalf("a put though there is room: %v", err)
			}
			return err == nil
		})
	}
	if err := sc.sync(); err != nil {
		t.Fatal(err)
	}
}

// crashed opens what a power loss leaves now: all that the script did.
func (sc *script) crashed(t *testing.T, mem *vfs.Mem) *script {
	t.Helper()
	after := newBallastScript(mem.Crash(sc.rng), sc.mode, sc.h.clone(), sc.rng)
	if err := after.recover(&crashPoint{least: sc.durable, most: sc.begun}); err != nil {
		t.Fatalf("after a power loss: %v", err)
	}
	t.Cleanup(func() { _ = after.s.Close() })
	return after
}

// TestBallastFullDisk deletes thousands of keys on a full disk, one by one and in
// batches, while puts are refused; then makes room.
func TestBallastFullDisk(t *testing.T) {
	const deletes = 4000
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			mem := vfs.NewMem()
			sc := fullScript(t, mem, mem, mode.mode, deletes)
			for i := range deletes {
				var err error
				if i < deletes-100 {
					err = sc.step(modelWrite{key: smallKey(i)})
				} else if i%10 == 9 {
					var batch []modelWrite
					for j := range 10 {
						batch = append(batch, modelWrite{key: smallKey(i - j)})
					}
					err = sc.step(batch...)
				}
				if err != nil {
					t.Fatalf("delete %d: %v", i, err)
				}
				if i%500 == 499 && sc.s.ballast.missing() {
					sc.resume() // it puts off what it has to do
					sc.wantRefusal(t)
				}
			}
			if err := sc.sync(); err != nil {
				t.Fatal(err)
			}
			sc.wantRefusal(t)
			wantBallast(t, mem, false)
			if err := checkContents(sc.ctx, sc.s, sc.h); err != nil {
				t.Fatal(err)
			}

			after := sc.crashed(t, mem)
			if after.s.ballast.missing() { // a crash may make room: it loses preallocations
				after.wantRefusal(t)
			}
			for i := range 100 {
				if err := after.step(modelWrite{key: fmt.Sprintf("fill%06d", i)}); err != nil {
					t.Fatalf("delete %d after a crash: %v", i, err)
				}
			}
			if err := after.close(); err != nil {
				t.Fatal(err)
			}

			sc.resume()
			mem.SetCapacity(32 << 20)
			sc.putsWork(t)
			wantBallast(t, mem, true)
			if err := checkContents(sc.ctx, sc.s, sc.h); err != nil {
				t.Fatal(err)
			}
			if err := checkVerify(sc.ctx, sc.s); err != nil {
				t.Fatal(err)
			}
			if err := sc.close(); err != nil {
				t.Fatal(err)
			}
			wantBallast(t, mem, true)
			if err := sc.crashed(t, mem).close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	checkNothingRuns(t)
}

// wantRefusal tries puts of all kinds. The ballast has been given up.
func (sc *script) wantRefusal(t *testing.T) {
	t.Helper()
	for _, writes := range [][]modelWrite{
		{sc.put("new", 10)},
		{sc.put(smallKey(1), 10)},
		{sc.put("large", largeFrom)},
		{sc.put("new", 10), {key: "fill000001"}},
		{sc.put("large", largeFrom), sc.put("new", 10)},
	} {
		if err := sc.refused(t, writes...); err == nil {
			t.Fatalf("a put of %q on a full disk", writes[0].key)
		}
	}
	err := sc.s.PutReader(sc.ctx, "stream", bytes.NewReader(make([]byte, 1<<20)), nil)
	if !errors.Is(err, ErrNoSpace) {
		t.Fatalf("a stream on a full disk: %v", err)
	}
}

// TestBallastUnderConcurrency deletes while others put as much as they can: what
// they have under way must not take what is given up for the deletes.
func TestBallastUnderConcurrency(t *testing.T) {
	const deleters, putters, each = 4, 6, 500
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			mem := vfs.NewMem()
			sc := fullScript(t, mem, mem, mode.mode, deleters*each)
			sc.resume()
			if err := sc.close(); err != nil {
				t.Fatal(err)
			}
			tune := sc.tune
			sc.tune = func(o *Options) {
				tune(o)
				o.SegmentBytes = 256 << 10
			}
			if err := sc.open(); err != nil {
				t.Fatal(err)
			}
			// Room enough that puts are under way when it ends.
			mem.SetCapacity(10 << 20)
			var done atomic.Bool
			var refused atomic.Int64
			var puts, deletes sync.WaitGroup
			for g := range putters {
				puts.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(g), 1))
					for i := 0; !done.Load(); i++ {
						n := []int{100, 9000, largeFrom + 300<<10}[i%3]
						err := sc.s.Put(sc.ctx, fmt.Sprintf("put%d-%d", g, i%50), noise(rng, n), nil)
						if errors.Is(err, ErrNoSpace) {
							refused.Add(1)
						} else if err != nil {
							t.Errorf("put: %v", err)
						}
					}
				})
			}
			await(t, "a full disk", func() bool { return refused.Load() > 10 })
			for g := range deleters {
				deletes.Go(func() {
					for i := range each {
						if err := sc.s.Delete(sc.ctx, smallKey(g*each+i)); err != nil {
							t.Errorf("delete %d of %d: %v", i, g, err)
							return
						}
					}
				})
			}
			deletes.Wait()
			done.Store(true)
			puts.Wait()
			if err := sc.s.Sync(sc.ctx); err != nil {
				t.Errorf("sync: %v", err)
			}
			for i := range deleters * each {
				if _, err := sc.s.Get(sc.ctx, smallKey(i)); !errors.Is(err, ErrNotFound) {
					t.Fatalf("%s: %v", smallKey(i), err)
				}
			}
		})
	}
}

// TestBallastCrash crashes at each operation on the ballast and those after it:
// while it is made, given up, and made again.
func TestBallastCrash(t *testing.T) {
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			mem := vfs.NewMem()
			rng := rand.New(rand.NewPCG(testSeed(t), 8))
			copies := 3
			if underRace {
				copies = 1
			}
			rec := newRecorder(mem, copies, rng)
			near := 0
			rec.skip = func(op vfs.Op) bool {
				if strings.HasSuffix(op.Name, ballastName) {
					near = 4
				}
				near--
				return near < 0
			}
			sc := newBallastScript(rec.fault, mode.mode, newHistory(), rng)
			mem.SetCapacity(6 << 20)
			if err := sc.open(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sc.s.Close() }()
			rec.start(sc.bounds)
			for i := 0; sc.s.written() <= smallBallastFrom; i++ {
				if err := sc.step(sc.put(fmt.Sprintf("fill%06d", i), 20_000)); err != nil {
					t.Fatal(err)
				}
				if err := sc.sync(); err != nil {
					t.Fatal(err)
				}
			}
			sc.fillUpHalted(t)
			defer sc.resume() // before it is closed
			for i := range 300 {
				if sc.s.ballast.missing() && i >= 5 {
					break
				}
				if err := sc.step(modelWrite{key: fmt.Sprintf("fill%06d", i)}); err != nil {
					t.Fatal(err)
				}
				if err := sc.sync(); err != nil {
					t.Fatal(err)
				}
			}
			if !sc.s.ballast.missing() {
				t.Fatal("the deletes did not fill the disk")
			}
			mem.SetCapacity(16 << 20)
			sc.putsWork(t)
			sc.resume()
			points := rec.stop()
			if err := sc.close(); err != nil {
				t.Fatal(err)
			}
			without := 0
			for _, p := range points {
				if _, err := p.mem.Stat(memDir + "/" + ballastName); err != nil {
					without++
				}
				if err := afterBallastCrash(p, sc); err != nil {
					t.Fatalf("%v: %v", p, err)
				}
			}
			if without == 0 || without == len(points) || len(points) < 20 {
				t.Errorf("%d of %d crashes were without a ballast", without, len(points))
			}
		})
	}
}

func afterBallastCrash(p *crashPoint, was *script) error {
	sc := newBallastScript(p.mem, was.mode, was.h.clone(), was.rng)
	if err := sc.recover(p); err != nil {
		return err
	}
	defer func() { _ = sc.s.Close() }()
	for i := range 5 {
		if err := sc.step(modelWrite{key: fmt.Sprintf("fill%06d", 5+i)}); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	if err := sc.sync(); err != nil {
		return err
	}
	p.mem.SetCapacity(-1)
	if err := sc.step(sc.put("after", 10_000)); err != nil {
		return fmt.Errorf("a put though there is room: %w", err)
	}
	if err := checkContents(sc.ctx, sc.s, sc.h); err != nil {
		return err
	}
	if err := sc.close(); err != nil {
		return err
	}
	if err := sc.open(); err != nil {
		return err
	}
	if held := sc.s.ballast.state.Load() == ballastHeld; held != (sc.s.written() > smallBallastFrom) {
		return fmt.Errorf("ballast: %v with %d bytes", held, sc.s.written())
	}
	return checkContents(sc.ctx, sc.s, sc.h)
}

// TestBallastFaults fails what is done to the ballast, and the questions for free
// space: all of it, or one after the other.
func TestBallastFaults(t *testing.T) {
	isOne := func(op vfs.Op) bool {
		return strings.HasSuffix(op.Name, ballastName) || op.Kind == vfs.KindStat && op.Name == memDir
	}
	for _, mode := range syncModes {
		for _, injected := range []error{syscall.EIO, syscall.ENOSPC} {
			for at := int64(-1); ; at++ {
				var n atomic.Int64
				ok := t.Run(fmt.Sprintf("%s/%v/%d", mode.name, injected, at), func(t *testing.T) {
					mem := vfs.NewMem()
					fault := vfs.NewFault(mem)
					fault.SetHook(func(op vfs.Op) error {
						if isOne(op) && (n.Add(1)-1 == at || at < 0) {
							return injected
						}
						return nil
					})
					ballastFault(t, mem, fault, mode.mode, injected)
				})
				if !ok {
					t.FailNow()
				}
				if at >= min(n.Load(), 25) {
					break
				}
			}
		}
	}
	checkNothingRuns(t)
}

func ballastFault(t *testing.T, mem *vfs.Mem, fault *vfs.Fault, mode SyncMode, injected error) {
	sc := newBallastScript(fault, mode, newHistory(), rand.New(rand.NewPCG(testSeed(t), 9)))
	if err := sc.open(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sc.s.Close() }()
	for i := range 40 {
		if err := sc.step(sc.put(fmt.Sprintf("key%d", i), 30_000)); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
		sc.s.ballast.tend()
	}
	if err := sc.close(); err != nil {
		t.Fatal(err)
	}
	if err := sc.open(); err != nil {
		t.Fatal(err)
	}
	if err := sc.step(sc.put("reopened", 100)); err != nil {
		t.Fatal(err)
	}
	if err := sc.sync(); err != nil {
		t.Fatal(err)
	}
	mem.SetCapacity(0)
	for sc.refused(t, sc.put("more", 30_000)) == nil {
	}
	for i := range 5 {
		_ = sc.refused(t, modelWrite{key: fmt.Sprintf("key%d", i)})
	}
	mem.SetCapacity(-1)
	if injected == syscall.EIO {
		sc.putsWork(t) // without a ballast, if it cannot be made
	}
	fault.SetHook(nil)
	sc.s.ballast.tend()
	sc.putsWork(t)
	if err := checkContents(sc.ctx, sc.s, sc.h); err != nil {
		t.Fatal(err)
	}
	if err := sc.close(); err != nil {
		t.Fatal(err)
	}
	if err := sc.open(); err != nil {
		t.Fatal(err)
	}
	wantBallast(t, mem, true)
}

// TestBallastNotInSmallStores fills a small disk.
func TestBallastNotInSmallStores(t *testing.T) {
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			mem := vfs.NewMem()
			mem.SetCapacity(2 << 20)
			sc := newScript(mem, mode.mode, newHistory(), rand.New(rand.NewPCG(testSeed(t), 10)))
			if err := sc.open(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sc.s.Close() }()
			if err := fill(sc); err != nil {
				t.Fatal(err)
			}
			_ = sc.refused(t, modelWrite{key: "key1"})
			wantBallast(t, mem, false)
			mem.SetCapacity(-1)
			sc.putsWork(t)
			if err := sc.close(); err != nil {
				t.Fatal(err)
			}
			wantBallast(t, mem, false)
		})
	}
}

// TestBallastOfEarlierLife opens stores that have the file.
func TestBallastOfEarlierLife(t *testing.T) {
	mem, h := closedStore(t, 100)
	open := func(from int64, readOnly bool) *Store {
		t.Helper()
		opts := memOptions(mem, SyncAlways, newTestClock())
		opts.ballastFrom, opts.ReadOnly = from, readOnly
		s, err := Open(memDir, opts)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	reopen := func(from int64) {
		t.Helper()
		s := open(from, false)
		if err := checkContents(t.Context(), s, h); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, mem, ballastName, []byte("half made"), 0)
	s := open(1, true)
	defer s.Close()
	if b := readFile(t, mem, ballastName); string(b) != "half made" {
		t.Errorf("opening read-only made %d bytes of it", len(b))
	}
	_ = s.Close()
	reopen(1)
	wantBallast(t, mem, true)

	// One that is there is kept, and not made again.
	writeFile(t, mem, ballastName, []byte("the same"), 0)
	for _, from := range []int64{1, defaultBallastFrom} {
		reopen(from)
		if b := readFile(t, mem, ballastName); !bytes.HasPrefix(b, []byte("the same")) {
			t.Error("made again")
		}
	}
	wantBallast(t, mem, true)

	writeFile(t, mem, ballastName, []byte("too long"), ballastSize)
	reopen(defaultBallastFrom)
	wantBallast(t, mem, false)
}

// TestBallastCarriesEdits has the manifest rewritten on a full disk, which takes
// space: to seal a segment, and to close.
func TestBallastCarriesEdits(t *testing.T) {
	mem := vfs.NewMem()
	sc := fullScript(t, mem, mem, SyncAlways, 100)
	sc.s.state.Lock()
	sc.s.manifest.space = sc.s.manifest.off
	err := sc.s.commitEdit(edit(nil).reached(sc.s.clock.now(), sc.s.committer.seq))
	sc.s.state.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	wantBallast(t, mem, false)
	sc.resume()
	if err := sc.crashed(t, mem).close(); err != nil {
		t.Fatal(err)
	}
	if err := sc.close(); err != nil {
		t.Fatal(err)
	}
}

// TestBallastRefusesWhatIsOnItsWay has puts refused that came as far as the queue,
// or are being streamed.
func TestBallastRefusesWhatIsOnItsWay(t *testing.T) {
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			s, err := Open(memDir, memOptions(vfs.NewMem(), mode.mode, newTestClock()))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			defer haltBackground(s)()
			stream, err := s.values.begin(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			defer stream.end()
			if err := stream.chunk(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			s.ballast.state.Store(ballastMissing)
			if err := stream.chunk(make([]byte, 1000)); !errors.Is(err, ErrNoSpace) {
				t.Errorf("chunk: %v", err)
			}
			var w [1]write
			if err := s.prepare(&w[0], "key", nil); err != nil {
				t.Fatal(err)
			}
			if err := s.committer.commit(t.Context(), w[:]); !errors.Is(err, ErrNoSpace) {
				t.Errorf("commit: %v", err)
			}
			w[0].rec.Tombstone = true
			if err := s.committer.commit(t.Context(), w[:]); err != nil {
				t.Errorf("delete: %v", err)
			}
		})
	}
}

// TestBallastWaitsForValues has part of a large value under way when a delete
// wants the ballast given up.
func TestBallastWaitsForValues(t *testing.T) {
	mem := vfs.NewMem()
	fault := vfs.NewFault(mem)
	sc := fullScript(t, mem, fault, SyncAlways, 300)
	mem.SetCapacity(9 << 20)
	begun, release := make(chan struct{}), make(chan struct{})
	var writing, released atomic.Bool
	fault.SetHook(func(op vfs.Op) error {
		switch {
		case op.Kind == vfs.KindWrite && op.Length > largeFrom && writing.CompareAndSwap(false, true):
			close(begun)
			<-release
		case op.Kind == vfs.KindRemove && strings.HasSuffix(op.Name, ballastName) && !released.Load():
			t.Error("the ballast was given up while a value was being written")
		}
		return nil
	})
	var both sync.WaitGroup
	both.Go(func() { _ = sc.s.Put(sc.ctx, "large", noise(rand.New(rand.NewPCG(1, 1)), 2*largeFrom), nil) })
	<-begun
	mem.SetCapacity(0)
	both.Go(func() {
		for i := range 300 {
			_ = sc.s.Delete(sc.ctx, smallKey(i))
		}
	})
	await(t, "a delete that fails", sc.s.ballast.missing)
	for range 10_000 {
		runtime.Gosched()
	}
	released.Store(true)
	close(release)
	both.Wait()
	fault.SetHook(nil)
}

// TestBallastHalfMade leaves nothing of one that could not be made.
func TestBallastHalfMade(t *testing.T) {
	mem, _ := closedStore(t, 100)
	fault := vfs.NewFault(mem)
	fails := func(err error) {
		fault.SetHook(func(op vfs.Op) error {
			if op.Kind == vfs.KindPreallocate && strings.HasSuffix(op.Name, ballastName) {
				return err
			}
			return nil
		})
	}
	fails(syscall.ENOSPC)
	opts := memOptions(fault, SyncAlways, newTestClock())
	opts.ballastFrom = 1
	s, err := Open(memDir, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer haltBackground(s)()
	wantBallast(t, mem, false)
	if err := s.Put(t.Context(), "key", nil, nil); err != nil {
		t.Errorf("a put without a ballast: %v", err)
	}
	// One that was given up may be out of reach of a quota; other reasons do
	// not keep puts out.
	s.ballast.state.Store(ballastMissing)
	if err := s.Put(t.Context(), "key", nil, nil); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a put beyond a quota: %v", err)
	}
	fails(syscall.EIO)
	if err := s.Put(t.Context(), "key", nil, nil); err != nil {
		t.Errorf("a put without a ballast: %v", err)
	}
	fault.SetHook(nil)
	s.ballast.tend()
	wantBallast(t, mem, true)
}

// TestBallastOfLargeValues proves that a store gets one whose log hardly grows.
func TestBallastOfLargeValues(t *testing.T) {
	mem := vfs.NewMem()
	sc := newBallastScript(mem, SyncAlways, newHistory(), rand.New(rand.NewPCG(testSeed(t), 11)))
	if err := sc.open(); err != nil {
		t.Fatal(err)
	}
	defer sc.s.Close()
	for i := range 6 {
		if err := sc.step(sc.put(fmt.Sprintf("large%d", i), 300<<10)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the ballast", func() bool { return sc.s.ballast.state.Load() == ballastHeld })
	wantBallast(t, mem, true)
	if u, least := sc.s.Usage(), int64(ballastSize); u.DiskBytes < u.Bytes+least {
		t.Errorf("usage does not count it: %+v", u)
	}
}
