package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// faultKinds are the ways in which an operation fails.
var faultKinds = []struct {
	name string
	err  error
}{
	{"EIO", syscall.EIO},
	{"ENOSPC", syscall.ENOSPC},
	{"short write", vfs.ShortWrite{N: 11, Err: syscall.EIO}},
	{"short write on a full disk", vfs.ShortWrite{N: 100}},
	{"write that says it failed", vfs.ShortWrite{N: 1 << 30, Err: syscall.EIO}},
}

// faultWorkloads are what operations fail in.
var faultWorkloads = []struct {
	name string
	run  func(*faulty) error
	step int64 // of how many operations one fails, by default
}{
	{"writes", (*faulty).workload, 4},
	{"upkeep", (*faulty).upkeep, 12},
}

// faultsEnv sets of how many operations one fails: 1 for all of them.
const faultsEnv = "FIRN_FAULTS"

// faultStep returns of how many operations one fails, and the first that does.
func faultStep(t *testing.T, step int64, seed uint64) (first, every int64) {
	if v := os.Getenv(faultsEnv); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 1 {
			t.Fatalf("%s: %q", faultsEnv, v)
		}
		step = n
	} else if testing.Short() || underRace {
		step *= 4
	}
	return int64(seed % uint64(step)), step
}

// TestFaultOfEveryOperation fails each operation of the file system in turn, or some
// of them, which the seed decides; see faultsEnv.
// The caller has to get the error; what was acknowledged stays readable and is
// there after a reopen; a write that failed is not visible, or, if the store
// turned read-only, not before the reopen. Only a failed sync may turn the store
// read-only. It always closes, and leaves no file open, no lock and no goroutine.
func TestFaultOfEveryOperation(t *testing.T) {
	seed := testSeed(t)
	faults := newFaultTotal(t)
	for _, mode := range syncModes {
		for _, kind := range faultKinds {
			for _, workload := range faultWorkloads {
				t.Run(mode.name+"/"+kind.name+"/"+workload.name, func(t *testing.T) {
					first, step := faultStep(t, workload.step, seed)
					for n := first; ; n += step {
						f := &faulty{mode: mode.mode, at: n, err: kind.err, seed: seed}
						if err := f.run(workload.run); err != nil {
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
	checkNothingRuns(t)
}

// faultTotal counts the operations that failed, by their kinds.
type faultTotal struct {
	mu    sync.Mutex
	kinds map[vfs.Kind]int
}

// newFaultTotal returns one that is logged at the end of the test.
func newFaultTotal(t *testing.T) *faultTotal {
	faults := &faultTotal{kinds: map[vfs.Kind]int{}}
	t.Cleanup(func() {
		n := 0
		for _, each := range faults.kinds {
			n += each
		}
		t.Logf("in all: %d faults, %v", n, faults.kinds)
	})
	return faults
}

func (f *faultTotal) add(op vfs.Op) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kinds[op.Kind]++
}

// checkAllClosed checks that files and locks were given back. A file stays open if
// a reference to its segment is left.
func checkAllClosed(mem *vfs.Mem) error {
	if names := mem.Opened(); len(names) > 0 {
		return fmt.Errorf("left open: %q", names)
	}
	return nil
}

// checkNothingRuns fails if a goroutine of a store stays.
func checkNothingRuns(t *testing.T) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "/engine.(*") && !strings.Contains(stacks, "/compaction.") {
			return
		}
		// One may have said that it is done, and still be about to end.
		if time.Now().After(deadline) {
			t.Fatalf("a goroutine of a closed store is left:\n%s", stacks)
		}
	}
}

// faulty is a script during which one operation fails.
type faulty struct {
	mode SyncMode
	at   int64 // number of the operation that fails
	err  error
	seed uint64

	ops    atomic.Int64
	shards atomic.Int64 // reads and writes of a checkpoint
	done   atomic.Bool
	op     vfs.Op // that failed

	ctx      context.Context
	mem      *vfs.Mem
	fs       *vfs.Fault
	rng      *rand.Rand
	s        *Store
	h        *history
	durable  int  // steps that are on disk
	readOnly bool // the store turned so
	maybe    int  // steps at the end of h that failed but may be there
}

func (f *faulty) hook(op vfs.Op) error {
	var short vfs.ShortWrite
	if errors.As(f.err, &short) && op.Kind != vfs.KindWrite {
		return nil
	}
	if (op.Kind == vfs.KindRead || op.Kind == vfs.KindWrite) && strings.Contains(op.Name, checkpointName) && f.shards.Add(1)%32 != 1 {
		return nil // there are hundreds that are all alike
	}
	if f.ops.Add(1)-1 != f.at {
		return nil
	}
	f.op = op
	f.done.Store(true)
	return f.err
}

// expected tells whether an error is the one that was injected, or says that the
// store is read-only; as an exported error, if there is one for it.
func (f *faulty) expected(err error) error {
	if !f.done.Load() {
		return fmt.Errorf("error without a fault: %w", err)
	}
	var short vfs.ShortWrite
	injected := f.err
	if errors.As(f.err, &short) {
		injected = short.Unwrap()
	}
	switch {
	case errors.Is(err, ErrReadOnly):
		f.readOnly = true
		return nil
	case !errors.Is(err, injected):
		return fmt.Errorf("not the error that was injected: %w", err)
	case injected == syscall.ENOSPC && !errors.Is(err, ErrNoSpace) && f.op.Kind != vfs.KindRead:
		return fmt.Errorf("a full disk that is not ErrNoSpace: %w", err)
	}
	return nil
}

func (f *faulty) run(workload func(*faulty) error) error {
	f.ctx = context.Background()
	f.mem = vfs.NewMem()
	f.fs = vfs.NewFault(f.mem)
	f.rng = rand.New(rand.NewPCG(f.seed, 3))
	f.h = newHistory()
	f.fs.SetHook(f.hook)
	err := f.open()
	if err == nil {
		err = workload(f)
	}
	if err == nil {
		err = f.finish()
	}
	if f.s != nil {
		_ = f.s.Close()
	}
	if err == nil {
		err = checkAllClosed(f.mem)
	}
	return err
}

// open opens the store; if the fault prevents that, again without.
func (f *faulty) open() error {
	opts := memOptions(f.fs, f.mode, newTestClock())
	s, err := Open(memDir, opts)
	if err != nil {
		f.s = nil
		if err := f.expected(err); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		if err := checkAllClosed(f.mem); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		if s, err = Open(memDir, opts); err != nil {
			return fmt.Errorf("open after a failed open: %w", err)
		}
	}
	f.s, f.readOnly = s, false
	return nil
}

func (f *faulty) workload() error {
	for i := range 30 {
		if f.readOnly {
			return nil
		}
		var err error
		switch i {
		case 4:
			err = f.step(f.batch(12, 4000)...)
		case 7, 19:
			err = f.step(f.put("large", largeFrom+150<<10))
		case 9:
			err = f.step(modelWrite{key: "key1"})
		case 11:
			err = f.step(append(f.batch(3, 100), f.put("in a batch", largeFrom))...)
		case 14, 23:
			err = f.reopen()
		case 10, 21:
			err = f.sync()
		case 17:
			err = f.step(modelWrite{key: "large"})
		case 13, 20, 25, 28:
			err = f.compact()
		default:
			err = f.step(f.put(fmt.Sprintf("key%d", i%5), 6000+f.rng.IntN(6000)))
		}
		if err == nil {
			err = f.read(fmt.Sprintf("key%d", i%6))
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// upkeep does what a store does beside reads and writes: it checks itself, and makes
// backups and checkpoints.
func (f *faulty) upkeep() error {
	for i := range 12 {
		if f.readOnly {
			return nil
		}
		var err error
		switch i {
		case 2:
			err = f.step(f.put("large", largeFrom))
		case 3, 9:
			err = f.backup()
		case 4, 10:
			err = f.verify()
		case 5:
			err = f.compact()
		case 6, 11:
			f.s.writesCheckpoint()
			err = f.reopen()
		default:
			err = f.step(f.batch(4, 5000)...)
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// backup makes a backup. That makes the store durable first.
func (f *faulty) backup() error {
	_, err := f.s.Backup(f.ctx, backupDir, nil)
	if err == nil {
		f.durable = f.h.len()
		return nil
	}
	return f.expected(err)
}

// verify has the store check itself. What cannot be read is not taken for damage. As
// it only reads, any error is passed on as it is.
func (f *faulty) verify() error {
	err := checkVerify(f.ctx, f.s)
	if err == nil || f.done.Load() && errors.Is(err, f.err) {
		return nil
	}
	return f.expected(err)
}

// compact rewrites some of the segments. If that fails, everything stays as it is.
func (f *faulty) compact() error {
	f.h.compacted = true
	job, err := randomJob(f.s, f.rng)
	if err == nil {
		err = f.s.rewrite(f.ctx, job, false)
	}
	if err == nil {
		return nil
	}
	return f.expected(err)
}

func (f *faulty) put(key string, n int) modelWrite {
	return modelWrite{key, newModelPair(key, noise(f.rng, n), "", 0)}
}

func (f *faulty) batch(n, size int) []modelWrite {
	var writes []modelWrite
	for i := range n {
		writes = append(writes, f.put(fmt.Sprintf("batch%d", i), size))
	}
	return writes
}

// step writes. If that fails, nothing of it may be visible.
func (f *faulty) step(writes ...modelWrite) error {
	f.h.do("", writes...)
	err := perform(f.ctx, f.s, writes...)
	if err == nil {
		if f.mode == SyncAlways {
			f.durable = f.h.len()
		}
		return nil
	}
	if err := f.expected(err); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if f.op.Kind == vfs.KindSync && !f.readOnly {
		return fmt.Errorf("put: a failed sync did not turn the store read-only: %w", err)
	}
	step := f.h.undo()
	for _, w := range writes {
		if err := checkPair(f.ctx, f.s, f.h, w.key); err != nil {
			return fmt.Errorf("after a failed put: %w", err)
		}
	}
	if f.readOnly {
		f.h.do(step.what, writes...)
		f.maybe = 1
		return nil
	}
	// Nor does it come up after a crash.
	p := &crashPoint{mem: f.mem.Kill(), least: f.durable, most: f.h.len()}
	sc, err := recovered(p.mem, p, f.mode, f.h.clone(), f.rng)
	if err != nil {
		return fmt.Errorf("killed after a failed put: %w", err)
	}
	return sc.s.Close()
}

// read reads a key, and the list.
func (f *faulty) read(key string) error {
	if f.readOnly {
		return nil
	}
	var err error
	for range 2 { // the first may get the error
		err = checkPair(f.ctx, f.s, f.h, key)
		if err == nil {
			_, err = f.s.List(f.ctx, ListOptions{})
		}
		if err == nil {
			return nil
		}
		if err := f.expected(err); err != nil {
			return err
		}
		if f.readOnly && f.mode != SyncAlways {
			// What is in memory only cannot be listed any more.
			return checkPair(f.ctx, f.s, f.h, key)
		}
	}
	return fmt.Errorf("a read failed twice: %w", err)
}

func (f *faulty) sync() error {
	err := f.s.Sync(f.ctx)
	if err == nil {
		f.durable = f.h.len()
		return nil
	}
	return f.expected(err)
}

func (f *faulty) reopen() error {
	if err := f.close(); err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return err
	}
	return f.compare()
}

// close closes the store. An error may mean that the last steps are lost,
// without SyncAlways.
func (f *faulty) close() error {
	done := make(chan error, 1)
	go func() { done <- f.s.Close() }()
	select {
	case err := <-done:
		if err == nil {
			f.durable = f.h.len() - f.maybe
			return nil
		}
		return f.expected(err)
	case <-time.After(time.Minute):
		panic("Close does not return")
	}
}

// compare checks a store that was just opened against the history.
func (f *faulty) compare() error {
	var got *contents
	var err error
	for range 2 {
		if got, err = readContents(f.ctx, f.s); err == nil {
			break
		}
		if err := f.expected(err); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("reading failed twice: %w", err)
	}
	if err := f.h.settle(got, f.durable, f.h.len()); err != nil {
		return err
	}
	f.durable, f.maybe = f.h.len(), 0
	return nil
}

// finish does without faults what the store has to be able to do after one.
func (f *faulty) finish() error {
	f.fs.SetHook(nil)
	if !f.readOnly {
		// Without SyncAlways, the first write after a fault may be told of it.
		if err := f.step(f.put("key0", 10)); err != nil {
			return err
		}
		if err := f.s.Sync(f.ctx); err != nil {
			if err := f.expected(err); err != nil {
				return err
			}
		}
	}
	if f.readOnly {
		if f.op.Kind != vfs.KindSync && f.op.Kind != vfs.KindSyncDir {
			return errors.New("the store turned read-only")
		}
		if err := f.s.Put(f.ctx, "k", nil, nil); !errors.Is(err, ErrReadOnly) {
			return fmt.Errorf("put to a store that turned read-only: %w", err)
		}
		visible := f.h.clone()
		for range f.maybe {
			visible.undo()
		}
		if err := checkPairs(f.ctx, f.s, visible); err != nil {
			return fmt.Errorf("the store turned read-only: %w", err)
		}
	} else if err := f.again(); err != nil {
		return err
	}
	if err := f.close(); err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	if err := f.compare(); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return f.again()
}

// again writes and checks everything.
func (f *faulty) again() error {
	if err := perform(f.ctx, f.s, f.put("again", 10000)); err != nil {
		return fmt.Errorf("a write after the fault: %w", err)
	}
	if err := perform(f.ctx, f.s, modelWrite{key: "again"}); err != nil {
		return fmt.Errorf("a write after the fault: %w", err)
	}
	f.h.do("", f.put("again", 10000))
	f.h.do("", modelWrite{key: "again"})
	if err := f.s.Sync(f.ctx); err != nil {
		return fmt.Errorf("a sync after the fault: %w", err)
	}
	f.durable = f.h.len()
	if err := checkContents(f.ctx, f.s, f.h); err != nil {
		return fmt.Errorf("after the fault: %w", err)
	}
	return checkVerify(f.ctx, f.s)
}

func fullDisk(mem *vfs.Mem, mode SyncMode, reopen bool, seed uint64) error {
	room := int64(2 << 20)
	mem.SetCapacity(room)
	sc := newScript(mem, mode, newHistory(), rand.New(rand.NewPCG(seed, 4)))
	if err := sc.open(); err != nil {
		return err
	}
	defer func() { _ = sc.s.Close() }()
	for round := range 4 {
		if err := fill(sc); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if err := checkPairs(sc.ctx, sc.s, sc.h); err != nil {
			return fmt.Errorf("round %d, full: %w", round, err)
		}
		if reopen {
			if err := sc.s.Close(); err != nil && !(errors.Is(err, ErrNoSpace) && mode != SyncAlways) {
				return fmt.Errorf("round %d, close: %w", round, err)
			}
			p := &crashPoint{mem: mem, least: sc.durable, most: sc.begun}
			next, err := recovered(mem, p, mode, sc.h, sc.rng)
			if err != nil {
				return fmt.Errorf("round %d, opened on a full disk: %w", round, err)
			}
			sc = next
		}
		room += 1 << 20
		mem.SetCapacity(room)
		if err := works(sc); err != nil {
			return fmt.Errorf("round %d, with room again: %w", round, err)
		}
		if err := checkContents(sc.ctx, sc.s, sc.h); err != nil {
			return fmt.Errorf("round %d, with room again: %w", round, err)
		}
		// What was acknowledged is on disk by now, in every mode.
		p := &crashPoint{mem: mem.Crash(sc.rng), least: sc.durable, most: sc.begun}
		after, err := recovered(p.mem, p, mode, sc.h.clone(), sc.rng)
		if err != nil {
			return fmt.Errorf("round %d, crash: %w", round, err)
		}
		if err := after.s.Close(); err != nil {
			return err
		}
	}
	return sc.close()
}

// fill writes until the disk is full.
func fill(sc *script) error {
	for range 10_000 {
		w := sc.put(fmt.Sprintf("key%d", sc.rng.IntN(10)), sc.rng.IntN(12<<10))
		if sc.rng.IntN(10) == 0 {
			w = sc.put("large", largeFrom+sc.rng.IntN(100<<10))
		}
		before, least := sc.h.clone(), sc.durable
		err := sc.step(w)
		if err == nil {
			continue
		}
		if !errors.Is(err, ErrNoSpace) {
			return fmt.Errorf("full disk: %w", err)
		}
		sc.h, sc.durable, sc.begun = before, least, before.len()
		return nil
	}
	return errors.New("the disk never filled up")
}

// works writes and syncs until that is as it should be: without SyncAlways, the
// first writes may still be told of the full disk.
func works(sc *script) error {
	for try := 0; ; try++ {
		before := sc.h.clone()
		err := sc.step(sc.put("works", 5000))
		if err == nil {
			break
		}
		if sc.mode == SyncAlways || try == 1000 || !errors.Is(err, ErrNoSpace) {
			return err
		}
		sc.h, sc.begun = before, before.len()
		runtime.Gosched()
	}
	return sc.sync()
}

// TestFaultRetriesWithoutAWriter proves that what was acknowledged before the
// disk was full is written once there is room, though nobody asks for it.
func TestFaultRetriesWithoutAWriter(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetCapacity(1 << 20)
	sc := newScript(mem, SyncNever, newHistory(), rand.New(rand.NewPCG(5, 5)))
	if err := sc.open(); err != nil {
		t.Fatal(err)
	}
	defer sc.s.Close()
	if err := fill(sc); err != nil {
		t.Fatal(err)
	}
	mem.SetCapacity(-1)
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		if queued := sc.s.committer.unwritten(); queued == 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d frames are still not written", queued)
		}
	}
	p := &crashPoint{mem: mem.Kill(), least: sc.acked, most: sc.begun}
	after, err := recovered(p.mem, p, SyncNever, sc.h, sc.rng)
	if err != nil {
		t.Fatal(err)
	}
	if err := after.s.Close(); err != nil {
		t.Fatal(err)
	}
}

// unwritten returns the number of frames that are not in the file.
func (c *committer) unwritten() int {
	c.disk.Lock()
	defer c.disk.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// TestFaultOfOpenLeavesNothingOpen fails every operation of an open in turn, on
// a store that has something to recover, and opens it after each.
func TestFaultOfOpenLeavesNothingOpen(t *testing.T) {
	mem := vfs.NewMem()
	sc := newScript(mem, SyncNever, newHistory(), rand.New(rand.NewPCG(6, 6)))
	if err := sc.open(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := sc.step(sc.put(fmt.Sprintf("key%d", i), 8000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := sc.sync(); err != nil {
		t.Fatal(err)
	}
	killed := mem.Kill()
	_ = sc.s.Close()
	for n := int64(0); ; n++ {
		disk := killed.Kill()
		fault := vfs.NewFault(disk)
		var count atomic.Int64
		fault.SetHook(func(op vfs.Op) error {
			if count.Add(1)-1 == n {
				return syscall.EIO
			}
			return nil
		})
		s, err := Open(memDir, memOptions(fault, SyncNever, newTestClock()))
		if err == nil {
			_ = s.Close()
			if count.Load() <= n {
				break
			}
		} else if !errors.Is(err, syscall.EIO) {
			t.Fatalf("operation %d: %v", n, err)
		}
		fault.SetHook(nil)
		if err := checkAllClosed(disk); err != nil {
			t.Fatalf("operation %d: %v", n, err)
		}
		p := &crashPoint{mem: disk, least: sc.acked, most: sc.begun}
		after, err := recovered(fault, p, SyncNever, sc.h.clone(), sc.rng)
		if err != nil {
			t.Fatalf("operation %d failed, then: %v", n, err)
		}
		if err := after.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	checkNothingRuns(t)
}

// A manifest of which a sync failed takes no more edits, whoever asks: what it says
// on disk is not known. It is nearly full, so it is also rewritten on the way.
func TestFaultOfManifestSync(t *testing.T) {
	for n := int64(0); ; n++ {
		mem := vfs.NewMem()
		fault := vfs.NewFault(mem)
		if err := mem.MkdirAll(memDir); err != nil {
			t.Fatal(err)
		}
		m, err := createManifest(fault, memDir)
		id := uint64(0)
		next := func() error {
			id++
			return m.commit(edit(nil).next(id))
		}
		for err == nil && m.off < m.space-100 {
			err = next()
		}
		if err != nil {
			t.Fatal(err)
		}
		var syncs int64
		var failed vfs.Op
		fault.SetHook(func(op vfs.Op) error {
			if op.Kind != vfs.KindSync && op.Kind != vfs.KindSyncDir {
				return nil
			}
			if syncs++; syncs-1 != n {
				return nil
			}
			failed = op
			return syscall.EIO
		})
		for range 10 {
			if err := next(); (err != nil) != (syncs > n) {
				t.Fatalf("%v failed; then an edit: %v", failed, err)
			}
		}
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
		if syncs <= n {
			break
		}
	}
}
