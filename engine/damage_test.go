package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// victim is a store on disk whose files are damaged one byte at a time.
type victim struct {
	disk   *vfs.Mem // a copy of the real files, to copy again at no cost
	path   string
	opts   Options
	files  map[string][]byte
	pairs  map[string]*Pair
	absent []string

	// tail has the keys that were put one by one at the end of the log, by
	// a process that was killed then. Damage may take the last of them.
	tail []string
	log  string // name of the log segment that they are in

	states []map[string]*Pair // after each commit
}

// victimMaker fills a store, and notes in a victim what it holds.
type victimMaker struct {
	*apiTest
	v   *victim
	rng *rand.Rand
	b   Batch
}

func newVictimMaker(t *testing.T, opts Options) *victimMaker {
	v := &victim{files: map[string][]byte{}, pairs: map[string]*Pair{}}
	return &victimMaker{apiTest: openAPI(t, opts), v: v, rng: rand.New(rand.NewPCG(7, 7))}
}

// batch commits what add adds, which is told how much it added before.
func (m *victimMaker) batch(n int, add func(i int)) {
	for i := range n {
		add(i)
	}
	m.write(&m.b)
	m.b.Reset()
	m.v.states = append(m.v.states, maps.Clone(m.v.pairs))
}

func (m *victimMaker) add(key string, value []byte, opts *PutOptions) {
	m.b.Put(key, value, opts)
	m.v.pairs[key] = &Pair{Key: key, Value: value, Metadata: opts.Metadata, Expiration: opts.Expiration}
}

func (m *victimMaker) noisy(i int) {
	m.add(fmt.Sprintf("noise:%03d", i), incompressible(m.rng, 1200), &PutOptions{})
}

func (m *victimMaker) small(i int) {
	m.add(fmt.Sprintf("small:%03d", i), fmt.Appendf(nil, `{"i":%d,"text":"some text"}`, i), &PutOptions{
		Metadata: json.RawMessage(fmt.Sprintf(`{"i":%d}`, i)), Expiration: epoch + 100_000 + int64(i),
	})
}

// text takes 2 KiB and compresses well.
func (m *victimMaker) text(i int) {
	m.add(fmt.Sprintf("text:%03d", i), valuePool[i*2048:(i+1)*2048], &PutOptions{})
}

func (m *victimMaker) large(i int) {
	m.add(fmt.Sprint("large:", i), incompressible(m.rng, largeFrom+i*70_000), &PutOptions{})
}

func (m *victimMaker) remove(key string) {
	m.b.Delete(key)
	delete(m.v.pairs, key)
	m.v.absent = append(m.v.absent, key)
}

// victim returns what was made.
func (m *victimMaker) victim(t *testing.T) *victim {
	v := m.v
	v.absent = slices.DeleteFunc(v.absent, func(key string) bool { return v.pairs[key] != nil })
	v.path, v.opts = m.path, m.opts
	v.load(t)
	return v
}

// newVictim makes a store with sealed segments, large values, a live log and a
// checkpoint on real files. If killed is set, it was not closed at the end.
func newVictim(t *testing.T, killed bool) *victim {
	m := newVictimMaker(t, Options{SegmentBytes: minSegmentBytes})
	m.batch(60, m.noisy)
	m.batch(60, m.small)
	m.batch(40, m.noisy) // over those before
	m.batch(3, m.large)
	m.batch(10, func(i int) { m.remove(fmt.Sprintf("small:%03d", i*5)) })
	m.batch(50, func(i int) { m.noisy(i + 5) })
	m.writesCheckpoint()
	m.reopen()
	m.batch(40, func(i int) { m.noisy(i + 70) })
	m.batch(2, func(i int) { m.add(fmt.Sprint("large:late ", i), incompressible(m.rng, 50_000), &PutOptions{}) })
	m.batch(5, m.small)
	m.awaitSealed()
	if killed {
		for i := range 20 {
			key := fmt.Sprintf("tail:%02d", i)
			m.batch(1, func(int) { m.add(key, incompressible(m.rng, 100), &PutOptions{}) })
			m.v.tail = append(m.v.tail, key)
		}
		m.v.log = segmentName(m.committer.active.id)
	} else {
		m.close()
	}
	return m.victim(t)
}

// newCompactedVictim makes a store of packed segments in both forms, needed
// tombstones among them, and of values that were moved. It began as a backup.
func newCompactedVictim(t *testing.T) *victim {
	m := newVictimMaker(t, Options{SegmentBytes: minSegmentBytes, ManualCompaction: true})
	m.batch(300, m.text) // enough for a dictionary
	m.batch(80, m.small)
	m.batch(2, m.large)
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := m.Backup(m.ctx, backup, nil); err != nil {
		t.Fatal(err)
	}
	m.close()
	m.path = backup
	m.open()
	m.batch(1, func(int) { m.remove("large:1") })
	m.pack(t, compaction.Settled)
	if err := m.wantsDictionary(); err != nil {
		t.Fatal(err)
	}
	if len(m.manifest.state.branches) == 0 {
		t.Fatal("the manifest has no branch")
	}
	m.batch(20, m.noisy)
	m.batch(10, func(i int) { m.remove(fmt.Sprintf("small:%03d", i*7)) })
	m.pack(t, compaction.Young)
	m.batch(5, func(i int) { m.noisy(i + 15) })
	m.writesCheckpoint()
	m.close()
	return m.victim(t)
}

// wantsDictionary looks for a packed segment with a dictionary.
func (s *Store) wantsDictionary() error {
	for _, sg := range s.segs.all() {
		if sg.kind != segment.Packed {
			continue
		}
		if d, err := sg.reader.Dictionary(); err != nil || len(d) > 0 {
			return err
		}
	}
	return errors.New("no segment has a dictionary")
}

// pack rewrites what was written since the last time, and all values.
func (m *victimMaker) pack(t *testing.T, form compaction.Form) {
	t.Helper()
	if _, err := m.committer.rollNow(); err != nil {
		t.Fatal(err)
	}
	if err := m.sealAllValues(); err != nil {
		t.Fatal(err)
	}
	if err := m.background.sealNow(); err != nil {
		t.Fatal(err)
	}
	job := compaction.Job{Reason: compaction.Pack, Form: form}
	for _, sg := range m.segs.all() {
		if sg.kind != segment.Packed && m.rewritable(sg) {
			job.Victims = append(job.Victims, sg.id)
		}
	}
	if err := m.Store.rewrite(m.ctx, job, false); err != nil {
		t.Fatal(err)
	}
}

// awaitSealed returns when the background has sealed all log segments that are
// full.
func (a *apiTest) awaitSealed() {
	for slices.ContainsFunc(a.Stats().Segments, func(s SegmentStats) bool { return s.State == "frozen" }) {
		runtime.Gosched()
	}
}

// load reads the real files.
func (v *victim) load(t *testing.T) {
	v.disk = vfs.NewMem()
	if err := v.disk.MkdirAll(v.path); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(v.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(v.path, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		v.files[e.Name()] = b
		f, err := v.disk.Create(filepath.Join(v.path, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// damage is something that happens to a file.
type damage struct {
	file string
	off  int64
	kind damageKind
}

type damageKind int

const (
	flipBit damageKind = iota
	zeroRun
	cutFile
	damageKinds
)

// zeroRunBytes is how many bytes zeroRun zeroes.
const zeroRunBytes = 16

func (d damage) String() string {
	return fmt.Sprintf("%s of %s at %d", [...]string{"flipped bit", "zeroed bytes", "cut"}[d.kind], d.file, d.off)
}

// apply damages a file. It reports whether that changed anything.
func (d damage) apply(t *testing.T, disk *vfs.Mem, path string, content []byte) bool {
	f, err := disk.OpenReadWrite(filepath.Join(path, d.file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := content[d.off:]
	switch d.kind {
	case flipBit:
		_, err = f.WriteAt([]byte{b[0] ^ 1<<(d.off%8)}, d.off)
	case zeroRun:
		b = b[:min(len(b), zeroRunBytes)]
		if len(bytes.Trim(b, "\x00")) == 0 {
			return false
		}
		_, err = f.WriteAt(make([]byte, len(b)), d.off)
	case cutFile:
		err = f.Truncate(d.off)
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// mayLose is how many keys of the tail the damage may take without a word: those
// that no later frame vouches for.
func (v *victim) mayLose(d damage) int {
	switch {
	case v.log == "" || d.file != v.log:
		return 0
	case d.kind == zeroRun:
		return 2 // it may reach into the frame before the last
	default:
		return 1
	}
}

// check damages a copy of the store, opens it and reads everything. It returns
// whether anybody was told.
func (v *victim) check(t *testing.T, d damage) (noticed bool) {
	disk := v.disk.Kill()
	if !d.apply(t, disk, v.path, v.files[d.file]) {
		return true
	}
	opts := v.opts
	opts.fs = disk
	s, err := Open(v.path, &opts)
	if err != nil {
		v.refused(t, d, disk, err)
		return true
	}
	defer s.Close()
	noticed = s.recovered.cutBytes > 0 || v.usesNoCheckpoint(s, d)
	if d.kind == cutFile && d.file == v.log {
		// As if the rest had never been written, which nobody can tell.
		v.wantSomeState(t, d, s)
		return true
	}
	errs := v.readAll(t, d, s)
	report, err := s.Verify(context.Background(), nil)
	if err != nil {
		t.Errorf("%v: verify: %v", d, err)
		return true
	}
	for _, c := range report.Damage {
		if c.File == "" || c.Reason == "" {
			t.Errorf("%v: verify lists %+v", d, c)
		}
	}
	if errs > 0 && len(report.Damage) == 0 {
		t.Errorf("%v: %d reads failed, but verify found nothing", d, errs)
	}
	return noticed || errs > 0 || len(report.Damage) > 0
}

// usesNoCheckpoint reports whether the store fell back to its segments.
func (v *victim) usesNoCheckpoint(s *Store, d damage) bool {
	return d.file == checkpointName && !s.recovered.checkpoint
}

// refused checks the error of an open, and that it left everything as it was.
func (v *victim) refused(t *testing.T, d damage, disk *vfs.Mem, err error) {
	t.Helper()
	var c *CorruptError
	switch {
	case errors.As(err, &c):
		if !errors.Is(err, ErrCorrupt) || c.File == "" || !strings.Contains(err.Error(), c.File) {
			t.Errorf("%v: open: %v", d, err)
		}
	case !errors.Is(err, ErrVersion):
		t.Errorf("%v: open: %v", d, err)
	}
	names, err := disk.List(v.path)
	if err != nil {
		t.Fatal(err)
	}
	for name := range v.files {
		if !slices.Contains(names, name) {
			t.Errorf("%v: the open that was refused removed %s", d, name)
		}
	}
}

// readAll reads every pair in every way and returns how many reads failed.
// Nothing may be wrong, and nothing missing but the end of the tail.
func (v *victim) readAll(t *testing.T, d damage, s *Store) (errs int) {
	t.Helper()
	ctx := context.Background()
	lost := map[string]bool{}
	for i := 0; i < v.mayLose(d); i++ {
		key := v.tail[len(v.tail)-1-i]
		if _, err := s.Get(ctx, key); !errors.Is(err, ErrNotFound) {
			break
		}
		lost[key] = true
	}
	listed := map[string]bool{}
	complete := true
	for info, err := range s.Keys(ctx, "") {
		if err != nil {
			v.wantCorrupt(t, d, "list", err)
			complete = false
			errs++
			break
		}
		listed[info.Name] = true
		want := v.pairs[info.Name]
		if want == nil || info.Expiration != want.Expiration || !bytes.Equal(info.Metadata, want.Metadata) {
			t.Errorf("%v: listed %+v, want %+v", d, info, want)
		}
	}
	for key, want := range v.pairs {
		if complete && listed[key] == lost[key] {
			t.Errorf("%v: %q is listed: %v; it is lost: %v", d, key, listed[key], lost[key])
		}
		pair, err := s.GetPair(ctx, key)
		switch {
		case err == nil:
			if !bytes.Equal(pair.Value, want.Value) || !bytes.Equal(pair.Metadata, want.Metadata) || pair.Expiration != want.Expiration {
				t.Errorf("%v: %q has %s %s %d; want %s %s %d", d, key, brief(string(pair.Value)), pair.Metadata, pair.Expiration,
					brief(string(want.Value)), want.Metadata, want.Expiration)
			}
		case !errors.Is(err, ErrNotFound) || !lost[key]:
			v.wantCorrupt(t, d, key, err)
			errs++
		}
	}
	for _, key := range v.absent {
		if _, err := s.Get(ctx, key); !errors.Is(err, ErrNotFound) {
			v.wantCorrupt(t, d, key, err)
			errs++
		}
	}
	return errs
}

// wantSomeState checks that the store is as it was after some commit.
func (v *victim) wantSomeState(t *testing.T, d damage, s *Store) {
	t.Helper()
	ctx := context.Background()
	got := map[string]*Pair{}
	for info, err := range s.Keys(ctx, "") {
		if err != nil {
			t.Errorf("%v: %v", d, err)
			return
		}
		pair, err := s.GetPair(ctx, info.Name)
		if err != nil {
			t.Errorf("%v: %q: %v", d, info.Name, err)
			return
		}
		got[info.Name] = pair
	}
	same := func(a, b *Pair) bool { return bytes.Equal(a.Value, b.Value) && bytes.Equal(a.Metadata, b.Metadata) }
	if !slices.ContainsFunc(v.states, func(state map[string]*Pair) bool { return maps.EqualFunc(state, got, same) }) {
		t.Errorf("%v: the %d pairs are not those after any commit", d, len(got))
	}
}

func (v *victim) wantCorrupt(t *testing.T, d damage, what string, err error) {
	t.Helper()
	var c *CorruptError
	if !errors.Is(err, ErrCorrupt) || !errors.As(err, &c) || c.File != d.file {
		t.Errorf("%v: %s: %v", d, what, err)
	}
}

// damages returns what is done to a file in turn: everything to the first and
// last bytes in use, and one thing to every so many of those in between.
func damages(file string, content []byte, dense, every int) []damage {
	var all []damage
	used := len(bytes.TrimRight(content, "\x00"))
	for off := range content {
		switch {
		case off < dense || off > used-dense && off < used+zeroRunBytes:
			for kind := range damageKinds {
				all = append(all, damage{file, int64(off), kind})
			}
		case off < used && off%every == 0, off%16411 == 0:
			all = append(all, damage{file, int64(off), damageKind(off/every) % damageKinds})
		}
	}
	return all
}

// Any damage to any file of a store gives a clear error, or is recovered from.
// With FIRN_DAMAGE=7, every seventh byte is damaged, with 1 each.
func TestDamage(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T) *victim
		want []string // segments that there have to be
		some int      // one damage in so many is tried, unless FIRN_DAMAGE is set
	}{
		{"closed", func(t *testing.T) *victim { return newVictim(t, false) }, []string{"log sealed", "value active"}, 1},
		{"killed", func(t *testing.T) *victim { return newVictim(t, true) }, []string{"log sealed", "value active"}, 1},
		{"compacted", newCompactedVictim, []string{"log active", "packed young", "packed sealed", "value sealed"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := c.make(t)
			v.wantUndamaged(t, c.want)
			every, some := 997, c.some
			if testing.Short() {
				some = 10
			}
			if n := os.Getenv("FIRN_DAMAGE"); n != "" {
				some = 1
				var err error
				if every, err = strconv.Atoi(n); err != nil {
					t.Fatal(err)
				}
			}
			var all []damage
			for file, content := range v.files {
				dense := 66
				if file == manifestName {
					dense = 450
				}
				all = append(all, damages(file, content, dense, every)...)
			}
			tried := all[:0]
			for i := 0; i < len(all); i += some {
				tried = append(tried, all[i])
			}
			v.checkAll(t, tried)
		})
	}
}

func (v *victim) wantUndamaged(t *testing.T, segments []string) {
	t.Helper()
	opts := v.opts
	opts.fs = v.disk.Kill()
	s, err := Open(v.path, &opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if errs := v.readAll(t, damage{}, s); errs > 0 {
		t.Fatalf("%d reads failed without damage", errs)
	}
	kinds := map[string]int{}
	for _, sg := range s.segs.all() {
		if part := sg.sealed.Load(); part != nil && part.young {
			kinds["packed young"]++
		}
	}
	for _, sg := range s.Stats().Segments {
		kinds[sg.Kind+" "+sg.State]++
	}
	lacks := func(kind string) bool { return kinds[kind] == 0 }
	if slices.ContainsFunc(segments, lacks) || !s.recovered.checkpoint {
		t.Fatalf("%v, want %q; checkpoint used: %v", kinds, segments, s.recovered.checkpoint)
	}
}

// checkAll tries the damages on all cores. Flipped bits of segments that nobody
// notices can only be in bytes that nobody reads.
func (v *victim) checkAll(t *testing.T, all []damage) {
	bytes := map[string]struct{}{}
	for _, d := range all {
		bytes[fmt.Sprint(d.file, d.off)] = struct{}{}
	}
	t.Logf("%d damages of %d bytes in %d files", len(all), len(bytes), len(v.files))
	var mu sync.Mutex
	unnoticed := map[string][]int64{}
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(all) && !t.Failed(); i += workers {
				d := all[i]
				if !v.check(t, d) && d.kind == flipBit {
					mu.Lock()
					unnoticed[d.file] = append(unnoticed[d.file], d.off)
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	// A crash may tear the last edit of the manifest, so the loss of it is
	// none of data: what it says can be found elsewhere.
	delete(unnoticed, manifestName)
	for file, offs := range unnoticed {
		for _, off := range offs {
			// Padding, and space that was allocated ahead of need.
			if v.files[file][off] != 0 {
				t.Errorf("nobody noticed a flipped bit in %s at %d", file, off)
			}
		}
	}
}

// In a store that was just made, the edits at the end of the manifest are all
// that leads to the data. Losing one of them must not pass for a torn write.
func TestDamageYoungStore(t *testing.T) {
	for _, large := range []bool{false, true} {
		a := openAPI(t, Options{})
		v := &victim{path: a.path, files: map[string][]byte{}, pairs: map[string]*Pair{}, opts: a.opts}
		put := func(key, value string) {
			a.put(key, value, nil)
			v.pairs[key] = &Pair{Key: key, Value: []byte(value)}
		}
		put("one", "1")
		if large {
			put("large", strings.Repeat("large", 10_000))
		}
		put("two", "2")
		v.load(t)
		every := 1
		if testing.Short() {
			every = 5
		}
		v.checkAll(t, damages(manifestName, v.files[manifestName], 100, every))
	}
}

// A compaction whose edit of the manifest is damaged, when it is the last one, looks
// like one that a crash interrupted. What it wrote is not removed: what it replaced is
// gone.
func TestDamageLastEdit(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	sc.h.compacted = true
	sc.must(t, sc.churn(30))
	sc.must(t, sc.s.Compact(sc.ctx))
	mem = mem.Kill()
	last := sc.s.manifest.off - 12 // before its padding
	writeFile(t, mem, manifestName, []byte{readFile(t, mem, manifestName)[last] ^ 1}, last)
	before, err := mem.List(memDir)
	sc.must(t, err)
	for _, readOnly := range []bool{true, false} {
		opts := memOptions(mem, SyncAlways, newTestClock())
		opts.ReadOnly = readOnly
		var c *CorruptError
		if _, err := Open(memDir, opts); !errors.As(err, &c) || c.File != manifestName {
			t.Errorf("read-only %v: %v", readOnly, err)
		}
	}
	if after, err := mem.List(memDir); err != nil || !slices.Equal(after, before) {
		t.Errorf("%q is left of %q, %v", after, before, err)
	}
}

// A store that was killed right after its checkpoint was written, and lost the end of
// its log to damage. Nothing in the log vouches for what is missing, but the
// checkpoint knew it.
func TestDamageBeforeCheckpoint(t *testing.T) {
	mem := vfs.NewMem()
	fault := vfs.NewFault(mem)
	sc := openScript(t, fault, SyncAlways, rand.New(rand.NewPCG(2, 2)))
	var end int64 // of the first two
	for i := range 3 {
		end = sc.s.committer.active.end.Load()
		sc.must(t, sc.step(sc.put(fmt.Sprintf("key%d", i), 100)))
	}
	log := sc.s.committer.active.name()
	sc.s.writesCheckpoint()
	var killed *vfs.Mem
	fault.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.KindTruncate && killed == nil {
			killed = mem.Kill() // the log is about to be trimmed, and then noted as closed
		}
		return nil
	})
	sc.must(t, sc.close())
	whole, err := recovered(killed.Kill(), &crashPoint{least: 3, most: 3}, SyncAlways, sc.h.clone(), sc.rng)
	sc.must(t, err)
	if !whole.s.recovered.checkpoint {
		t.Error("there is no checkpoint")
	}
	sc.must(t, whole.close())

	writeFile(t, killed, log, make([]byte, 1000), end)
	for _, readOnly := range []bool{true, false} {
		opts := memOptions(killed, SyncAlways, newTestClock())
		opts.ReadOnly = readOnly
		var c *CorruptError
		s, err := Open(memDir, opts)
		if !errors.As(err, &c) || c.File != log {
			t.Errorf("read-only %v: %v", readOnly, err)
		}
		if err == nil {
			sc.must(t, s.Close())
		}
	}
}

// Writes that go on while a store is being verified are not taken for damage.
func TestVerifyWhileWriting(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openMemory(t, Options{Sync: mode, SegmentBytes: minSegmentBytes})
		const rounds = 3000
		var done atomic.Bool
		var group sync.WaitGroup
		group.Go(func() {
			defer done.Store(true)
			for i := range rounds {
				if err := a.Put(a.ctx, fmt.Sprint("key", i%100), make([]byte, i%300), nil); err != nil {
					t.Error(err)
					return
				}
				runtime.Gosched()
			}
		})
		for n := 0; !done.Load() || n < 3; n++ {
			report, err := a.Verify(a.ctx, nil)
			if err != nil || len(report.Damage) > 0 {
				t.Fatalf("%v %v", report.Damage, err)
			}
		}
		group.Wait()
	})
}
