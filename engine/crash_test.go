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
	"sync"
	"testing"

	"github.com/firnkv/firn/compaction"
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
	{"checkpoints beside writes and compactions", func(sc *script) error {
		sc.h.compacted = true
		return sc.churn(40)
	}, func(sc *script) error {
		for range 4 {
			if err := sc.s.checkpointBeside(func() error {
				if sc.rng.IntN(30) > 0 {
					return nil
				}
				return sc.churn(1)
			}); err != nil {
				return err
			}
			sc.synced()
			for range 2 {
				if err := sc.churn(6); err != nil {
					return err
				}
				if err := sc.compact(); err != nil {
					return err
				}
			}
		}
		return nil
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
	{"a full manifest", func(sc *script) error {
		sc.s.state.Lock()
		defer sc.s.state.Unlock()
		for m := sc.s.manifest; m.off < m.space-64; {
			if err := m.commit(edit(nil).next(m.state.nextID)); err != nil {
				return err
			}
		}
		return nil
	}, func(sc *script) error {
		salt := sc.s.manifest.salt
		for i := range 12 {
			if err := sc.step(sc.put(fmt.Sprintf("key%d", i%7), 8000)); err != nil {
				return err
			}
			if i%4 != 3 {
				continue
			}
			if _, err := sc.s.committer.rollNow(); err != nil {
				return err
			}
		}
		sc.s.state.Lock()
		defer sc.s.state.Unlock()
		if sc.s.manifest.salt == salt {
			return errors.New("the manifest was not rewritten")
		}
		return nil
	}},
	{"everything", func(sc *script) error {
		sc.h.compacted = true
		return sc.churn(20)
	}, func(sc *script) error {
		for i := range 2 {
			if err := sc.churn(8); err != nil {
				return err
			}
			if err := sc.stream(fmt.Sprintf("key%d", i), 300<<10); err != nil {
				return err
			}
			if err := sc.step(sc.put("key1", 9000), modelWrite{key: "key2"}, sc.put("key3", largeFrom), sc.put("key4", 9000)); err != nil {
				return err
			}
			if err := sc.compact(); err != nil {
				return err
			}
			if _, err := sc.s.Backup(sc.ctx, backupDir, nil); err != nil {
				return err
			}
			sc.s.writesCheckpoint()
			if err := sc.close(); err != nil {
				return err
			}
			if err := sc.open(); err != nil {
				return err
			}
			if !sc.s.recovered.checkpoint {
				return errors.New("there is no checkpoint")
			}
			if _, err := sc.s.committer.rollNow(); err != nil {
				return err
			}
		}
		return nil
	}},
}

// crashCopiesEnv sets how many random survivals are tried of what was not synced
// at each operation. If it is set, each of them is also cut during recovery.
const crashCopiesEnv = "FIRN_CRASH_COPIES"

// crashDeep is how many crashes during recovery may follow on each other.
const crashDeep = 3

// TestCrashAtEveryOperation cuts scripts at every operation of the file system,
// by kills and by power losses that leave random parts of what was not synced.
// What comes back has to be a prefix of the history with all that was
// acknowledged as durable, every batch whole. Whatever was accepted then has to
// survive the next power loss, also one during recovery, three times in a row.
func TestCrashAtEveryOperation(t *testing.T) {
	seed := testSeed(t)
	copies, every := 1, 15
	if v := os.Getenv(crashCopiesEnv); v != "" {
		var err error
		if copies, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
		every = 1
	}
	total := newCrashTotal(t)
	for i, mode := range syncModes {
		for j, c := range crashScripts {
			t.Run(mode.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				// Each its own: scripts begin with the same operations.
				rng := rand.New(rand.NewPCG(seed, uint64(i*len(crashScripts)+j)))
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
				tally := checkPoints(t, rec.stop(), sc.h, mode.mode, rng, every)
				t.Log(tally)
				total.add(tally)
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

// crashTally counts what was tried.
type crashTally struct {
	cuts    int            // at which a script was cut, each of them in several ways
	crashes int            // all in all
	nested  [crashDeep]int // of them in a recovery, in the recovery after that, and so on
}

func (y crashTally) String() string {
	return fmt.Sprintf("%d cuts, %d crashes, %v of them in recoveries", y.cuts, y.crashes, y.nested)
}

// crashTotal adds up what the parts of a test have tried.
type crashTotal struct {
	mu sync.Mutex
	crashTally
}

// newCrashTotal returns one that is logged at the end of the test.
func newCrashTotal(t *testing.T) *crashTotal {
	total := &crashTotal{}
	t.Cleanup(func() { t.Log("in all:", total.crashTally) })
	return total
}

func (c *crashTotal) add(y crashTally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cuts += y.cuts
	c.crashes += y.crashes
	for i, n := range y.nested {
		c.nested[i] += n
	}
}

// checkPoints recovers from each crash, and every so many times from others on the
// way.
func checkPoints(t *testing.T, points []*crashPoint, h *history, mode SyncMode, rng *rand.Rand, every int) crashTally {
	t.Helper()
	var tally crashTally
	for i, p := range points {
		if underRace && rng.IntN(20) > 0 {
			continue
		}
		if p.kill {
			tally.cuts++
		}
		deep := 0
		if i%every == 0 {
			deep = crashDeep
		}
		if err := tally.check(p, h.clone(), mode, rng, 0, deep); err != nil {
			t.Fatalf("%v: %v", p, err)
		}
	}
	return tally
}

// check recovers from a crash, writes on, and crashes again; and from others on
// the way, if this one is not as deep as they may be.
func (y *crashTally) check(p *crashPoint, h *history, mode SyncMode, rng *rand.Rand, depth, deepest int) error {
	y.crashes++
	if depth > 0 {
		y.nested[depth-1]++
	}
	if depth < deepest {
		if err := y.during(p, h.clone(), mode, rng, depth+1, deepest); err != nil {
			return err
		}
	}
	if err := sameWithoutCheckpoint(p.mem, newTestClock()); err != nil {
		return err
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
	rec.one = true
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
	if err := sameWithoutCheckpoint(p.mem, newTestClock()); err != nil {
		return err
	}
	sc, err := recovered(p.mem, p, mode, h, rng)
	if err != nil {
		return err
	}
	return sc.s.Close()
}

// during crashes once on the way of recovery, at a random operation.
func (y *crashTally) during(p *crashPoint, h *history, mode SyncMode, rng *rand.Rand, depth, deepest int) error {
	mem := p.mem.Kill()
	rec := newRecorder(mem, 1, rng)
	rec.one = true
	rec.start(func() (int, int) { return p.least, p.most })
	s, err := Open(memDir, memOptions(rec.fault, mode, newTestClock()))
	if err != nil {
		return err
	}
	_ = s.Close()
	points := rec.stop()
	if i := rng.IntN(len(points)); depth > 1 {
		points = points[i : i+1]
	}
	for _, q := range points {
		if err := y.check(q, h.clone(), mode, rng, depth, deepest); err != nil {
			return fmt.Errorf("%v during recovery: %w", q, err)
		}
	}
	return nil
}

// TestCrashBeforeACut kills a recovery that has cut the log, and then has a power
// loss take a frame before the cut, which nothing vouched for. The log goes on
// before the cut then: what it takes is found again, and the frame that was lost does
// not come back.
func TestCrashBeforeACut(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncNever, rand.New(rand.NewPCG(11, 11)))
	var ends []int64
	for i := range 2 {
		sc.must(t, sc.step(sc.put(fmt.Sprintf("key%d", i), 1000)))
		sc.must(t, sc.s.committer.flushAll())
		ends = append(ends, sc.s.committer.active.end.Load())
	}
	mem = mem.Kill()
	old := readFile(t, mem, segmentName(1))
	writeFile(t, mem, segmentName(1), []byte("torn"), ends[1])

	// The first recovery is killed between its edit of the manifest and the rest.
	var killed *vfs.Mem
	fault := vfs.NewFault(mem)
	fault.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.KindTruncate {
			killed = mem.Kill()
		}
		return nil
	})
	first, err := recovered(fault, &crashPoint{least: 2, most: 2}, SyncNever, sc.h.clone(), sc.rng)
	sc.must(t, err)
	sc.must(t, first.close())
	f, err := killed.OpenReadWrite(memDir + "/" + segmentName(1))
	sc.must(t, err)
	sc.must(t, f.Truncate(ends[0]))
	sc.must(t, f.Close())

	second, err := recovered(killed, &crashPoint{least: 1, most: 1}, SyncAlways, sc.h, sc.rng)
	sc.must(t, err)
	back := killed.Kill()
	writeFile(t, back, segmentName(1), old[ends[0]:ends[1]], ends[0])
	third, err := recovered(back, &crashPoint{least: 1, most: 1}, SyncAlways, sc.h.clone(), sc.rng)
	sc.must(t, err)
	sc.must(t, third.close())
	sc.must(t, second.step(second.put("new", 100)))
	sc.must(t, second.close())
	last, err := recovered(killed, &crashPoint{least: 2, most: 2}, SyncAlways, sc.h, sc.rng)
	sc.must(t, err)
	sc.must(t, last.close())
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

// TestCrashCheckpointBeforeACompaction crashes when a compaction has rewritten
// segments that are all newer than the checkpoint. Those that it is of are still
// there, but what was written since is not in the log any more.
func TestCrashCheckpointBeforeACompaction(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(12, 12)))
	sc.h.compacted = true
	for i := range 10 {
		sc.must(t, sc.step(sc.put(fmt.Sprintf("key%d", i), 100)))
	}
	sc.s.writesCheckpoint()
	sc.must(t, sc.close())
	sc.must(t, sc.open())
	if !sc.s.recovered.checkpoint {
		t.Fatal("there is no checkpoint")
	}
	sc.sealLog(t)
	sc.must(t, sc.step(sc.put("key1", 200), modelWrite{key: "key2"}, sc.put("new", 100)))
	job := compaction.Job{Reason: compaction.Space, Victims: []uint64{sc.sealLog(t)}, Form: compaction.Young}
	sc.must(t, sc.s.compactor.do(sc.ctx, job, false))
	n := sc.h.len()
	for _, disk := range []*vfs.Mem{mem.Kill(), mem.Crash(sc.rng)} {
		after, err := recovered(disk, &crashPoint{least: n, most: n}, SyncAlways, sc.h.clone(), sc.rng)
		sc.must(t, err)
		if !after.s.recovered.checkpoint {
			t.Error("the checkpoint of before the compaction was not used")
		}
		sc.must(t, after.close())
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

// TestCrashClockAfterCompaction sets the wall clock back after a crash, to a time at
// which a pair had not expired that a compaction has dropped. Nothing but the
// compaction had noted the time.
func TestCrashClockAfterCompaction(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(13, 13)))
	sc.h.compacted = true
	start := sc.clock.second.Load()
	for _, key := range []string{"dropped", "not looked at"} {
		sc.must(t, sc.step(modelWrite{key, newModelPair(key, []byte("v"), "", start+100)}))
		sc.sealLog(t)
	}
	first := sc.s.segs.all()[0].id
	sc.clock.advance(1000)
	job := compaction.Job{Reason: compaction.Space, Victims: []uint64{first}, Form: compaction.Young}
	sc.must(t, sc.s.compactor.do(sc.ctx, job, false))
	if sc.s.segs.find(first) != nil {
		t.Fatal("nothing was compacted")
	}
	n := sc.h.len()
	for _, disk := range []*vfs.Mem{mem.Kill(), mem.Crash(sc.rng)} {
		after := newScript(disk, SyncAlways, sc.h.clone(), sc.rng)
		after.clock.second.Store(start + 10)
		sc.must(t, after.recover(&crashPoint{least: n, most: n}))
		if now := after.s.clock.now(); now < start+1000 {
			t.Errorf("the time is %d s before that of the compaction", start+1000-now)
		}
		sc.must(t, after.close())
	}
}
