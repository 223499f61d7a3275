package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// TestModelOfConcurrentCompaction proves the same as
// TestModelOfConcurrentReadersAndWriters while segments are rewritten all the
// time, and that backups and checks of the store work meanwhile.
func TestModelOfConcurrentCompaction(t *testing.T) {
	seed := testSeed(t)
	steps := 1500
	if testing.Short() {
		steps = 200
	}
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem()
			s, err := Open(memDir, memOptions(mem, mode.mode, newTestClock()))
			if err != nil {
				t.Fatal(err)
			}
			c := &concurrent{s: s}
			for i := range 8 {
				c.keys = append(c.keys, &counterKey{name: "key" + strconv.Itoa(i)})
			}
			var workers, others sync.WaitGroup
			for g := range 6 {
				rng := rand.New(rand.NewPCG(seed, uint64(g)))
				workers.Go(func() {
					for range steps {
						if err := c.step(rng, g); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			done := make(chan struct{})
			jobs := 0
			others.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 100))
				for ; !isDone(done) && !t.Failed(); jobs++ {
					if err := c.compact(rng); err != nil {
						t.Errorf("compact: %v", err)
					}
				}
			})
			others.Go(func() {
				for !isDone(done) && !t.Failed() {
					if err := checkVerify(context.Background(), s); err != nil {
						t.Errorf("verify: %v", err)
					}
					if err := c.backup(mem, mode.mode); err != nil {
						t.Errorf("backup: %v", err)
					}
				}
			})
			workers.Wait()
			close(done)
			others.Wait()
			t.Logf("%d jobs", jobs)
			c.check(t)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			_ = mem.Remove(memDir + "/" + checkpointName)
			if c.s, err = Open(memDir, memOptions(mem, mode.mode, newTestClock())); err != nil {
				t.Fatal(err)
			}
			defer c.s.Close()
			c.check(t)
		})
	}
}

func isDone(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// check checks a store that nobody writes to.
func (c *concurrent) check(t *testing.T) {
	t.Helper()
	for _, k := range c.keys {
		if err := c.get(k); err != nil {
			t.Error(err)
		}
	}
	if err := c.list(); err != nil {
		t.Error(err)
	}
	if err := checkVerify(context.Background(), c.s); err != nil {
		t.Error(err)
	}
}

// compact rewrites some of the segments, if they can be.
func (c *concurrent) compact(rng *rand.Rand) error {
	job, err := randomJob(c.s, rng)
	if err != nil {
		return err
	}
	if err := c.s.rewrite(context.Background(), job, rng.IntN(2) == 0); err != errNotReady {
		return err
	}
	return nil
}

// backup takes a backup and checks that it holds what was there before.
func (c *concurrent) backup(mem *vfs.Mem, mode SyncMode) error {
	const dir = "/backup"
	floors := map[string]int64{}
	for _, k := range c.keys {
		floors[k.name] = k.floor.Load()
	}
	if _, err := c.s.Backup(context.Background(), dir, nil); err != nil {
		return err
	}
	opts := memOptions(mem, mode, newTestClock())
	opts.ReadOnly = true
	b, err := Open(dir, opts)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, k := range c.keys {
		var n int64
		value, err := b.Get(context.Background(), k.name)
		if err == nil {
			n = int64(binary.LittleEndian.Uint64(value))
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		// It may hold what is not visible yet.
		if err := k.fits(n, floors[k.name]); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	return checkVerify(context.Background(), b)
}

// A value that is on disk while the log has no room for what commits it keeps its
// segment: it is neither sealed nor removed until then.
func TestCompactionAwaitsCommitOfValue(t *testing.T) {
	large := make([]byte, largeFrom+1)
	for _, batch := range []bool{false, true} {
		t.Run(fmt.Sprintf("batch %v", batch), func(t *testing.T) {
			ctx := context.Background()
			s, err := Open(memDir, memOptions(vfs.NewMem(), SyncAlways, newTestClock()))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Put(ctx, "dead", large, nil); err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(ctx, "dead"); err != nil {
				t.Fatal(err)
			}
			values := s.values.open[0]
			resume := haltBackground(s) // it has a part here, which the test plays
			release := holdLog(s)
			put := &admitted{Context: ctx, passed: make(chan struct{})}
			done := make(chan error, 1)
			go func() {
				if !batch {
					done <- s.Put(put, "late", large, nil)
					return
				}
				var b Batch
				b.Put("other", large, nil)
				b.Put("late", large, nil)
				done <- s.Write(put, &b)
			}()
			<-put.passed
			s.committer.lastSeq() // takes the lock, which the writer gives up only to wait
			idle, err := s.sealValues(values)
			if err != nil || idle {
				t.Errorf("sealed %v, %v, with a value in it that is about to be committed", idle, err)
			}
			job := compaction.Job{Reason: compaction.Dead, Victims: []uint64{values.id}, Form: compaction.Values}
			if s.rewritable(values) {
				err = s.compactor.do(ctx, job, false)
			}
			if err != nil {
				t.Error(err)
			}
			release()
			err = <-done
			resume()
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got, err := s.Get(ctx, "late"); err != nil || !bytes.Equal(got, large) {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
				if _, err := s.committer.rollNow(); err != nil {
					t.Fatal(err)
				}
				if err := s.background.sealNow(); err != nil {
					t.Fatal(err)
				}
				if err := s.compactor.do(ctx, job, false); err != nil {
					t.Fatal(err)
				}
			}
			if s.segs.find(values.id) != nil {
				t.Error("the segment was not removed once the value was committed")
			}
			if err := checkVerify(ctx, s); err != nil {
				t.Error(err)
			}
		})
	}
}

// holdLog has writers wait for the next log segment, as if the background made it,
// until release is called.
func holdLog(s *Store) (release func()) {
	c := &s.committer
	c.mu.Lock()
	defer c.mu.Unlock()
	c.making = true
	c.ahead += minSegmentBytes
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.making = false
		c.ahead -= minSegmentBytes
		c.room.Broadcast()
	}
}

// A checkpoint of a time before a compaction is no damage.
func TestVerifyAfterCompactionWithCheckpoint(t *testing.T) {
	sc := openScript(t, vfs.NewMem(), SyncAlways, rand.New(rand.NewPCG(1, 1)))
	for i := range 2 * checkpointTail / largeFrom {
		sc.must(t, sc.step(sc.put(fmt.Sprintf("key%d", i), largeFrom-1)))
	}
	sc.must(t, sc.close())
	sc.must(t, sc.open())
	defer sc.s.Close()
	if !sc.s.recovered.checkpoint {
		t.Fatal("there is no checkpoint")
	}
	sc.must(t, sc.s.Compact(sc.ctx))
	sc.must(t, checkVerify(sc.ctx, sc.s))
}

// While a job brings the index to the new segments, Verify finds every pair once
// or does not compare the counters.
func TestVerifyWhileIndexMoves(t *testing.T) {
	for n := int64(0); ; n++ {
		fault := vfs.NewFault(vfs.NewMem())
		sc := openScript(t, fault, SyncAlways, rand.New(rand.NewPCG(2, 2)))
		for i := range 60 {
			w := sc.put(fmt.Sprintf("key%02d", i), 300)
			if i%3 == 0 {
				w.pair = newModelPair(w.key, w.pair.value, "", sc.clock.second.Load()+5)
			}
			sc.must(t, sc.step(w))
		}
		id := sc.sealLog(t)
		sc.clock.advance(10)
		j, added := startJob(t, sc.s, id)
		sc.must(t, j.replace(added))
		// The index is moved all at once, between two reads.
		var reads atomic.Int64
		var moved atomic.Bool
		fault.SetHook(func(op vfs.Op) error {
			if op.Kind == vfs.KindRead && reads.Add(1)-1 == n && moved.CompareAndSwap(false, true) {
				return j.move(added)
			}
			return nil
		})
		if err := checkVerify(sc.ctx, sc.s); err != nil {
			t.Fatalf("moved before read %d: %v", n, err)
		}
		fault.SetHook(nil)
		if !moved.Load() {
			sc.must(t, j.move(added))
		}
		j.drop(added)
		j.release()
		sc.must(t, checkVerify(sc.ctx, sc.s))
		sc.must(t, sc.close())
		if !moved.Load() {
			return
		}
	}
}

// startJob writes the outputs of a job of one victim.
func startJob(t *testing.T, s *Store, id uint64) (j *compactJob, added []*seg) {
	t.Helper()
	job := compaction.Job{Reason: compaction.Space, Victims: []uint64{id}, Form: compaction.Young}
	s.compactor.pace.begin(job, true)
	j, err := s.newJob(context.Background(), &s.compactor, job)
	if err != nil {
		t.Fatal(err)
	}
	opts := compaction.Options{Form: job.Form, Now: j.now, MaxBytes: maxPacked, Memory: compactMemory, Workers: 1}
	if _, err := compaction.Rewrite(context.Background(), j, j.victims, opts); err != nil {
		t.Fatal(err)
	}
	for _, o := range j.outputs {
		sg, err := o.open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sg.sources(false); err != nil { // so that move reads no index that somebody else is reading
			t.Fatal(err)
		}
		added = append(added, sg)
	}
	return j, added
}

// A value that was written but never committed leaves nothing to be synced in a
// segment that is gone.
func TestSyncAfterSegmentOfUncommittedValueIsGone(t *testing.T) {
	ctx := context.Background()
	s, err := Open(memDir, memOptions(vfs.NewMem(), SyncNever, newTestClock()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Put(&ending{ctx, 1}, "refused", make([]byte, largeFrom), nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	values := s.values.open[0]
	if _, err := s.sealValues(values); err != nil {
		t.Fatal(err)
	}
	job := compaction.Job{Reason: compaction.Dead, Victims: []uint64{values.id}, Form: compaction.Values}
	if err := s.compactor.do(ctx, job, false); err != nil {
		t.Fatal(err)
	}
	if s.segs.find(values.id) != nil {
		t.Fatal("the segment is still there")
	}
	if err := s.Put(ctx, "key", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(ctx); err != nil {
		t.Error(err)
	}
}

// ending is a context that ends when it has been asked so often.
type ending struct {
	context.Context
	left int
}

func (e *ending) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

// Log segments are sealed in the order of the log, also while the ballast comes
// and goes: a tombstone in one that is sealed may hide something in one before.
func TestSealingKeepsOrder(t *testing.T) {
	sc := openScript(t, vfs.NewMem(), SyncAlways, rand.New(rand.NewPCG(3, 3)))
	s := sc.s
	s.ballast.state.Store(ballastMissing)
	s.ballast.mu.Lock() // nobody makes it again
	defer s.ballast.mu.Unlock()
	const logs = 40
	for range logs {
		sc.must(t, s.committer.commit(sc.ctx, []write{{rec: segment.Record{Key: []byte("key"), Tombstone: true}}}))
		if _, err := s.committer.rollNow(); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	var toggler sync.WaitGroup
	toggler.Go(func() {
		for !isDone(done) {
			s.ballast.state.Store(ballastHeld)
			s.ballast.state.Store(ballastMissing)
		}
	})
	sealed := 0
	for tries := 0; sealed < logs && tries < 10_000 && !t.Failed(); tries++ {
		sc.must(t, s.background.sealNow())
		sealed = 0
		for i, sg := range s.segs.all() {
			if sg.sealed.Load() == nil {
				continue
			}
			if sealed++; sealed != i+1 {
				t.Errorf("%s is sealed, and one before it is not", sg.name())
			}
		}
	}
	close(done)
	toggler.Wait()
	s.ballast.state.Store(ballastNone)
}

// A job that finds the table of segments full by the time it is done changes
// nothing.
func TestCompactionIntoFullSegmentTable(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(4, 4)))
	sc.h.compacted = true
	sc.must(t, sc.churn(30))
	sc.must(t, sc.s.background.sealNow())
	j, added := startJob(t, sc.s, sc.s.segs.all()[0].id)
	s := sc.s
	table := s.segs.bySlot.Load()
	full := make([]*seg, maxSegments+1)
	for i := range full {
		full[i] = (*table)[1]
	}
	s.state.Lock()
	s.segs.bySlot.Store(&full)
	s.state.Unlock()
	err := j.replace(added)
	s.state.Lock()
	s.segs.bySlot.Store(table)
	s.state.Unlock()
	if !errors.Is(err, errTooManySegments) {
		t.Errorf("replace: %v", err)
	}
	j.abandon()
	j.release()
	sc.must(t, checkContents(sc.ctx, s, sc.h))
	sc.must(t, sc.step(sc.put("key", 10)))
	p := &crashPoint{mem: mem.Kill(), least: sc.durable, most: sc.begun}
	after, err := recovered(p.mem, p, SyncAlways, sc.h.clone(), sc.rng)
	if err != nil {
		t.Fatal(err)
	}
	sc.must(t, after.close())
}

// A store that is closed at any point of a full compaction closes, Compact says
// so, and nothing is lost.
func TestCloseDuringCompact(t *testing.T) {
	for n := int64(0); ; n++ {
		mem := vfs.NewMem()
		fault := vfs.NewFault(mem)
		sc := openScript(t, fault, SyncAlways, rand.New(rand.NewPCG(5, 5)))
		sc.h.compacted = true
		sc.must(t, sc.churn(40))
		sc.must(t, sc.s.sealAllValues())
		s := sc.s
		closed := make(chan error, 1)
		var ops atomic.Int64
		var hit atomic.Bool
		fault.SetHook(func(op vfs.Op) error {
			// No lock is held at these that Close waits for.
			job := strings.HasSuffix(op.Name, ".seg") && s.compactor.stats().Running != ""
			if s.compactor.halting.Load() || !job || ops.Add(1)-1 != n {
				return nil
			}
			hit.Store(true)
			go func() { closed <- s.Close() }()
			for !s.compactor.halting.Load() {
				runtime.Gosched()
			}
			for begun := time.Now(); time.Since(begun) < quantum; { // or it would not look
			}
			return nil
		})
		err := s.Compact(sc.ctx)
		fault.SetHook(nil)
		if !hit.Load() {
			sc.must(t, err)
			return
		}
		if err != nil && !errors.Is(err, ErrClosed) {
			t.Fatalf("closed at operation %d: %v", n, err)
		}
		sc.must(t, <-closed)
		sc.must(t, sc.open())
		sc.must(t, checkContents(sc.ctx, sc.s, sc.h))
		sc.must(t, sc.close())
	}
}

// Values are moved also while others never stop writing.
func TestValuesMoveBesideWriters(t *testing.T) {
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			ctx := context.Background()
			s, err := Open(t.TempDir(), &Options{Sync: mode.mode, ManualCompaction: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, key := range []string{"moved", "dead"} {
				if err := s.Put(ctx, key, make([]byte, largeFrom), nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Delete(ctx, "dead"); err != nil {
				t.Fatal(err)
			}
			values := s.values.open[0]
			if err := s.sealAllValues(); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			var writers sync.WaitGroup
			for g := range 16 {
				writers.Go(func() {
					for i := 0; !isDone(done); i++ {
						if err := s.Put(ctx, fmt.Sprintf("%d/%d", g, i%10), nil, nil); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			job := compaction.Job{Reason: compaction.Space, Victims: []uint64{values.id}, Form: compaction.Values}
			for tries := 1; ; tries++ {
				if err = s.rewrite(ctx, job, true); err != errNotReady || tries == 20 {
					t.Logf("%d tries", tries)
					break
				}
			}
			close(done)
			writers.Wait()
			if err != nil {
				t.Error(err)
			}
			if s.segs.find(values.id) != nil {
				t.Error("the values were not moved")
			}
			if err := checkVerify(ctx, s); err != nil {
				t.Error(err)
			}
		})
	}
}

// The space of dead values is known, and won back, also after their records were
// dropped and the store opened again.
func TestDeadValuesAreKnownAfterReopen(t *testing.T) {
	sc := openScript(t, vfs.NewMem(), SyncAlways, rand.New(rand.NewPCG(6, 6)))
	sc.h.compacted = true
	const values = 20
	large := bytes.Repeat([]byte("compressible "), 128<<10/13)
	for i := range values {
		key := fmt.Sprintf("key%02d", i)
		sc.must(t, sc.step(modelWrite{key, newModelPair(key, slices.Concat(noise(sc.rng, 64<<10), large), "", 0)}))
	}
	for i := range values - 1 {
		sc.must(t, sc.step(modelWrite{key: fmt.Sprintf("key%02d", i)}))
	}
	sc.must(t, sc.step(sc.put("small", 10)))
	sc.must(t, sc.s.sealAllValues())
	id := sc.s.segs.all()[1].id
	// All but the value segment, as if it was not worth it yet.
	sc.sealLog(t)
	job := compaction.Job{Reason: compaction.Pack, Form: compaction.Settled}
	for _, sg := range sc.s.segs.all() {
		if sg.id != id && sc.s.rewritable(sg) {
			job.Victims = append(job.Victims, sg.id)
		}
	}
	sc.must(t, sc.s.compactor.do(sc.ctx, job, true))
	before, err := usageOf(sc.s)
	sc.must(t, err)
	sc.must(t, sc.close())
	sc.must(t, sc.open())
	after, err := usageOf(sc.s)
	sc.must(t, err)
	if all(after.Garbage) != all(before.Garbage) {
		t.Errorf("garbage %+v, before it was opened again %+v", after.Garbage, before.Garbage)
	}
	sc.must(t, sc.s.Compact(sc.ctx))
	if sc.s.segs.find(id) != nil {
		t.Error("the dead values are still there")
	}
	sc.must(t, checkContents(sc.ctx, sc.s, sc.h))
}

// Tombstones are looked at some at a time: there may be any number of them. None
// that is needed is lost on the way.
func TestManyTombstonesTakeLittleMemory(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncNever, rand.New(rand.NewPCG(10, 10)))
	sc.h.compacted = true
	const keys, memory = 600, 4 << 10
	end := func() uint64 {
		sc.must(t, sc.sync())
		return sc.sealLog(t)
	}
	for i := range keys {
		sc.must(t, sc.step(sc.put(smallKey(i), 10)))
	}
	end()
	for i := range keys {
		if i%3 == 0 {
			sc.must(t, sc.step(sc.put("other"+smallKey(i), 10), modelWrite{key: "other" + smallKey(i)}))
		}
		sc.must(t, sc.step(modelWrite{key: smallKey(i)}))
	}
	victim := end()
	job := compaction.Job{Reason: compaction.Space, Victims: []uint64{victim}, Form: compaction.Young}
	sc.s.compactor.pace.begin(job, true)
	j, err := sc.s.newJob(sc.ctx, &sc.s.compactor, job)
	sc.must(t, err)
	defer j.release()
	host := &countedMarkers{compactJob: j}
	report, err := compaction.Rewrite(sc.ctx, host, j.victims, compaction.Options{
		Form: job.Form, Now: j.now, MaxBytes: maxPacked, Memory: memory, Workers: 1,
	})
	sc.must(t, err)
	if report.Needed != keys || report.Tombstones != keys/3 {
		t.Errorf("%d needed, %d dropped", report.Needed, report.Tombstones)
	}
	if host.most > memory/48 {
		t.Errorf("%d at a time", host.most)
	}
	sc.must(t, j.commit())
	sc.must(t, checkContents(sc.ctx, sc.s, sc.h))
	p := &crashPoint{mem: mem.Kill(), least: sc.acked, most: sc.begun}
	after, err := recovered(p.mem, p, SyncNever, sc.h.clone(), sc.rng)
	if err != nil {
		t.Fatal(err)
	}
	sc.must(t, after.close())
}

type countedMarkers struct {
	*compactJob
	most int
}

func (c *countedMarkers) Needed(markers []compaction.Marker) error {
	c.most = max(c.most, len(markers))
	return c.compactJob.Needed(markers)
}

// all adds up the garbage.
func all(g Garbage) Count {
	return Count{
		g.Overwritten.Records + g.Deleted.Records + g.Expired.Records,
		g.Overwritten.Bytes + g.Deleted.Bytes + g.Expired.Bytes,
	}
}

// On a full disk, a job that only makes room is done, if it takes the ballast.
func TestCompactionTakesBallast(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetCapacity(8 << 20)
	sc := newBallastScript(mem, SyncAlways, newHistory(), rand.New(rand.NewPCG(7, 7)))
	sc.h.compacted = true
	sc.must(t, sc.open())
	t.Cleanup(func() {
		sc.resume()
		_ = sc.s.Close()
	})
	for range 2 {
		for i := range 100 {
			sc.must(t, sc.step(sc.put(smallKey(i), 300)))
		}
		sc.sealLog(t)
	}
	for i := 0; sc.s.written() <= smallBallastFrom; i++ {
		sc.must(t, sc.step(sc.put(fmt.Sprintf("more%d", i), 9000)))
	}
	sc.fillUpHalted(t)
	sc.s.state.Lock()
	sc.s.manifest.space = sc.s.manifest.off // the next edit needs a new file
	sc.s.state.Unlock()
	dead := sc.s.segs.all()[0]
	sc.must(t, sc.s.compactor.do(sc.ctx, compaction.Job{Reason: compaction.Dead, Victims: []uint64{dead.id}}, false))
	wantBallast(t, mem, false)
	if sc.s.segs.find(dead.id) != nil {
		t.Error("the segment is still there")
	}
	sc.must(t, sc.crashed(t, mem).close())
}

// What is known to be needed stays so while nothing has gone that could change
// it: pointers are not written again after each job.
func TestPointersAreNotWrittenAgain(t *testing.T) {
	sc := openScript(t, vfs.NewMem(), SyncAlways, rand.New(rand.NewPCG(8, 8)))
	sc.must(t, sc.step(sc.put("small", 10)))
	sc.must(t, sc.step(sc.put("large", largeFrom)))
	sc.must(t, sc.s.Compact(sc.ctx))
	pointers := sc.s.segs.all()[len(sc.s.segs.all())-1]
	for pointers.sealed.Load() == nil || pointers.sealed.Load().footer.Totals().Pointers == 0 {
		pointers = sc.s.segs.find(pointers.id - 1)
	}
	for _, key := range []string{"small", "other"} {
		sc.must(t, sc.step(sc.put(key, 10)))
		sc.must(t, sc.s.Compact(sc.ctx))
	}
	if sc.s.segs.find(pointers.id) == nil {
		t.Error("they were")
	}
}

// TestFaultOfCompact fails every operation of a full compaction in turn, that of
// values among it. Nothing is lost or comes back by that, not after a crash
// either, and unless the store turned read-only, the next one works.
func TestFaultOfCompact(t *testing.T) {
	seed := testSeed(t)
	faults := newFaultTotal(t)
	for _, mode := range syncModes {
		for _, kind := range faultKinds {
			t.Run(mode.name+"/"+kind.name, func(t *testing.T) {
				t.Parallel()
				step := int64(1)
				if testing.Short() || underRace {
					step = 5
				}
				for n := int64(seed % uint64(step)); ; n += step {
					f := &faulty{mode: mode.mode, at: n, err: kind.err, seed: seed}
					if err := f.faultOfCompact(); err != nil {
						t.Fatalf("%v: %v", f.op, err)
					}
					if !f.done.Load() {
						break
					}
					faults.add(f.op)
				}
			})
		}
	}
}

func (f *faulty) faultOfCompact() (err error) {
	f.ctx = context.Background()
	f.mem = vfs.NewMem()
	f.fs = vfs.NewFault(f.mem)
	sc := newScript(f.fs, f.mode, newHistory(), rand.New(rand.NewPCG(f.seed, 5)))
	sc.h.compacted = true
	if err := sc.open(); err != nil {
		return err
	}
	defer func() {
		_ = sc.s.Close()
		if err == nil {
			err = checkAllClosed(f.mem)
		}
	}()
	err = sc.churn(40)
	for _, key := range []string{"key0", "key1", "large", "dead"} {
		if err == nil {
			err = sc.step(sc.put(key, largeFrom))
		}
	}
	if err == nil {
		err = sc.step(modelWrite{key: "dead"})
	}
	if err == nil {
		err = sc.s.sealAllValues()
	}
	if err == nil {
		err = sc.sync()
	}
	if err != nil {
		return err
	}
	f.fs.SetHook(f.hook)
	err = sc.s.Compact(f.ctx)
	f.fs.SetHook(nil)
	if err != nil {
		if err := f.expected(err); err != nil {
			return err
		}
	}
	p := &crashPoint{mem: f.mem.Crash(sc.rng), least: sc.durable, most: sc.begun}
	after, err := recovered(p.mem, p, f.mode, sc.h.clone(), sc.rng)
	if err != nil {
		return fmt.Errorf("power loss after it: %w", err)
	}
	if err := after.close(); err != nil {
		return err
	}
	if sc.s.committer.fatal() != nil {
		return checkPairs(f.ctx, sc.s, sc.h)
	}
	if err := checkContents(f.ctx, sc.s, sc.h); err != nil {
		return err
	}
	if err := sc.s.Compact(f.ctx); err != nil {
		return fmt.Errorf("once more: %w", err)
	}
	if err := checkVerify(f.ctx, sc.s); err != nil {
		return err
	}
	if err := sc.close(); err != nil {
		return err
	}
	if err := sc.open(); err != nil {
		return err
	}
	return checkContents(f.ctx, sc.s, sc.h)
}

// A full compaction ends, however much is written meanwhile.
func TestCompactEndsBesideWriters(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	fault := vfs.NewFault(vfs.NewMem())
	sc := openScript(t, fault, SyncAlways, rand.New(rand.NewPCG(9, 9)))
	sc.h.compacted = true
	write := func() error {
		for i := range 20 {
			w := sc.put(fmt.Sprintf("key%d", sc.rng.IntN(40)), 300)
			if i%5 == 0 {
				w.pair = nil
			}
			if err := sc.step(w); err != nil {
				return err
			}
		}
		if _, err := sc.s.committer.rollNow(); err != nil {
			return err
		}
		return sc.s.background.sealNow()
	}
	sc.must(t, write())
	jobs := 0
	var inside atomic.Bool
	fault.SetHook(func(op vfs.Op) error {
		if op.Kind != vfs.KindCreate || sc.s.compactor.stats().Running == "" || !inside.CompareAndSwap(false, true) {
			return nil
		}
		defer inside.Store(false)
		if jobs++; jobs > 20 {
			cancel()
			return nil
		}
		return write()
	})
	sc.must(t, sc.s.Compact(ctx))
	fault.SetHook(nil)
	sc.must(t, checkContents(sc.ctx, sc.s, sc.h))
}
