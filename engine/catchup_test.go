package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// TestCatchUp compacts, writes checkpoints beside writes, and opens what kills and
// power losses leave, again and again: with the checkpoint and without.
func TestCatchUp(t *testing.T) {
	seed := testSeed(t)
	runs := 24
	if underRace || testing.Short() {
		runs = 4
	}
	for i := range runs {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			r := modelRun{mode: syncModes[i%len(syncModes)].mode, key: keySets[i%2].key, seed: seed + uint64(i)}
			used := 0
			if err := r.catchUp(400, &used); err != nil {
				t.Fatalf("%v\nthe last operations:\n\t%s", err, strings.Join(r.recent, "\n\t"))
			}
			if used < 10 {
				t.Errorf("%d crashes with a checkpoint that did not fit", used)
			}
		})
	}
}

func (r *modelRun) catchUp(ops int, used *int) error {
	if err := r.begin(); err != nil {
		return err
	}
	defer func() { _ = r.s.Close() }()
	for i := range ops {
		r.rng = rand.New(rand.NewPCG(r.seed, uint64(i)))
		var err error
		switch n := r.rng.IntN(100); {
		case n < 35:
			err = r.put()
		case n < 40:
			err = r.putReader()
		case n < 60:
			err = r.delete()
		case n < 65:
			err = r.batch()
		case n < 72:
			err = r.jump()
		case n < 88:
			err = r.compact()
		case n < 92:
			err = r.checkpoint()
		case n < 93:
			err = r.reopen(false)
		default:
			err = r.crash(n%2 == 0)
			if s := r.s; err == nil && s.recovered.checkpoint && !s.recovered.fits {
				*used++
			}
		}
		if err != nil {
			return err
		}
	}
	return checkContents(r.ctx, r.s, r.h)
}

// TestCatchUpBesideWriters writes checkpoints while several write, and looks at what
// kills and power losses leave when compaction has rewritten what they wrote.
func TestCatchUpBesideWriters(t *testing.T) {
	seed := testSeed(t)
	rounds := 40
	if underRace || testing.Short() {
		rounds = 6
	}
	for i, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem()
			clock := newTestClock()
			s, err := Open(memDir, memOptions(mem, mode.mode, clock))
			if err != nil {
				t.Fatal(err)
			}
			for n := range rounds {
				if err := besideWriters(s, mem, clock, rand.New(rand.NewPCG(seed, uint64(1000*i+n)))); err != nil {
					t.Error(err)
					break
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// besideWriters writes a checkpoint while others write. Then it compacts, and opens
// what a crash would leave.
func besideWriters(s *Store, mem *vfs.Mem, clock *testClock, rng *rand.Rand) error {
	var writing sync.WaitGroup
	errs := make([]error, 7)
	for w := range 6 {
		own := rand.New(rand.NewPCG(rng.Uint64(), 0))
		writing.Go(func() {
			for n := 0; n < 100 && errs[w] == nil; n++ {
				errs[w] = writeAny(s, own)
			}
		})
	}
	errs[6] = s.checkpointBeside(func() error {
		runtime.Gosched()
		return nil
	})
	writing.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for range rng.IntN(4) {
		job, err := randomJob(s, rng)
		if err != nil {
			return err
		}
		if err := s.rewrite(context.Background(), job, false); err != nil {
			return err
		}
	}
	if err := sameWithoutCheckpoint(mem.Kill(), clock); err != nil {
		return err
	}
	return sameWithoutCheckpoint(mem.Crash(rng), clock)
}

// writeAny puts or deletes a key.
func writeAny(s *Store, rng *rand.Rand) error {
	key := "key" + strconv.Itoa(rng.IntN(300))
	if rng.IntN(4) == 0 {
		return s.Delete(context.Background(), key)
	}
	return s.Put(context.Background(), key, poolValue(rng, rng.IntN(300)), nil)
}

// What a checkpoint has of a record that was not in the log yet may be dropped by
// compaction when it is: it must not come back.
func TestCatchUpWithoutWhatWasPending(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncNever, rand.New(rand.NewPCG(1, 1)))
	sc.must(t, sc.step(sc.put("stays", 100)))
	pending := false
	sc.must(t, sc.s.checkpointBeside(func() error {
		if pending {
			return nil
		}
		pending = true
		w := sc.put("expires", 100)
		w.pair = newModelPair(w.key, w.pair.value, "", sc.clock.second.Load()+5)
		return sc.step(w)
	}))
	e, _ := sc.s.index.Get(sc.s.hasher.Sum("expires"))
	sc.clock.advance(10)
	id := sc.sealLog(t)
	sc.must(t, sc.s.rewrite(sc.ctx, compaction.Job{Reason: compaction.Space, Victims: []uint64{id}, Form: compaction.Young}, false))
	if _, ok := sc.s.index.Get(sc.s.hasher.Sum("expires")); ok || e.Location == 0 {
		t.Fatal("it was not dropped")
	}
	sc.must(t, sameWithoutCheckpoint(mem.Kill(), sc.clock))
	sc.must(t, sc.close())
}

// A write that waits for its turn when a checkpoint is begun is behind it, though it
// has its sequence number already.
func TestCatchUpWithWhatWasQueued(t *testing.T) {
	mem := vfs.NewMem()
	fault := vfs.NewFault(mem)
	sc := openScript(t, fault, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	s := sc.s
	sc.must(t, sc.step(sc.put("key", 100)))
	sc.sealLog(t)
	captured, syncs := make(chan struct{}), make(chan struct{})
	fault.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.KindSync && op.Name == s.path(s.committer.active.name()) {
			syncs <- struct{}{}
			<-captured
		}
		return nil
	})
	// It queues while the disk is held, and is let go when the key's shard is saved.
	s.committer.disk.Lock()
	written := make(chan error)
	go func() { written <- sc.step(sc.put("key", 200)) }()
	s.committer.awaitQueued()
	at, seq := s.committer.markLocked()
	s.committer.disk.Unlock()
	<-syncs
	w := checkpointWriter{s: s, at: at, seq: seq}
	w.finish = func() error {
		close(captured)
		fault.SetHook(nil)
		err := <-written
		w.end = s.committer.synced()
		return err
	}
	sc.must(t, w.write())
	id := sc.sealLog(t)
	sc.must(t, s.rewrite(sc.ctx, compaction.Job{Reason: compaction.Space, Victims: []uint64{id}, Form: compaction.Young}, false))
	sc.must(t, sameWithoutCheckpoint(mem.Kill(), sc.clock))
}

// awaitQueued returns when a write is queued.
func (c *committer) awaitQueued() {
	for queued := 0; queued == 0; runtime.Gosched() {
		c.mu.Lock()
		queued = len(c.queue)
		c.mu.Unlock()
	}
}

// checkpointBeside writes a checkpoint, and a key meanwhile.
func (sc *script) checkpointBeside(t *testing.T) {
	t.Helper()
	put := false
	sc.must(t, sc.s.checkpointBeside(func() error {
		if put {
			return nil
		}
		put = true
		return sc.step(sc.put("beside", 10))
	}))
}

// What a checkpoint has was on disk: if the log is shorter, that is damage.
func TestCatchUpMissesTheEndOfTheLog(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	sc.must(t, sc.step(sc.put("key", 100)))
	sc.checkpointBeside(t)
	disk := mem.Kill()
	active := sc.s.committer.active
	file, err := disk.OpenReadWrite(sc.s.path(active.name()))
	sc.must(t, err)
	sc.must(t, file.Truncate(active.end.Load()-8))
	sc.must(t, file.Close())
	if _, err := Open(memDir, memOptions(disk, SyncAlways, sc.clock)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("opened without the end of the log: %v", err)
	}
}

// A group that is on disk when a checkpoint is begun, but not visible yet, is waited
// for.
func TestCatchUpWithWhatWasJustWritten(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	c := &sc.s.committer
	sc.must(t, sc.step(sc.put("key", 100)))
	sc.sealLog(t)
	sc.must(t, sc.step(sc.put("other", 100)))
	keys, end := c.active.keys.Load(), c.active.end.Load()
	c.disk.Lock()
	written := make(chan error, 1)
	go func() { written <- sc.step(sc.put("key", 200)) }()
	c.awaitQueued()
	keys.mu.Lock() // publishing needs it
	c.disk.Unlock()
	for c.active.end.Load() == end {
		runtime.Gosched()
	}
	go func() {
		for range 10_000 { // in which it could be begun, if it did not wait
			runtime.Gosched()
		}
		keys.mu.Unlock()
	}()
	sc.must(t, sc.s.checkpointBeside(func() error { return nil }))
	sc.must(t, <-written)
	sc.sealLog(t)
	sc.must(t, sameWithoutCheckpoint(mem.Kill(), sc.clock))
}

// What is written when the last shard is saved is not in the counts of a checkpoint
// that says that nobody wrote.
func TestCatchUpCountsNothingTwice(t *testing.T) {
	for _, mode := range syncModes {
		mem := vfs.NewMem()
		sc := openScript(t, mem, mode.mode, rand.New(rand.NewPCG(1, 1)))
		sc.must(t, sc.step(sc.put("key", 100)))
		sc.must(t, sc.sync())
		w := sc.s.besideWriter(nil)
		finish := w.finish
		w.finish = func() error {
			err := finish()
			sc.must(t, sc.step(sc.put("key", 200)))
			return err
		}
		sc.must(t, w.write())
		sc.must(t, sc.sync())
		sc.must(t, sameWithoutCheckpoint(mem.Kill(), sc.clock))
		sc.must(t, sc.close())
	}
}

// The log has a pointer to a value that is gone, and something newer behind it.
func TestCatchUpWithDeadPointers(t *testing.T) {
	for _, write := range []modelWrite{{key: "a"}, {"a", newModelPair("a", []byte("small"), "", 0)}} {
		mem := vfs.NewMem()
		sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
		s := sc.s
		sc.must(t, sc.step(sc.put("stays", 100)))
		sc.sealLog(t)
		sc.checkpointBeside(t)
		sc.must(t, sc.step(sc.put("a", largeFrom)))
		sc.sealLog(t)
		sc.must(t, sc.step(write))
		sc.must(t, s.sealAllValues())
		job := compaction.Job{Reason: compaction.Dead, Form: compaction.Values}
		for _, sg := range s.segs.all() {
			if sg.kind == segment.Value {
				job.Victims = append(job.Victims, sg.id)
			}
		}
		sc.must(t, s.rewrite(sc.ctx, job, false))
		if s.segs.find(job.Victims[0]) != nil {
			t.Fatal("the value is still there")
		}
		sc.must(t, sameWithoutCheckpoint(mem.Kill(), sc.clock))
	}
}

// A checkpoint that an open did not use is never used: numbers that were only in it
// are given again.
func TestCatchUpWithRefusedCheckpoint(t *testing.T) {
	mem := vfs.NewMem()
	fault := vfs.NewFault(mem)
	sc := openScript(t, fault, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	sc.must(t, sc.step(sc.put("key", 100)))
	sc.must(t, sc.close())
	sc.must(t, sc.open())
	fault.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.KindWrite && op.Name == sc.s.path(sc.s.committer.active.name()) {
			return syscall.ENOSPC
		}
		return nil
	})
	for range 20 {
		if err := sc.s.Put(sc.ctx, "fails", nil, nil); err == nil {
			t.Fatal("a put on a full disk")
		}
	}
	fault.SetHook(nil)
	at, seq := sc.s.committer.mark()
	w := checkpointWriter{s: sc.s, at: at, seq: seq + 1, end: at} // as if one more had failed meanwhile
	sc.must(t, w.write())
	disk := mem.Kill()
	failing := vfs.NewFault(disk)
	failing.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.KindRead && strings.HasSuffix(op.Name, checkpointName) {
			return syscall.EIO
		}
		return nil
	})
	again := openScript(t, failing, SyncAlways, sc.rng)
	failing.SetHook(nil)
	if again.s.recovered.checkpoint {
		t.Fatal("the checkpoint was used")
	}
	for i := range 5 {
		again.must(t, again.step(again.put(fmt.Sprint("new", i), 100)))
	}
	again.sealLog(t)
	sc.must(t, sameWithoutCheckpoint(disk.Crash(sc.rng), sc.clock))
	after := openScript(t, disk.Kill(), SyncAlways, sc.rng)
	if n := after.s.Usage().Keys; n != 6 {
		t.Errorf("%d keys, want 6", n)
	}
}

// A checkpoint of the store that a backup is of does not fit the store that the
// backup becomes when it is written to.
func TestCatchUpWithCheckpointOfAnotherCopy(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	sc.must(t, sc.step(sc.put("key", 100)))
	if _, err := sc.s.Backup(sc.ctx, "/backup", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		sc.must(t, sc.step(sc.put(fmt.Sprint("original", i), 100)))
	}
	sc.sealLog(t)
	sc.s.writesCheckpoint()
	sc.must(t, sc.close())
	other := readMem(t, mem, memDir+"/"+checkpointName)
	s, err := Open("/backup", memOptions(mem, SyncAlways, sc.clock))
	sc.must(t, err)
	for i := range 200 { // until its numbers are higher
		sc.must(t, s.Put(sc.ctx, fmt.Sprint("copy", i%10), make([]byte, i), nil))
		if i%50 == 0 {
			_, err := s.committer.rollNow()
			sc.must(t, err)
			sc.must(t, s.background.sealNow())
		}
	}
	sc.must(t, s.Close())
	file, err := mem.Create("/backup/" + checkpointName)
	sc.must(t, err)
	_, err = file.WriteAt(other, 0)
	sc.must(t, err)
	sc.must(t, file.Close())
	s, err = Open("/backup", memOptions(mem, SyncAlways, sc.clock))
	sc.must(t, err)
	defer s.Close()
	if s.recovered.checkpoint || s.Usage().Keys != 11 {
		t.Errorf("%d keys, checkpoint used: %v", s.Usage().Keys, s.recovered.checkpoint)
	}
}

// The compactor writes a checkpoint when it is time to, and not into the room that
// others need. After it, a close and an open read next to nothing.
func TestTendCheckpoint(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	c := &sc.s.compactor
	st := &compaction.State{Free: -1}
	if c.tendCheckpoint(st, true) {
		t.Error("a checkpoint of nothing")
	}
	for i := range 2 * checkpointQuiet / largeFrom {
		sc.must(t, sc.step(sc.put(fmt.Sprint("key", i), largeFrom-100)))
	}
	if c.tendCheckpoint(&compaction.State{Free: compaction.Reserve(0)}, true) {
		t.Error("a checkpoint on a full disk")
	}
	if c.tendCheckpoint(st, false) {
		t.Error("a checkpoint for less than is worth it while others write")
	}
	if !c.tendCheckpoint(st, true) || sc.s.Stats().CheckpointBytes == 0 {
		t.Error("no checkpoint")
	}
	if c.tendCheckpoint(st, true) {
		t.Error("a second checkpoint of the same")
	}
	sc.must(t, sc.close())
	sc.must(t, sc.open())
	if r := &sc.s.recovered; !r.fits || r.scanned > 0 {
		t.Errorf("%d bytes of the log were read; the checkpoint fits: %v", r.scanned, r.fits)
	}
}

// A large value that was put after the checkpoint, and whose record compaction has
// dropped without a trace in other segments, counts as garbage.
func TestCatchUpCountsLostValues(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	sc.must(t, sc.step(sc.put("stays", largeFrom)))
	sc.sealLog(t)
	sc.s.writesCheckpoint()
	sc.must(t, sc.close())
	sc.must(t, sc.open())
	for _, key := range []string{"a", "b"} {
		sc.must(t, sc.step(sc.put(key, 100)))
		sc.sealLog(t) // the log is in a segment now that the checkpoint does not know
	}
	w := sc.put("expires", largeFrom)
	w.pair = newModelPair(w.key, w.pair.value, "", sc.clock.second.Load()+5)
	sc.must(t, sc.step(w))
	sc.clock.advance(10)
	id := sc.sealLog(t)
	before := len(sc.s.segs.all())
	sc.must(t, sc.s.rewrite(sc.ctx, compaction.Job{Reason: compaction.Dead, Victims: []uint64{id}, Form: compaction.Young}, false))
	if after := len(sc.s.segs.all()); after != before-1 {
		t.Fatalf("%d segments, before the compaction %d", after, before)
	}
	sc.must(t, sameWithoutCheckpoint(mem.Kill(), sc.clock))
}

// sameWithoutCheckpoint opens copies of a store with its checkpoint and without.
// What the index and the counts are must not depend on that.
func sameWithoutCheckpoint(disk *vfs.Mem, clock *testClock) error {
	if _, err := disk.Stat(memDir + "/" + checkpointName); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	with := disk.Kill()
	without := disk.Kill()
	if err := without.Remove(memDir + "/" + checkpointName); err != nil {
		return err
	}
	a, used, err := openedState(with, clock)
	if err != nil {
		return fmt.Errorf("with the checkpoint: %w", err)
	}
	if !used {
		return nil
	}
	b, _, err := openedState(without, clock)
	if err != nil {
		return fmt.Errorf("without the checkpoint: %w", err)
	}
	if err := a.differs(b); err != nil {
		return fmt.Errorf("with the checkpoint (1) and without (2): %w", err)
	}
	return nil
}

// storeState is what opening makes of the files.
type storeState struct {
	entries map[index.Hash]stateEntry
	segs    map[uint64]stateCounts
	seq     uint64
}

type stateEntry struct {
	segment    uint64
	unit       uint32
	ordinal    uint8
	size       int64
	expiration uint32
}

type stateCounts struct {
	puts, live Count
	tombstones int64
}

func openedState(disk *vfs.Mem, clock *testClock) (st *storeState, used bool, err error) {
	opts := memOptions(disk, SyncAlways, clock)
	opts.ReadOnly = true
	s, err := Open(memDir, opts)
	if err != nil {
		return nil, false, err
	}
	defer s.Close()
	return stateOf(s), s.recovered.checkpoint, nil
}

func stateOf(s *Store) *storeState {
	st := &storeState{map[index.Hash]stateEntry{}, map[uint64]stateCounts{}, s.recovered.maxSeq}
	for i := range index.Shards {
		s.index.Scan(i, func(h index.Hash, e index.Entry) bool {
			loc := e.Location
			st.entries[h] = stateEntry{s.segs.at(loc.Slot()).id, loc.Unit(), loc.Ordinal(), e.Size, e.Expiration}
			return true
		})
	}
	for _, sg := range s.segs.all() {
		st.segs[sg.id] = stateCounts{sg.counts.puts.count(), sg.counts.live(), sg.counts.tombstones.Load()}
	}
	return st
}

func (st *storeState) differs(o *storeState) error {
	for h, e := range st.entries {
		if other, ok := o.entries[h]; !ok || other != e {
			return fmt.Errorf("entry %x: %+v (1), %+v, %v (2)", h, e, other, ok)
		}
	}
	for h, e := range o.entries {
		if _, ok := st.entries[h]; !ok {
			return fmt.Errorf("entry %x: none (1), %+v (2)", h, e)
		}
	}
	if !maps.Equal(st.segs, o.segs) {
		return fmt.Errorf("segments: %+v (1), %+v (2)", st.segs, o.segs)
	}
	if st.seq < o.seq { // of the checkpoint, it may be one that no record has
		return fmt.Errorf("sequence %d (1), %d (2)", st.seq, o.seq)
	}
	return nil
}
