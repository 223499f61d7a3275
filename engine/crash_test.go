package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// crashScript is what is cut at every operation. It starts on an open store,
// which it may close and open again on the way.
type crashScript struct {
	name    string
	prepare func(sc *script) error // before anything is cut; may be nil
	run     func(sc *script) error
}

var crashScripts = []crashScript{
	{"puts", nil, func(sc *script) error {
		for i := range 60 {
			key := fmt.Sprintf("key%d", i%13)
			w := sc.put(key, sc.rng.IntN(300))
			if i%5 == 4 {
				w.pair = nil
			}
			if err := sc.step(w); err != nil {
				return err
			}
			if i%17 == 16 {
				if err := sc.sync(); err != nil {
					return err
				}
			}
		}
		return nil
	}},
	{"batches of several frames", nil, func(sc *script) error {
		for i := range 12 {
			var writes []modelWrite
			for j := range 1 + sc.rng.IntN(20) {
				w := sc.put(fmt.Sprintf("key%d", sc.rng.IntN(30)), sc.rng.IntN(6<<10))
				if j%6 == 5 {
					w.pair = nil
				}
				writes = append(writes, w)
			}
			if err := sc.step(writes...); err != nil {
				return err
			}
			if i%5 == 4 {
				if err := sc.sync(); err != nil {
					return err
				}
			}
		}
		return nil
	}},
	{"large values", nil, func(sc *script) error {
		for i := range 12 {
			w := sc.put(fmt.Sprintf("key%d", i%5), largeFrom+sc.rng.IntN(200<<10))
			small := sc.put("small", 20)
			var err error
			switch i % 3 {
			case 0:
				err = sc.step(w)
			case 1:
				err = sc.step(w, small, sc.put("other", largeFrom))
			default:
				err = sc.step(small)
			}
			if err == nil && i == 5 {
				err = sc.sync()
			}
			if err != nil {
				return err
			}
		}
		return nil
	}},
	{"sealed values", nil, func(sc *script) error {
		for i := range 8 {
			w := sc.put(fmt.Sprintf("key%d", i%5), largeFrom+sc.rng.IntN(100<<10))
			if err := sc.step(w, sc.put("small", 20)); err != nil {
				return err
			}
			if i%3 != 2 {
				continue
			}
			if _, err := sc.s.sealValues(sc.s.values.open[0]); err != nil {
				return sc.s.syncFailed(err)
			}
		}
		return nil
	}},
	{"rolls and footers", nil, func(sc *script) error {
		for i := range 36 {
			if err := sc.step(sc.put(fmt.Sprintf("key%d", i%7), 8000+sc.rng.IntN(8000))); err != nil {
				return err
			}
		}
		return nil
	}},
	{"closes", nil, func(sc *script) error {
		for i := range 4 {
			for j := range i * 2 {
				if err := sc.step(sc.put(fmt.Sprintf("key%d", j), 100+i)); err != nil {
					return err
				}
			}
			if err := sc.close(); err != nil {
				return err
			}
			if err := sc.open(); err != nil {
				return err
			}
		}
		return nil
	}},
	{"compactions", func(sc *script) error {
		sc.h.compacted = true
		return sc.churn(60)
	}, func(sc *script) error {
		for range 6 {
			if err := sc.compact(); err != nil {
				return err
			}
			if err := sc.churn(8); err != nil {
				return err
			}
		}
		return sc.compact()
	}},
	{"compactions of values and batches", func(sc *script) error {
		sc.h.compacted = true
		return nil
	}, func(sc *script) error {
		for range 6 {
			for i := range 5 {
				writes := []modelWrite{sc.put(fmt.Sprintf("large%d", sc.rng.IntN(5)), largeFrom+sc.rng.IntN(20<<10))}
				for range sc.rng.IntN(6) {
					writes = append(writes, sc.put(fmt.Sprintf("key%d", sc.rng.IntN(8)), sc.rng.IntN(6<<10)))
				}
				if i == 3 {
					writes = append(writes, modelWrite{key: fmt.Sprintf("large%d", sc.rng.IntN(5))})
				}
				if err := sc.step(writes...); err != nil {
					return err
				}
			}
			if err := sc.s.sealAllValues(); err != nil {
				return err
			}
			if err := sc.compact(); err != nil {
				return err
			}
		}
		return nil
	}},
	{"a checkpoint", func(sc *script) error {
		// Less is not worth one.
		for i := range 2 * checkpointTail / largeFrom {
			if err := sc.step(sc.put(fmt.Sprintf("key%d", i%20), largeFrom-1)); err != nil {
				return err
			}
		}
		return sc.sync()
	}, func(sc *script) error {
		if err := sc.close(); err != nil {
			return err
		}
		if err := sc.open(); err != nil {
			return err
		}
		if !sc.s.recovered.checkpoint {
			return errors.New("there is no checkpoint")
		}
		if err := sc.step(sc.put("key1", 10), sc.put("key2", 100)); err != nil {
			return err
		}
		return sc.step(modelWrite{key: "key3"})
	}},
}

// crashCopiesEnv sets how many random survivals are tried of what was not synced
// at each operation.
const crashCopiesEnv = "FIRN_CRASH_COPIES"

// TestCrashAtEveryOperation cuts scripts at every operation of the file system,
// by kills and by power losses that leave random parts of what was not synced.
// What comes back has to be a prefix of the history with all that was
// acknowledged as durable, every batch whole. Whatever was accepted then has to
// survive the next power loss, also one during recovery, twice in a row.
func TestCrashAtEveryOperation(t *testing.T) {
	seed := testSeed(t)
	copies := 1
	if v := os.Getenv(crashCopiesEnv); v != "" {
		var err error
		if copies, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range syncModes {
		for _, c := range crashScripts {
			t.Run(mode.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(seed, 0))
				mem := vfs.NewMem()
				mem.StaleData = seed%2 == 0
				rec := newRecorder(mem, copies, rng)
				rec.skip = func(op vfs.Op) bool {
					// There are hundreds that are all alike.
					return op.Kind == vfs.KindWrite && strings.HasSuffix(op.Name, checkpointTmpName) && rec.rng.IntN(30) > 0
				}
				sc := newScript(rec.fault, mode.mode, newHistory(), rand.New(rand.NewPCG(seed, 1)))
				if err := c.perform(sc, func() { rec.start(sc.bounds) }); err != nil {
					t.Fatal(err)
				}
				tally := checkPoints(t, rec.stop(), sc.h, mode.mode, rng)
				t.Logf("%d operations, %d crashes, %d of them in a recovery", rec.ops, tally.crashes, tally.nested)
			})
		}
	}
}

// perform opens a store, does the script, and closes it. ready is called when
// what is of interest begins.
func (c *crashScript) perform(sc *script, ready func()) error {
	if c.prepare == nil {
		ready()
	}
	if err := sc.open(); err != nil {
		return err
	}
	if c.prepare != nil {
		if err := c.prepare(sc); err != nil {
			return err
		}
		ready()
	}
	if err := c.run(sc); err != nil {
		return err
	}
	return sc.close()
}

// TestCrashAfterAFailedSync has each sync of the scripts fail in turn, after which
// the page cache holds what the disk does not, and never will. What a recovery
// accepts from there has to survive the power loss that comes next.
func TestCrashAfterAFailedSync(t *testing.T) {
	seed := testSeed(t)
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
				t.Logf("%d syncs, %d crashes, %d of them in a recovery", n-1, tally.crashes, tally.nested)
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
	rec := newRecorder(mem, 2, rng)
	rec.bounds = sc.bounds
	rec.take(*op)
	if sc.s != nil {
		_ = sc.s.Close()
	}
	rec.take(*op)
	for _, p := range rec.points {
		if err := y.check(p, sc.h.clone(), mode, rng, rng.IntN(2)); err != nil {
			return true, fmt.Errorf("%v: %w", p, err)
		}
	}
	return true, nil
}

// crashTally counts what was tried.
type crashTally struct{ crashes, nested int }

func checkPoints(t *testing.T, points []*crashPoint, h *history, mode SyncMode, rng *rand.Rand) crashTally {
	t.Helper()
	var tally crashTally
	for i, p := range points {
		if underRace && rng.IntN(20) > 0 {
			continue
		}
		nested := 0
		if i%4 == 0 {
			nested = 2
		}
		if err := tally.check(p, h.clone(), mode, rng, nested); err != nil {
			t.Fatalf("%v: %v", p, err)
		}
	}
	return tally
}

// check recovers from a crash, and from others on the way if nested is not 0;
// writes on, and crashes again.
func (y *crashTally) check(p *crashPoint, h *history, mode SyncMode, rng *rand.Rand, nested int) error {
	y.crashes++
	if nested > 0 {
		if err := y.during(p, h.clone(), mode, rng, nested-1); err != nil {
			return err
		}
	}
	rec := newRecorder(p.mem, 1, rng)
	sc, err := recovered(rec.fault, p, mode, h, rng)
	if err != nil {
		return err
	}
	defer func() { _ = sc.s.Close() }()
	// Nothing was written since: exactly this state is on disk.
	if err := y.again(p.mem.Crash(rng), sc, "right after recovery"); err != nil {
		return err
	}
	rec.only = rng.Int64N(20)
	rec.start(sc.bounds)
	for i := range 1 + rng.IntN(8) {
		w := sc.put(fmt.Sprintf("key%d", rng.IntN(8)), rng.IntN(500))
		if i == 2 {
			w = sc.put("key1", largeFrom+rng.IntN(10<<10))
		}
		if err := sc.step(w, sc.put("last", i)); err != nil {
			return fmt.Errorf("after recovery: %w", err)
		}
	}
	if err := checkContents(sc.ctx, sc.s, sc.h); err != nil {
		return fmt.Errorf("after recovery: %w", err)
	}
	if err := sc.close(); err != nil {
		return fmt.Errorf("after recovery: %w", err)
	}
	for _, p := range rec.stop() {
		if err := y.reopened(p, sc.h.clone(), mode, rng); err != nil {
			return fmt.Errorf("after recovery and %v: %w", p, err)
		}
	}
	return y.again(p.mem.Crash(rng), sc, "after recovery and a clean close")
}

// again checks that a copy of the file system holds the script's history.
func (y *crashTally) again(mem *vfs.Mem, sc *script, when string) error {
	n := sc.h.len()
	p := &crashPoint{mem: mem, least: n, most: n}
	if err := y.reopened(p, sc.h.clone(), sc.mode, sc.rng); err != nil {
		return fmt.Errorf("power loss %s: %w", when, err)
	}
	return nil
}

func (y *crashTally) reopened(p *crashPoint, h *history, mode SyncMode, rng *rand.Rand) error {
	y.crashes++
	sc, err := recovered(p.mem, p, mode, h, rng)
	if err != nil {
		return err
	}
	return sc.s.Close()
}

// during crashes once on the way of recovery, at a random operation.
func (y *crashTally) during(p *crashPoint, h *history, mode SyncMode, rng *rand.Rand, nested int) error {
	mem := p.mem.Kill()
	rec := newRecorder(mem, 1, rng)
	rec.only = rng.Int64N(16)
	rec.start(func() (int, int) { return p.least, p.most })
	s, err := Open(memDir, memOptions(rec.fault, mode, newTestClock()))
	if err != nil {
		return err
	}
	_ = s.Close()
	for _, q := range rec.stop() {
		y.nested++
		if err := y.check(q, h.clone(), mode, rng, nested); err != nil {
			return fmt.Errorf("%v during recovery: %w", q, err)
		}
	}
	return nil
}

// TestCrashFramesBehindACutStayDead puts intact frames back behind the place
// where the log was cut, where a file system may well hand them out again: they
// were lost once, and a log that has grown up to them must not make them count.
func TestCrashFramesBehindACutStayDead(t *testing.T) {
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

// TestCrashManifestIsOnDiskOnceRead kills a store at each operation on its
// manifest. What the next process reads there, perhaps from the page cache only,
// it acts upon: a power loss must not take it back.
func TestCrashManifestIsOnDiskOnceRead(t *testing.T) {
	seed := testSeed(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	rec := newRecorder(vfs.NewMem(), 0, rng)
	rec.skip = func(op vfs.Op) bool { return !strings.Contains(op.Name, manifestName) && op.Kind != vfs.KindSyncDir }
	sc := newScript(rec.fault, SyncAlways, newHistory(), rng)
	rec.start(sc.bounds)
	err := sc.open()
	for i := 0; err == nil && i < 100; i++ {
		err = sc.step(sc.put(fmt.Sprintf("key%d", i%7), 16<<10))
	}
	if err == nil {
		err = sc.close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range rec.stop() {
		m, err := openManifest(p.mem, memDir, false)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatalf("%v: %v", p, err)
		}
		for range 8 {
			after, err := openManifest(p.mem.Crash(rng), memDir, true)
			if err != nil {
				t.Fatalf("%v, then a power loss: %v", p, err)
			}
			if !bytes.Equal(after.state.snapshot(), m.state.snapshot()) {
				t.Fatalf("%v, then a power loss: the manifest is another one", p)
			}
		}
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func readFile(t *testing.T, mem *vfs.Mem, name string) []byte {
	t.Helper()
	f, err := mem.Open(memDir + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// writeFile changes a file, or makes it.
func writeFile(t *testing.T, mem *vfs.Mem, name string, b []byte, off int64) {
	t.Helper()
	f, err := mem.OpenReadWrite(memDir + "/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = mem.Create(memDir + "/" + name)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

// closedStore returns the disk of a store that was closed after some puts.
func closedStore(t *testing.T, puts int) (*vfs.Mem, *history) {
	t.Helper()
	mem := vfs.NewMem()
	sc := newScript(mem, SyncNever, newHistory(), rand.New(rand.NewPCG(8, 8)))
	if err := sc.open(); err != nil {
		t.Fatal(err)
	}
	for i := range puts {
		if err := sc.step(sc.put(fmt.Sprintf("key%d", i%50), largeFrom-1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := sc.close(); err != nil {
		t.Fatal(err)
	}
	return mem, sc.h
}

// TestCrashTornFirstManifest cuts the first manifest at every byte, before and
// after it got its name. Before, there is no store yet; after, it cannot be torn
// by a crash, and what is there is never taken for an empty directory.
func TestCrashTornFirstManifest(t *testing.T) {
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

// TestCrashHalfWrittenCheckpoint cuts the checkpoint at many places, under its
// name and before it got it: the store holds the same without.
func TestCrashHalfWrittenCheckpoint(t *testing.T) {
	mem, h := closedStore(t, 100)
	whole := readFile(t, mem, checkpointName)
	for n := 0; n <= len(whole); n += 1 + len(whole)/60 {
		for _, name := range []string{checkpointName, checkpointTmpName} {
			torn := mem.Kill()
			if name == checkpointName || n%2 == 0 {
				if err := torn.Remove(memDir + "/" + checkpointName); err != nil {
					t.Fatal(err)
				}
			}
			writeFile(t, torn, name, whole[:n], 0)
			p := &crashPoint{mem: torn, least: h.len(), most: h.len()}
			sc, err := recovered(torn, p, SyncAlways, h.clone(), rand.New(rand.NewPCG(9, 9)))
			if err != nil {
				t.Fatalf("%d bytes of %s: %v", n, name, err)
			}
			if name == checkpointName && sc.s.recovered.checkpoint != (n == len(whole)) {
				t.Fatalf("%d bytes of %s: used: %v", n, name, sc.s.recovered.checkpoint)
			}
			if err := sc.s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := torn.Stat(memDir + "/" + checkpointTmpName); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%s is left: %v", checkpointTmpName, err)
			}
		}
	}
}

// TestCrashClockDoesNotGoBack proves that what has expired stays so when the
// wall clock is set back between two opens, whether anything was written or not.
func TestCrashClockDoesNotGoBack(t *testing.T) {
	for _, writes := range []bool{true, false} {
		mem := vfs.NewMem()
		sc := newScript(mem, SyncAlways, newHistory(), rand.New(rand.NewPCG(10, 10)))
		if err := sc.open(); err != nil {
			t.Fatal(err)
		}
		start := sc.clock.second.Load()
		if err := sc.step(modelWrite{"key", newModelPair("key", []byte("v"), "", start+100)}); err != nil {
			t.Fatal(err)
		}
		if err := sc.close(); err != nil {
			t.Fatal(err)
		}
		if err := sc.open(); err != nil {
			t.Fatal(err)
		}
		sc.clock.advance(1000)
		if writes {
			if err := sc.step(sc.put("other", 10)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sc.s.Get(sc.ctx, "key"); !errors.Is(err, ErrNotFound) {
			t.Fatalf("not expired: %v", err)
		}
		if err := sc.close(); err != nil {
			t.Fatal(err)
		}
		sc.clock.advance(-990)
		if err := sc.open(); err != nil {
			t.Fatal(err)
		}
		if _, err := sc.s.Get(sc.ctx, "key"); !errors.Is(err, ErrNotFound) {
			t.Errorf("with writes: %v: an expired pair came back: %v", writes, err)
		}
		if err := sc.close(); err != nil {
			t.Fatal(err)
		}
	}
}
