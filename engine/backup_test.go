package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

const backupDir = "/srv/backups/db"

// mustBackup makes a backup, which has to work.
func (sc *script) mustBackup(t *testing.T, dir string) BackupReport {
	t.Helper()
	var done, total int64
	report, err := sc.s.Backup(sc.ctx, dir, func(d, n int64) {
		if d < done || d > n {
			t.Errorf("progress went from %d to %d of %d", done, d, n)
		}
		done, total = d, n
	})
	if err != nil {
		t.Fatal(err)
	}
	if done != total || total != report.Bytes {
		t.Errorf("progress ended at %d of %d; %+v", done, total, report)
	}
	return report
}

func (sc *script) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// opened opens another directory of the same disk.
func (sc *script) opened(dir string, readOnly bool) (*Store, error) {
	opts := memOptions(sc.fs, sc.mode, sc.clock)
	opts.ReadOnly = readOnly
	return Open(dir, opts)
}

// checkBackup compares a backup with a history.
func (sc *script) checkBackup(dir string, h *history) error {
	s, err := sc.opened(dir, true)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := checkContents(sc.ctx, s, h); err != nil {
		return err
	}
	if s.recovered.cutBytes != 0 {
		return errors.New("there was something to recover")
	}
	return checkVerify(sc.ctx, s)
}

// fill writes enough for some log segments.
func (sc *script) fill(steps int) error {
	for i := range steps {
		key := fmt.Sprintf("key%d", sc.rng.IntN(40))
		writes := []modelWrite{sc.put(key, 3000+sc.rng.IntN(6000))}
		switch i % 9 {
		case 3:
			writes[0].pair = nil
		case 5:
			writes = append(writes, sc.put("batch", 100), sc.put(key+"x", 50))
		case 7:
			writes[0] = sc.put(fmt.Sprintf("large%d", i%4), largeFrom+sc.rng.IntN(40<<10))
		}
		if err := sc.step(writes...); err != nil {
			return err
		}
	}
	return nil
}

func openScript(t *testing.T, fsys vfs.FS, mode SyncMode, rng *rand.Rand) *script {
	t.Helper()
	sc := newScript(fsys, mode, newHistory(), rng)
	sc.must(t, sc.open())
	t.Cleanup(func() {
		if sc.s != nil {
			_ = sc.s.Close()
		}
	})
	return sc
}

// awaitSealed waits until the background has sealed what can be sealed.
func awaitSealed(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		s.background.wake()
		left := ""
		s.state.Lock()
		for _, info := range s.manifest.state.segments {
			if info.state == stateFrozen || info.kind == segment.Value && info.state == stateActive && s.values.isIdle(info.id) {
				left = segmentName(info.id)
			}
		}
		s.state.Unlock()
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not sealed", left)
		}
	}
}

// awaitNext waits until the background has made the next log segment, if it wants
// to.
func awaitNext(t *testing.T, s *Store) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		s.committer.mu.Lock()
		wanted := s.committer.wantsNext()
		s.committer.mu.Unlock()
		if !wanted {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the next log segment is not made")
		}
	}
}

// isIdle reports whether nothing keeps a value segment from being sealed in the
// background.
func (v *valueLog) isIdle(id uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	sg := v.s.segs.find(id)
	return sg != nil && sg.streams == 0 && v.retired(sg)
}

// files returns the contents of all files in a directory, but for the lock.
func files(t *testing.T, fsys vfs.FS, dir string) map[string][]byte {
	t.Helper()
	names, err := fsys.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		file, err := fsys.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<40))
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
		all[name] = b
	}
	return all
}

func wantSameFiles(t *testing.T, got, want map[string][]byte, what string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if other, ok := got[name]; !ok || !bytes.Equal(other, want[name]) {
			t.Errorf("%s: %s has changed (%d bytes, was %d)", what, name, len(other), len(want[name]))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: there is %s", what, name)
		}
	}
}

// A backup is a store: it can be read, it stays as it is whatever becomes of the
// other, and the next one takes little.
func TestBackup(t *testing.T) {
	seed := testSeed(t)
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			mem := vfs.NewMem()
			sc := openScript(t, mem, mode.mode, rand.New(rand.NewPCG(seed, 0)))
			sc.must(t, sc.fill(100))
			awaitSealed(t, sc.s)
			first := sc.mustBackup(t, backupDir)
			if first.Linked < 3 || first.Kept != 0 || first.Copied < 1 || first.CopiedBytes >= first.Bytes {
				t.Errorf("first backup: %+v", first)
			}
			h := sc.h.clone()
			sc.must(t, sc.checkBackup(backupDir, h))

			again := sc.mustBackup(t, backupDir)
			if again.Linked != 0 || again.Kept < first.Linked || again.Bytes != first.Bytes || again.CopiedBytes > first.CopiedBytes {
				t.Errorf("same backup again: %+v, first %+v", again, first)
			}
			sc.must(t, sc.checkBackup(backupDir, h))
			before := files(t, mem, backupDir)

			sc.must(t, sc.fill(100))
			awaitSealed(t, sc.s)
			sc.must(t, sc.fill(30))
			wantSameFiles(t, files(t, mem, backupDir), before, "the store went on")
			sc.must(t, sc.checkBackup(backupDir, h))

			awaitSealed(t, sc.s)
			next := sc.mustBackup(t, backupDir)
			if next.Linked < 3 || next.Kept < first.Linked || next.Copied > 3 || next.CopiedBytes > next.Bytes*2/3 {
				t.Errorf("next backup: %+v, first %+v", next, first)
			}
			sc.must(t, sc.checkBackup(backupDir, sc.h))
		})
	}
}

// A backup that is opened for writing and the store leave each other alone.
func TestBackupIsIndependent(t *testing.T) {
	seed := testSeed(t)
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(seed, 0)))
	sc.must(t, sc.fill(60))
	awaitSealed(t, sc.s)
	sc.mustBackup(t, backupDir)
	sc.must(t, sc.close())
	before := files(t, mem, memDir)

	other := newScript(mem, SyncAlways, sc.h.clone(), sc.rng)
	s, err := other.opened(backupDir, false)
	sc.must(t, err)
	other.s = s
	sc.must(t, other.fill(100))
	awaitSealed(t, s)
	sc.must(t, checkContents(sc.ctx, s, other.h))
	sc.must(t, s.Close())
	wantSameFiles(t, files(t, mem, memDir), before, "the backup was written to")
	sc.must(t, sc.checkBackup(memDir, sc.h))

	after := files(t, mem, backupDir)
	if _, ok := after[backupName]; ok {
		t.Errorf("there is still a file %s", backupName)
	}
	sc.must(t, sc.open())
	sc.must(t, sc.fill(100))
	awaitSealed(t, sc.s)
	if _, err := sc.s.Backup(sc.ctx, backupDir, nil); !errors.Is(err, ErrNotBackup) {
		t.Errorf("backup to what is a store of its own: %v", err)
	}
	wantSameFiles(t, files(t, mem, backupDir), after, "the store was written to")
	sc.must(t, sc.checkBackup(backupDir, other.h))

	// It can be backed up elsewhere, and by that one then.
	s, err = sc.opened(backupDir, false)
	sc.must(t, err)
	defer s.Close()
	for range 2 {
		if _, err := s.Backup(sc.ctx, "/srv/backups/second", nil); err != nil {
			t.Fatal(err)
		}
	}
	sc.must(t, sc.checkBackup("/srv/backups/second", other.h))
	if _, err := sc.s.Backup(sc.ctx, "/srv/backups/second", nil); !errors.Is(err, ErrNotBackup) {
		t.Errorf("backup over one of another branch: %v", err)
	}
}

// A store that goes on from an early backup does not replace a later one.
func TestBackupLaterOne(t *testing.T) {
	seed := testSeed(t)
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(seed, 0)))
	sc.must(t, sc.fill(50))
	awaitSealed(t, sc.s)
	early, late := "/srv/backups/early", "/srv/backups/late"
	sc.mustBackup(t, early)
	sc.mustBackup(t, late)
	h := sc.h.clone()

	s, err := sc.opened(early, true)
	sc.must(t, err)
	if _, err := s.Backup(sc.ctx, "/srv/restored", nil); err != nil {
		t.Fatal(err)
	}
	sc.must(t, s.Close())
	s, err = sc.opened("/srv/restored", false)
	sc.must(t, err)
	defer s.Close()
	restored := newScript(mem, SyncAlways, h, sc.rng)
	restored.s = s
	if _, err := s.Backup(sc.ctx, late, nil); err != nil {
		t.Errorf("backup over one of the same state: %v", err)
	}
	sc.must(t, restored.fill(80)) // further than the other goes
	if _, err := sc.s.Backup(sc.ctx, late, nil); !errors.Is(err, ErrNotBackup) {
		t.Errorf("backup over one of a store that branched off: %v", err)
	}

	late = "/srv/backups/later"
	sc.must(t, sc.step(sc.put("key", 10)))
	sc.mustBackup(t, late)
	if _, err := s.Backup(sc.ctx, late, nil); !errors.Is(err, ErrNotBackup) || !strings.Contains(err.Error(), "earlier state") {
		t.Errorf("backup over one from after the branch: %v", err)
	}
	sc.must(t, sc.checkBackup(late, sc.h))
	restored.mustBackup(t, early)
	sc.must(t, restored.checkBackup(early, restored.h))
}

func TestBackupRefused(t *testing.T) {
	seed := testSeed(t)
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(seed, 0)))
	sc.must(t, sc.fill(3))
	sc.mustBackup(t, backupDir)

	makeFile := func(name string, b []byte) {
		t.Helper()
		sc.must(t, mem.MkdirAll(filepath.Dir(name)))
		f, err := mem.Create(name)
		sc.must(t, err)
		_, err = f.WriteAt(b, 0)
		sc.must(t, err)
		sc.must(t, f.Close())
	}
	makeFile("/srv/foreign/photo.jpg", []byte("photo"))
	makeFile("/srv/fake/BACKUP", []byte("my backup"))
	other, err := sc.opened("/srv/other", false)
	sc.must(t, err)
	sc.must(t, other.Put(sc.ctx, "key", []byte("value"), nil))
	if _, err := other.Backup(sc.ctx, "/srv/backups/other", nil); err != nil {
		t.Fatal(err)
	}
	sc.must(t, other.Close())
	awaitNext(t, sc.s)

	for dir, want := range map[string]string{
		memDir:                       "directory of the store",
		memDir + "/":                 "directory of the store",
		memDir + "/backup":           "inside",
		backupDir + "/more/deep":     "inside",
		"/srv/firn":                  "it has a file db",
		"/srv/foreign":               "photo.jpg",
		"/srv/fake":                  "something else",
		"/srv/other":                 "is a store of its own",
		"/srv/backups/other":         "another store",
		"/srv/firn/../firn/db/../db": "directory of the store",
	} {
		before := tree(t, mem, "/srv")
		_, err := sc.s.Backup(sc.ctx, dir, nil)
		if !errors.Is(err, ErrNotBackup) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", dir, err)
		}
		if after := tree(t, mem, "/srv"); !slices.Equal(before, after) {
			t.Errorf("%s: it left %q, there was %q", dir, after, before)
		}
	}
	reader, err := sc.opened(backupDir, true)
	sc.must(t, err)
	if _, err := sc.s.Backup(sc.ctx, backupDir, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("to a backup that is open: %v", err)
	}
	sc.must(t, reader.Close())
	ctx, cancel := context.WithCancel(sc.ctx)
	cancel()
	if _, err := sc.s.Backup(ctx, "/srv/backups/cancelled", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	sc.mustBackup(t, backupDir)
	sc.must(t, sc.close())
	if _, err := sc.s.Backup(sc.ctx, backupDir, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	sc.must(t, sc.checkBackup(backupDir, sc.h))
}

// tree lists what is in a directory and below it.
func tree(t *testing.T, fsys vfs.FS, dir string) []string {
	t.Helper()
	names, err := fsys.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range names {
		path := filepath.Join(dir, name)
		info, err := fsys.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(path, " ", info.Size))
		if info.Mode.IsDir() {
			all = append(all, tree(t, fsys, path)...)
		}
	}
	return all
}

// An empty store has backups too, which tell when they were opened for writing.
func TestBackupOfEmptyStore(t *testing.T) {
	sc := openScript(t, vfs.NewMem(), SyncAlways, newRand(t))
	for range 2 {
		if report := sc.mustBackup(t, backupDir); report != (BackupReport{}) {
			t.Errorf("%+v", report)
		}
	}
	sc.must(t, sc.checkBackup(backupDir, sc.h))
	s, err := sc.opened(backupDir, false)
	sc.must(t, err)
	sc.must(t, s.Close())
	if _, err := sc.s.Backup(sc.ctx, backupDir, nil); !errors.Is(err, ErrNotBackup) {
		t.Error(err)
	}
}

// Where files cannot be linked, they are copied; what was copied is kept when a
// backup was cancelled.
func TestBackupWithoutLinks(t *testing.T) {
	seed := testSeed(t)
	mem := vfs.NewMem()
	fault := vfs.NewFault(mem)
	sc := openScript(t, fault, SyncAlways, rand.New(rand.NewPCG(seed, 0)))
	sc.must(t, sc.fill(100))
	awaitSealed(t, sc.s)
	for _, errno := range []error{syscall.EXDEV, syscall.EPERM, syscall.EMLINK, syscall.ENOTSUP} {
		dir := "/srv/backups/" + fmt.Sprint(errno)
		fault.SetHook(func(op vfs.Op) error {
			if op.Kind == vfs.KindLink {
				return errno
			}
			return nil
		})
		ctx, cancel := context.WithCancel(sc.ctx)
		report, err := sc.s.Backup(ctx, dir, func(done, total int64) {
			if done > total/2 {
				cancel()
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) || report.Copied == 0 {
			t.Fatalf("cancelled: %+v, %v", report, err)
		}
		if _, err := sc.opened(dir, true); !errors.Is(err, ErrNotStore) {
			t.Errorf("a backup that is not complete: %v", err)
		}
		if _, err := sc.opened(dir, false); !errors.Is(err, ErrNotStore) {
			t.Errorf("a backup that is not complete: %v", err)
		}
		rest := sc.mustBackup(t, dir)
		if rest.Linked != 0 || rest.Kept == 0 || rest.CopiedBytes >= rest.Bytes {
			t.Errorf("%v: %+v, then %+v", errno, report, rest)
		}
		fault.SetHook(nil)
		sc.must(t, sc.checkBackup(dir, sc.h))
		sc.must(t, sc.fill(30))
		sc.mustBackup(t, dir)
		sc.must(t, sc.checkBackup(dir, sc.h))
	}
}

// Segments that the store does not have any more leave the backup too, and what
// is missing or damaged in it comes back.
func TestBackupMends(t *testing.T) {
	seed := testSeed(t)
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(seed, 0)))
	sc.must(t, sc.fill(60))
	awaitSealed(t, sc.s)
	sc.mustBackup(t, backupDir)
	names := func() (segments []string) {
		for name := range files(t, mem, backupDir) {
			if strings.HasSuffix(name, ".seg") {
				segments = append(segments, name)
			}
		}
		return segments
	}
	for _, name := range names() {
		sc.must(t, mem.Remove(filepath.Join(backupDir, name)))
		f, err := mem.Create(filepath.Join(backupDir, name))
		sc.must(t, err)
		if len(name)%2 == 0 {
			sc.must(t, f.Truncate(100))
		}
		sc.must(t, f.Close())
	}
	for _, name := range []string{"000000.seg", "009999.seg", "000001.seg.tmp", manifestTmpName, checkpointName} {
		f, err := mem.Create(filepath.Join(backupDir, name))
		sc.must(t, err)
		sc.must(t, f.Close())
	}
	want := sc.mustBackup(t, backupDir)
	if want.Kept != 0 || int64(len(names())) != want.Linked+want.Copied {
		t.Errorf("%+v, with %q", want, names())
	}
	sc.must(t, sc.checkBackup(backupDir, sc.h))
	for name := range files(t, mem, backupDir) {
		if !strings.HasSuffix(name, ".seg") && name != lockName && name != manifestName && name != backupName {
			t.Errorf("there is %s", name)
		}
	}
}

// A value that is being streamed in is not in the backup, and goes on.
func TestBackupDuringStream(t *testing.T) {
	seed := testSeed(t)
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(seed, 0)))
	sc.must(t, sc.step(sc.put("before", 100<<10)))
	value := slices.Concat(noise(sc.rng, 900<<10), noise(sc.rng, 900<<10))
	half := make(chan struct{})
	goOn := make(chan struct{})
	put := make(chan error)
	go func() {
		r := io.MultiReader(bytes.NewReader(value[:1<<20]), signal{half, goOn}, bytes.NewReader(value[1<<20:]))
		put <- sc.s.PutReader(sc.ctx, "stream", r, nil)
	}()
	<-half
	sg := sc.s.values.open[0]
	if report := sc.mustBackup(t, backupDir); report.Linked != 0 {
		t.Errorf("%+v", report)
	}
	sc.must(t, sc.checkBackup(backupDir, sc.h))
	if sealed, err := sc.s.sealValues(sg); sealed || err != nil {
		t.Fatalf("sealed under a stream: %v, %v", sealed, err)
	}
	// No new stream begins there, and the one under way is not disturbed.
	sc.must(t, sc.step(sc.put("after", 100<<10)))
	if other := sc.s.values.open[0]; other == sg {
		t.Error("a stream began in a segment that is to be sealed")
	}
	close(goOn)
	sc.must(t, <-put)
	sc.h.do("stream", modelWrite{"stream", newModelPair("stream", value, "", 0)})
	awaitSealed(t, sc.s)
	if !sc.s.isSealed(sg) {
		t.Error("not sealed after the stream")
	}
	sc.mustBackup(t, backupDir)
	sc.must(t, sc.checkBackup(backupDir, sc.h))
	sc.must(t, checkContents(sc.ctx, sc.s, sc.h))
}

// The place of a chunk that is being written is a gap in the backup, which the next
// one fills.
func TestBackupOfGaps(t *testing.T) {
	seed := testSeed(t)
	mem := vfs.NewMem()
	fault := vfs.NewFault(mem)
	sc := openScript(t, fault, SyncAlways, rand.New(rand.NewPCG(seed, 0)))
	sc.must(t, sc.step(sc.put("before", 100<<10)))
	reached, goOn := make(chan struct{}), make(chan struct{})
	var blocked atomic.Bool
	fault.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.KindWrite && strings.HasSuffix(op.Name, sc.s.values.open[0].name()) {
			if blocked.CompareAndSwap(false, true) {
				close(reached)
				<-goOn
			}
		}
		return nil
	})
	h, slow := sc.h.clone(), noise(sc.rng, 100<<10)
	put := make(chan error)
	go func() { put <- sc.s.Put(sc.ctx, "slow", slow, nil) }()
	<-reached
	for _, key := range []string{"behind", "at the end"} {
		w := sc.put(key, 100<<10)
		sc.must(t, perform(sc.ctx, sc.s, w))
		h.do(key, w)
		sc.mustBackup(t, backupDir)
		sc.must(t, sc.checkBackup(backupDir, h))
	}
	close(goOn)
	sc.must(t, <-put)
	h.do("slow", modelWrite{"slow", newModelPair("slow", slow, "", 0)})
	sc.mustBackup(t, backupDir)
	sc.must(t, sc.checkBackup(backupDir, h))
}

// signal reads as nothing, but not before it is told to.
type signal struct{ reached, goOn chan struct{} }

func (s signal) Read([]byte) (int, error) {
	close(s.reached)
	<-s.goOn
	return 0, io.EOF
}

// Value segments are sealed for a backup if that is worth it, and linked.
func TestBackupSealsValues(t *testing.T) {
	seed := testSeed(t)
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(seed, 0)))
	for i := range 9 {
		sc.must(t, sc.step(sc.put(fmt.Sprint("key", i), 600<<10)))
	}
	sg := sc.s.values.open[0]
	report := sc.mustBackup(t, backupDir)
	if report.Linked != 1 || report.CopiedBytes > 100<<10 {
		t.Errorf("%+v", report)
	}
	before := files(t, mem, memDir)[sg.name()]
	for range 2 {
		sc.must(t, sc.step(sc.put("key1", 100<<10), sc.put("key2", 40<<10)))
		sc.must(t, sc.close())
		sc.must(t, sc.open())
	}
	if after := files(t, mem, memDir)[sg.name()]; !bytes.Equal(before, after) {
		t.Error("a sealed value segment was written to")
	}
	sc.must(t, checkContents(sc.ctx, sc.s, sc.h))
	report = sc.mustBackup(t, backupDir)
	if report.Kept != 1 || report.CopiedBytes > 400<<10 {
		t.Errorf("%+v", report)
	}
	sc.must(t, sc.checkBackup(backupDir, sc.h))

	// A read-only store is not changed: what is not sealed is copied.
	sc.must(t, sc.close())
	store := files(t, mem, memDir)
	s, err := sc.opened(memDir, true)
	sc.must(t, err)
	if _, err := s.Backup(sc.ctx, backupDir, nil); err != nil {
		t.Fatal(err)
	}
	sc.must(t, s.Close())
	wantSameFiles(t, files(t, mem, memDir), store, "read-only")
	sc.must(t, sc.checkBackup(backupDir, sc.h))

	// It is noticed if what was sealed is cut.
	f, err := mem.OpenReadWrite(filepath.Join(memDir, sg.name()))
	sc.must(t, err)
	sc.must(t, f.Truncate(int64(len(before)-1)))
	sc.must(t, f.Close())
	if err := sc.open(); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), sg.name()) {
		t.Errorf("%s is cut: %v", sg.name(), err)
	}
}

// A value segment that is full is sealed in the background.
func TestFullValueSegmentIsSealed(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, newRand(t))
	sc.must(t, sc.step(sc.put("key1", 100<<10)))
	sg := sc.s.values.open[0]
	sg.end.Store(valueSegmentBytes - 1<<10) // a hole
	sc.must(t, sc.step(sc.put("key2", 100<<10)))
	awaitSealed(t, sc.s)
	if !sc.s.isSealed(sg) {
		t.Error("not sealed")
	}
	sc.must(t, sc.step(sc.put("key3", 100<<10)))
	sc.must(t, sc.close())
	sc.must(t, sc.open())
	sc.must(t, checkContents(sc.ctx, sc.s, sc.h))
	if n := len(sc.s.values.open); n != 1 {
		t.Errorf("%d value segments take values", n)
	}
}

// A put whose reader fails at the end of a segment leaves a claimed place that was
// never written: it is part of the segment all the same.
func TestSealAfterFailedWrite(t *testing.T) {
	mem := vfs.NewMem()
	fault := vfs.NewFault(mem)
	sc := openScript(t, fault, SyncAlways, newRand(t))
	sc.must(t, sc.step(sc.put("key1", 100<<10)))
	sg := sc.s.values.open[0]
	fault.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.KindWrite && strings.HasSuffix(op.Name, sg.name()) {
			return vfs.ShortWrite{N: 1000}
		}
		return nil
	})
	if err := sc.s.Put(sc.ctx, "key2", noise(sc.rng, 100<<10), nil); !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	fault.SetHook(nil)
	r := io.MultiReader(bytes.NewReader(noise(sc.rng, 100<<10)), iotest.ErrReader(errors.New("broken")))
	if err := sc.s.PutReader(sc.ctx, "key3", r, nil); err == nil {
		t.Fatal("no error")
	}
	if sealed, err := sc.s.sealValues(sg); !sealed || err != nil {
		t.Fatal(sealed, err)
	}
	sc.mustBackup(t, backupDir)
	sc.must(t, sc.checkBackup(backupDir, sc.h))
	sc.must(t, sc.close())
	sc.must(t, sc.open())
	sc.must(t, checkContents(sc.ctx, sc.s, sc.h))
}

// What waits in the queue of writers is not in the log, and its sequence numbers may
// be used again after a crash.
func TestLoggedSeq(t *testing.T) {
	sc := openScript(t, vfs.NewMem(), SyncAlways, newRand(t))
	sc.must(t, sc.step(sc.put("key", 10), sc.put("key", 10)))
	c := &sc.s.committer
	c.disk.Lock()
	done := make(chan error)
	for range 2 {
		go func() { done <- sc.s.Put(sc.ctx, "key", nil, nil) }()
	}
	for c.lastSeq() < 4 {
		runtime.Gosched()
	}
	seq := c.loggedSeq()
	c.disk.Unlock()
	sc.must(t, errors.Join(<-done, <-done))
	if seq != 2 || c.loggedSeq() != 4 {
		t.Errorf("%d, then %d; want 2 and 4", seq, c.loggedSeq())
	}
}

func TestManifestBranches(t *testing.T) {
	want := []branch{{1 << 63, 7}, {2, 1 << 40}}
	e := edit(nil).next(3)
	for _, b := range want {
		e = e.branch(b)
	}
	for range 2 {
		state := manifestState{segments: map[uint64]*segmentInfo{}}
		if err := state.apply(e); err != nil || !slices.Equal(state.branches, want) {
			t.Fatalf("%+v, %v", state.branches, err)
		}
		e = state.snapshot()
	}
	if err := (&manifestState{}).apply(edit(nil).branch(want[0])[:9]); err == nil {
		t.Error("half a branch was accepted")
	}
}

// writerLog is one of several writers at once. Each step is a batch; it says how
// far the others were when it began.
type writerLog struct {
	acked, begun atomic.Int64
}

type writerStep struct {
	Step int64
	Saw  []int64 // steps of every writer that were acknowledged
}

const writerKeys = 5

func (w *writerLog) write(ctx context.Context, s *Store, g int, all []*writerLog, rng *rand.Rand) error {
	n := w.begun.Add(1)
	step := writerStep{Step: n}
	for _, other := range all {
		step.Saw = append(step.Saw, other.acked.Load())
	}
	head, err := json.Marshal(step)
	if err != nil {
		return err
	}
	size := rng.IntN(2000)
	if rng.IntN(20) == 0 {
		size = largeFrom + rng.IntN(200<<10)
	}
	var b Batch
	b.Put(fmt.Sprintf("%d:first", g), head, nil)
	b.Put(fmt.Sprintf("%d:%d", g, n%writerKeys), append([]byte(fmt.Sprint(n, "\n")), noise(rng, size)...), nil)
	b.Put(fmt.Sprintf("%d:last", g), head, nil)
	if err := s.Write(ctx, &b); err != nil {
		return err
	}
	w.acked.Store(n)
	return nil
}

// checkWriters checks that a backup holds a prefix of what the writers wrote, with
// at least floors of it.
func checkWriters(ctx context.Context, s *Store, floors, most []int64) error {
	steps := make([]writerStep, len(floors))
	for g := range floors {
		first, err := s.Get(ctx, fmt.Sprintf("%d:first", g))
		if errors.Is(err, ErrNotFound) && floors[g] == 0 {
			steps[g].Saw = make([]int64, len(floors))
			continue
		}
		last, lastErr := s.Get(ctx, fmt.Sprintf("%d:last", g))
		if err != nil || lastErr != nil || !bytes.Equal(first, last) {
			return fmt.Errorf("writer %d: half a batch: %s, %s, %v, %v", g, first, last, err, lastErr)
		}
		if err := json.Unmarshal(first, &steps[g]); err != nil {
			return err
		}
		n := steps[g].Step
		if n < floors[g] || n > most[g] {
			return fmt.Errorf("writer %d: it is at %d, not in %d to %d", g, n, floors[g], most[g])
		}
		for i := max(1, n-writerKeys+1); i <= n; i++ {
			value, err := s.Get(ctx, fmt.Sprintf("%d:%d", g, i%writerKeys))
			if err != nil || !strings.HasPrefix(string(value), fmt.Sprint(i, "\n")) {
				return fmt.Errorf("writer %d at %d: step %d is not there: %.20q, %v", g, n, i, value, err)
			}
		}
	}
	for g, step := range steps {
		for other, n := range step.Saw {
			if steps[other].Step < n {
				return fmt.Errorf("writer %d at %d saw step %d of writer %d, which is at %d", g, step.Step, n, other, steps[other].Step)
			}
		}
	}
	return checkVerify(ctx, s)
}

// Backups are taken while several write. Each is a state that there was: all that
// was acknowledged before it began, and of every write all that was before that.
func TestBackupUnderWriters(t *testing.T) {
	seed := testSeed(t)
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		mem := vfs.NewMem()
		sc := openScript(t, mem, mode, rand.New(rand.NewPCG(seed, 0)))
		all := make([]*writerLog, 4)
		for g := range all {
			all[g] = &writerLog{}
		}
		var wg sync.WaitGroup
		var stop atomic.Bool
		for g, w := range all {
			rng := rand.New(rand.NewPCG(seed, uint64(g)))
			wg.Go(func() {
				for !stop.Load() && w.begun.Load() < 3000 {
					if err := w.write(sc.ctx, sc.s, g, all, rng); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		defer wg.Wait()
		defer stop.Store(true)
		rounds := 12
		if testing.Short() || underRace {
			rounds = 4
		}
		for range rounds {
			goal := all[0].acked.Load() + 10
			for all[0].acked.Load() < min(goal, 3000) && !t.Failed() {
				sc.must(t, sc.s.Sync(sc.ctx))
			}
			var floors, most []int64
			for _, w := range all {
				floors = append(floors, w.acked.Load())
			}
			sc.mustBackup(t, backupDir)
			for _, w := range all {
				most = append(most, w.begun.Load())
			}
			s, err := sc.opened(backupDir, true)
			sc.must(t, err)
			err = checkWriters(sc.ctx, s, floors, most)
			sc.must(t, errors.Join(err, s.Close()))
		}
	})
}

// A backup on the file system of the system, read beside the live store.
func TestBackupOnDisk(t *testing.T) {
	a := openAPI(t, Options{SegmentBytes: minSegmentBytes})
	value := incompressible(newRand(t), 1000)
	for i := range 300 {
		a.put(fmt.Sprintf("key:%03d", i), string(value), nil)
	}
	large := incompressible(newRand(t), 5<<20)
	a.put("large", string(large), nil)
	awaitSealed(t, a.Store)
	dest := filepath.Join(t.TempDir(), "deep", "backup")
	report, err := a.Backup(a.ctx, dest, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Linked < 4 || report.CopiedBytes > report.Bytes/10 {
		t.Errorf("%+v", report)
	}
	s, err := Open(dest, &Options{ReadOnly: true, Clock: a.clock.now, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	a.put("key:000", "changed", nil)
	if got, err := s.Get(a.ctx, "key:000"); err != nil || !bytes.Equal(got, value) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := s.Get(a.ctx, "large"); err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if report, err := s.Verify(a.ctx, nil); err != nil || len(report.Damage) > 0 {
		t.Error(report, err)
	}
	if _, err := a.Backup(a.ctx, dest, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("to a backup that is open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Backup(a.ctx, filepath.Join(a.path, "inside"), nil); !errors.Is(err, ErrNotBackup) {
		t.Error(err)
	}
}
