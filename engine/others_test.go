package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/engine/internal/vfs"
)

// Bugs that other stores had, each with a test by its name: what this store does to
// be without them is proved there, and elsewhere in more depth.

// A merge of some segments that drops a tombstone, or an expired version, while a
// segment that is not merged holds an older version, which comes back
// (basho/bitcask#82).
func TestOthersPartialMergeDropsTombstone(t *testing.T) {
	for _, form := range []compaction.Form{compaction.Young, compaction.Settled} {
		mem := vfs.NewMem()
		sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
		sc.h.compacted = true
		for _, key := range []string{"deleted", "expired", "live"} {
			sc.must(t, sc.step(sc.put(key, 100)))
		}
		older := sc.sealLog(t)
		expired := newModelPair("expired", []byte("newer"), "", sc.clock.second.Load()+10)
		sc.must(t, sc.step(modelWrite{"expired", expired}))
		sc.must(t, sc.step(modelWrite{key: "deleted"}))
		newer := sc.sealLog(t)
		sc.clock.advance(20)
		for range 3 { // what was carried on is merged again
			job := compaction.Job{Reason: compaction.Space, Victims: []uint64{newer}, Form: form}
			sc.must(t, sc.s.compactor.do(sc.ctx, job, false))
			sc.wantRebuilt(t, mem)
			sc.must(t, checkContents(sc.ctx, sc.s, sc.h))
			newer = sc.s.segs.all()[len(sc.s.segs.all())-1].id
		}
		if sc.s.segs.find(older) == nil {
			t.Fatal("the older versions were merged too")
		}
		sc.must(t, sc.s.Compact(sc.ctx))
		sc.wantRebuilt(t, mem)
	}
}

// wantRebuilt checks the pairs of the store, and all of what a power loss leaves of
// it when it is opened without a checkpoint. Both hold the whole history.
func (sc *script) wantRebuilt(t *testing.T, mem *vfs.Mem) {
	t.Helper()
	sc.must(t, checkPairs(sc.ctx, sc.s, sc.h))
	disk := mem.Crash(sc.rng)
	_ = disk.Remove(memDir + "/" + checkpointName)
	n := sc.h.len()
	after := newScript(disk, sc.mode, sc.h.clone(), sc.rng)
	after.clock = sc.clock
	sc.must(t, after.recover(&crashPoint{least: n, most: n}))
	sc.must(t, after.close())
}

// A delete while a merge copies the version that it deletes, which the merge then
// brings back (basho/bitcask#148).
func TestOthersDeleteRacesMerge(t *testing.T) {
	raceMerge(t, func(sc *script) error { return sc.step(modelWrite{key: "key"}) })
}

// A put that is lost to the older version of its key that a compaction writes back
// (dgraph-io/badger#2310).
func TestOthersPutRacesMerge(t *testing.T) {
	raceMerge(t, func(sc *script) error { return sc.step(sc.put("key", 200)) })
}

// raceMerge writes at each stage of a merge, and looks at the outcome at each stage
// after that.
func raceMerge(t *testing.T, write func(sc *script) error) {
	const stages = 4
	for at := range stages {
		mem := vfs.NewMem()
		sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(2, uint64(at))))
		sc.h.compacted = true
		for _, key := range []string{"before", "key", "later"} {
			sc.must(t, sc.step(sc.put(key, 100)))
		}
		j, added := startJob(t, sc.s, sc.sealLog(t))
		for stage := range stages {
			if stage == at {
				sc.must(t, write(sc))
			}
			switch stage {
			case 1:
				sc.must(t, mem.SyncDir(memDir))
				sc.must(t, j.replace(added))
			case 2:
				sc.must(t, j.move(added))
			case 3:
				j.drop(added)
				j.release()
			}
			sc.wantRebuilt(t, mem)
		}
		sc.must(t, checkContents(sc.ctx, sc.s, sc.h))
		sc.must(t, sc.close())
	}
}

// Entries that are loaded from a damaged hint file without a check (basho/bitcask#212).
// Here these are the checkpoint, which is not used then, and the footers.
func TestOthersDamagedHintFile(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(3, 3)))
	for i := range 30 {
		w := sc.put(fmt.Sprintf("key%02d", i), 10)
		w.pair = newModelPair(w.key, w.pair.value, `{"a":1}`, sc.clock.second.Load()+1000)
		sc.must(t, sc.step(w))
	}
	for i := range 10 {
		sc.must(t, sc.step(modelWrite{key: fmt.Sprintf("key%02d", i*3)}))
	}
	log := sc.s.segs.find(sc.sealLog(t))
	sc.s.writesCheckpoint()
	sc.must(t, sc.close())

	step := int64(1)
	if testing.Short() || underRace {
		step = 9
	}
	// damage opens the store for each damaged byte, and reads everything.
	damage := func(name string, from int64, check func(s *Store, err error)) {
		b := readFile(t, mem, name)
		for off := from; off < int64(len(b)); off += step {
			disk := mem.Kill()
			if name != checkpointName {
				sc.must(t, disk.Remove(memDir+"/"+checkpointName))
			}
			writeFile(t, disk, name, []byte{b[off] ^ 1<<(off%8)}, off)
			s, err := Open(memDir, memOptions(disk, SyncAlways, newTestClock()))
			if err == nil {
				err = checkContents(sc.ctx, s, sc.h)
				_ = s.Close()
			}
			if check(s, err); t.Failed() {
				t.Fatalf("%s at %d", name, off)
			}
		}
		t.Logf("%d bytes of %s, one in %d of them damaged", int64(len(b))-from, name, step)
	}
	damage(checkpointName, 0, func(s *Store, err error) {
		if err != nil || s.recovered.checkpoint {
			t.Errorf("%v, checkpoint used: %v", err, err == nil)
		}
	})
	damage(log.name(), log.sealed.Load().footer.Totals().DataEnd, func(_ *Store, err error) {
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
	})
}

// A first file that is torn while it is made, and can never be opened again
// (etcd-io/bbolt#567). Here it is the manifest, cut at every byte: before it got its
// name there is no store yet; after, it cannot be torn by a crash, and what is there
// is never taken for an empty directory.
func TestOthersTornFirstFile(t *testing.T) {
	mem, _ := closedStore(t, 0)
	whole := readFile(t, mem, manifestName)
	for n := 0; n <= 200; n++ {
		fresh := vfs.NewMem()
		if err := fresh.MkdirAll(memDir); err != nil {
			t.Fatal(err)
		}
		writeFile(t, fresh, lockName, []byte{}, 0)
		writeFile(t, fresh, manifestTmpName, whole[:n], 0)
		s, err := Open(memDir, memOptions(fresh, SyncAlways, newTestClock()))
		if err != nil {
			t.Fatalf("%d bytes of %s: %v", n, manifestTmpName, err)
		}
		_ = s.Close()

		torn := mem.Kill()
		f, err := torn.OpenReadWrite(memDir + "/" + manifestName)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(int64(min(n, manifestHeader+editHeader))); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		if _, err := Open(memDir, memOptions(torn, SyncAlways, newTestClock())); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d bytes of %s: %v", n, manifestName, err)
		}
	}
}

// A full disk that leaves a store corrupt (syndtr/goleveldb#61). The disk fills up and
// gets room again, several times: what was acknowledged stays, and writes work again
// once there is room, with a reopen in between or not.
func TestOthersFullDisk(t *testing.T) {
	seed := testSeed(t)
	for _, mode := range syncModes {
		for _, reopen := range []bool{false, true} {
			for _, reserve := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/reopen %v/reserve %v", mode.name, reopen, reserve), func(t *testing.T) {
					mem := vfs.NewMem()
					mem.NoReserve = !reserve // writes run out of space, not only preallocations
					if err := fullDisk(mem, mode.mode, reopen, seed); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	}
	checkNothingRuns(t)
}

// Intact frames behind a cut that verify again: a file system may well hand them out
// once more. They were lost once, and a log that has grown up to them must not make
// them count.
func TestOthersFramesBehindCut(t *testing.T) {
	mem := vfs.NewMem()
	h := newHistory()
	sc := newScript(mem, SyncNever, h, rand.New(rand.NewPCG(7, 7)))
	if err := sc.open(); err != nil {
		t.Fatal(err)
	}
	defer sc.s.Close()
	var ends []int64
	for i := range 4 {
		if err := sc.step(sc.put(fmt.Sprintf("key%d", i), 1000)); err != nil {
			t.Fatal(err)
		}
		if err := sc.s.committer.flushAll(); err != nil { // a frame each, not synced
			t.Fatal(err)
		}
		ends = append(ends, sc.s.committer.active.end.Load())
	}
	mem = mem.Kill()
	old := readFile(t, mem, segmentName(1))
	writeFile(t, mem, segmentName(1), make([]byte, 64), ends[0])

	cut, err := recovered(mem, &crashPoint{least: 1, most: 1}, SyncAlways, h, sc.rng)
	if err != nil {
		t.Fatal(err)
	}
	defer cut.s.Close()
	if cut.s.recovered.cutBytes == 0 {
		t.Fatal("nothing was cut")
	}
	if now, was := cut.s.committer.lastSeq(), sc.s.committer.lastSeq(); now < was {
		t.Fatalf("sequence numbers go on at %d, lost frames had up to %d", now, was)
	}
	// Right behind the cut, also before the log goes on there.
	back := mem.Kill()
	writeFile(t, back, segmentName(1), old[ends[0]:ends[3]], ends[0])
	for _, cuts := range []bool{true, false} {
		again, err := recovered(back, &crashPoint{least: 1, most: 1}, SyncAlways, h.clone(), sc.rng)
		if err != nil {
			t.Fatal(err)
		}
		if n := again.s.recovered.cutBytes; (n > 0) != cuts {
			t.Fatalf("%d bytes were cut", n)
		}
		back = back.Kill()
		if err := again.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A frame as long as the one that was lost, up to the next.
	if err := cut.step(cut.put("new1", 1000)); err != nil {
		t.Fatal(err)
	}
	if end := cut.s.committer.active.end.Load(); end != ends[1] {
		t.Fatalf("the new frame ends at %d, the old one at %d", end, ends[1])
	}
	mem = mem.Kill()
	writeFile(t, mem, segmentName(1), old[ends[1]:ends[3]], ends[1])
	after, err := recovered(mem, &crashPoint{least: 2, most: 2}, SyncAlways, h, sc.rng)
	if err != nil {
		t.Fatal(err)
	}
	defer after.s.Close()
	// Also not once the log has grown further, to their end.
	if err := after.step(after.put("new2", 1000)); err != nil {
		t.Fatal(err)
	}
	mem = mem.Kill()
	writeFile(t, mem, segmentName(1), old[ends[2]:ends[3]], ends[2])
	last, err := recovered(mem, &crashPoint{least: 3, most: 3}, SyncAlways, h, sc.rng)
	if err != nil {
		t.Fatal(err)
	}
	if err := last.s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Data accepted from the page cache after a failed sync (PostgreSQL, 2018): the
// cache then holds what the disk does not, and never will. Each sync of the crash
// scripts fails in turn. What a recovery accepts has to survive the power loss that
// comes next.
func TestOthersPageCacheAfterFailedSync(t *testing.T) {
	seed := testSeed(t)
	total := newCrashTotal(t)
	for _, mode := range syncModes {
		for _, c := range crashScripts {
			t.Run(mode.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				var tally crashTally
				n := int64(0)
				for again := true; again; n++ {
					every := uint64(2)
					if testing.Short() || underRace {
						every = 7
					}
					if (uint64(n)+seed)%every != 0 {
						continue
					}
					var err error
					if again, err = failSync(&tally, &c, mode.mode, n, seed); err != nil {
						t.Fatalf("sync %d: %v", n, err)
					}
				}
				t.Log(tally)
				total.add(tally)
			})
		}
	}
}

// failSync does a script with sync number n failing. It reports whether there was
// such a one.
func failSync(y *crashTally, c *crashScript, mode SyncMode, n int64, seed uint64) (bool, error) {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	mem := vfs.NewMem()
	fault := vfs.NewFault(mem)
	sc := newScript(fault, mode, newHistory(), rand.New(rand.NewPCG(seed, 1)))
	var syncs atomic.Int64
	var failed atomic.Pointer[vfs.Op]
	err := c.perform(sc, func() {
		fault.SetHook(func(op vfs.Op) error {
			if (op.Kind == vfs.KindSync || op.Kind == vfs.KindSyncDir) && syncs.Add(1)-1 == n {
				failed.Store(&op)
				return syscall.EIO
			}
			return nil
		})
	})
	op := failed.Load()
	if op == nil {
		return false, err
	}
	y.cuts++
	rec := newRecorder(mem, 2, rng)
	rec.bounds = sc.bounds
	rec.take(*op)
	if sc.s != nil {
		_ = sc.s.Close()
	}
	rec.take(*op)
	for _, p := range rec.points {
		if err := y.check(p, sc.h.clone(), mode, rng, 0, rng.IntN(6)/5); err != nil {
			return true, fmt.Errorf("%v: %w", p, err)
		}
	}
	return true, nil
}
