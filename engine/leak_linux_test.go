package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// leaks knows what was there at the start of a test.
type leaks struct {
	*testing.T
	before goleak.Option
}

func newLeaks(t *testing.T) *leaks {
	// A collected os.File closes itself.
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	return &leaks{t, goleak.IgnoreCurrent()}
}

// check fails if a file below root is open, or a goroutine is left.
func (l *leaks) check(root string, after vfs.Op) {
	l.Helper()
	if open := openFiles(l.T, root); len(open) > 0 {
		l.Fatalf("after a fault of %v %q are open", after, open)
	}
	if err := goleak.Find(l.before); err != nil {
		l.Fatalf("after a fault of %v: %v", after, err)
	}
	runtime.GC()
}

// TestFailedOpenLeavesNothingOpen fails every operation of an open in turn: that of
// a new store, and of one that was killed.
func TestFailedOpenLeavesNothingOpen(t *testing.T) {
	l := newLeaks(t)
	a := openAPI(t, Options{SegmentBytes: minSegmentBytes})
	rng := newRand(t)
	for i := range 40 {
		a.put(fmt.Sprint(i), string(incompressible(rng, 4000)), nil)
	}
	a.put("large", strings.Repeat("large", largeFrom), nil)
	killed := t.TempDir()
	copyStore(t, a.path, killed)
	a.close()
	step := int64(1)
	if underRace {
		step = 5
	}
	for name, from := range map[string]string{"new": t.TempDir(), "killed": killed} {
		for _, readOnly := range []bool{false, true} {
			for at, hit := int64(0), true; hit; at += step {
				dir := t.TempDir()
				copyStore(t, from, dir)
				sn := &session{dir: dir, at: at}
				sn.begin()
				opts := sn.options(sn.fs)
				opts.ReadOnly, opts.Clock = readOnly, a.clock.now
				s, err := Open(dir, opts)
				if err == nil {
					err = s.Close()
				}
				if hit = sn.hit(); !hit && err != nil && (name != "new" || !readOnly) {
					t.Fatal(err)
				}
				l.check(dir, sn.op)
			}
		}
	}
}

// TestNothingStaysOpen does everything that opens files and starts goroutines,
// and fails the operations of the file system on the way, as many as there is time
// for. Whatever failed, after the close no file and no goroutine is left, nor the
// lock.
func TestNothingStaysOpen(t *testing.T) {
	seed := testSeed(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	l := newLeaks(t)
	step := int64(40)
	if testing.Short() || underRace {
		step = 400
	}
	for _, mode := range syncModes {
		sessions := 0
		sn := &session{}
		for at, more := int64(-1), true; more; at += 1 + rng.Int64N(2*step) {
			root := t.TempDir()
			sn = &session{dir: filepath.Join(root, "store"), mode: mode.mode, at: at, rng: rand.New(rand.NewPCG(seed, 1))}
			more = sn.run(t) || at < 0
			l.check(root, sn.op)
			sessions++
			sn.reopen(t)
			if err := os.RemoveAll(root); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%s: %d sessions of %d operations", mode.name, sessions, sn.count.Load())
	}
}

// session is the life of a store on real files. One operation of the file system
// fails.
type session struct {
	dir  string
	mode SyncMode
	at   int64 // number of the operation; none if negative
	rng  *rand.Rand

	fs    *vfs.Fault
	count atomic.Int64
	op    vfs.Op // that failed
}

func (sn *session) options(fsys vfs.FS) *Options {
	return memOptions(fsys, sn.mode, newTestClock())
}

func (sn *session) begin() {
	sn.fs = vfs.NewFault(unsynced{vfs.OS})
	sn.fs.SetHook(func(op vfs.Op) error {
		if sn.count.Add(1)-1 == sn.at {
			sn.op = op
			return syscall.EIO
		}
		return nil
	})
}

// hit reports whether the operation came up.
func (sn *session) hit() bool { return sn.at >= 0 && sn.count.Load() > sn.at }

// run reports whether the operation came up. Any error may follow from it, but
// there is none without it.
func (sn *session) run(t *testing.T) bool {
	t.Helper()
	sn.begin()
	var errs []error
	for range 2 {
		errs = append(errs, sn.life(), sn.look())
	}
	if err := errors.Join(errs...); err != nil && !sn.hit() {
		t.Fatal(err)
	}
	return sn.hit()
}

// reopen opens the store without a fault.
func (sn *session) reopen(t *testing.T) {
	t.Helper()
	s, err := Open(sn.dir, sn.options(unsynced{vfs.OS}))
	if err != nil {
		t.Fatalf("after a fault of %v: %v", sn.op, err)
	}
	if len(openFiles(t, sn.dir)) == 0 {
		t.Fatal("open files are not seen")
	}
	if err := s.Close(); err != nil {
		t.Fatalf("after a fault of %v: %v", sn.op, err)
	}
}

// unsynced is a file system of which nobody takes the power away.
type unsynced struct{ vfs.FS }

func (u unsynced) SyncDir(string) error { return nil }

func (u unsynced) Create(name string) (vfs.File, error) { return unsyncedFile(u.FS.Create(name)) }

func (u unsynced) OpenReadWrite(name string) (vfs.File, error) {
	return unsyncedFile(u.FS.OpenReadWrite(name))
}

func unsyncedFile(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return noSync{f}, nil
}

type noSync struct{ vfs.File }

func (noSync) SyncData() error { return nil }
func (noSync) Sync() error     { return nil }

// life opens the store for writing, works with it, and closes it.
func (sn *session) life() error {
	s, err := Open(sn.dir, sn.options(sn.fs))
	if err != nil {
		return err
	}
	ctx := context.Background()
	var errs []error
	try := func(err error) { errs = append(errs, err) }
	for i := range 20 {
		try(s.Put(ctx, fmt.Sprint(i), incompressible(sn.rng, 5000), nil))
	}
	large := incompressible(sn.rng, 400<<10)
	try(s.Put(ctx, "large", large, nil))
	broken := io.MultiReader(strings.NewReader(string(large)), iotest.ErrReader(io.ErrUnexpectedEOF))
	if err := s.PutReader(ctx, "broken", broken, nil); err == nil {
		try(errors.New("a stream that broke off was stored"))
	}
	for i := range 10 {
		try(s.Delete(ctx, fmt.Sprint(i)))
	}
	if v, err := s.GetReader(ctx, "large"); err != nil {
		try(err)
	} else {
		defer v.Close() // after the store
		_, err := io.CopyN(io.Discard, v, 1000)
		try(err)
	}
	try(sn.work(ctx, s))
	try(s.Close())
	return errors.Join(errs...)
}

// work does what the background would do, and what users do now and then.
func (sn *session) work(ctx context.Context, s *Store) error {
	var errs []error
	_, err := s.committer.rollNow()
	errs = append(errs, err, s.Compact(ctx))
	for _, err := range s.Keys(ctx, "") {
		errs = append(errs, err)
	}
	_, err = s.Verify(ctx, nil)
	errs = append(errs, err)
	_, err = s.Backup(ctx, sn.dir+"-backup", nil)
	errs = append(errs, err)
	if second, err := Open(sn.dir, sn.options(sn.fs)); err == nil {
		errs = append(errs, errors.New("it was opened twice"), second.Close())
	}
	return errors.Join(errs...)
}

// look opens the store and its backup read-only.
func (sn *session) look() error {
	var errs []error
	for _, dir := range []string{sn.dir, sn.dir + "-backup"} {
		opts := sn.options(sn.fs)
		opts.ReadOnly = true
		s, err := Open(dir, opts)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		_, err = s.Get(context.Background(), "large")
		errs = append(errs, err, s.Close())
	}
	return errors.Join(errs...)
}
