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
	"testing"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/index"
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
	for queued := 0; queued == 0; runtime.Gosched() {
		s.committer.mu.Lock()
		queued = len(s.committer.queue)
		s.committer.mu.Unlock()
	}
	at, seq := s.committer.markLocked()
	s.committer.disk.Unlock()
	<-syncs
	w := checkpointWriter{s: s, at: at, seq: seq, yield: func() error { return nil }}
	sc.must(t, w.write(func() (position, error) {
		close(captured)
		fault.SetHook(nil)
		err := <-written
		return s.committer.synced(), err
	}))
	id := sc.sealLog(t)
	sc.must(t, s.rewrite(sc.ctx, compaction.Job{Reason: compaction.Space, Victims: []uint64{id}, Form: compaction.Young}, false))
	sc.must(t, sameWithoutCheckpoint(mem.Kill(), sc.clock))
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
