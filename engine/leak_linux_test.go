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

// openFiles returns the files in and below dir that this process has open.
func openFiles(t *testing.T, dir string) []string {
	t.Helper()
	const fds = "/proc/self/fd"
	entries, err := os.ReadDir(fds)
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range entries {
		// That of the listing itself is gone.
		if name, err := os.Readlink(filepath.Join(fds, e.Name())); err == nil && strings.HasPrefix(name, dir+"/") {
			open = append(open, name)
		}
	}
	return open
}

// TestNothingStaysOpen does everything that opens files and starts goroutines,
// and fails the operations of the file system on the way, as many as there is time
// for. Whatever failed, after the close no file and no goroutine is left, nor the
// lock.
func TestNothingStaysOpen(t *testing.T) {
	seed := testSeed(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	before := goleak.IgnoreCurrent()
	// A collected os.File closes itself.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	step := 25
	if testing.Short() || underRace {
		step = 100
	}
	sessions, operations := 0, int64(0)
	for _, mode := range syncModes {
		for at, hit := int64(-1), true; hit; at += 1 + rng.Int64N(int64(2*step)) {
			root := t.TempDir()
			sn := &session{dir: filepath.Join(root, "store"), mode: mode.mode, at: at, rng: rand.New(rand.NewPCG(seed, 1))}
			hit = sn.run(t) || at < 0
			sessions++
			operations = max(operations, sn.count.Load())
			what := fmt.Sprintf("%s: after a fault of %v", mode.name, &sn.op)
			if open := openFiles(t, root); len(open) > 0 {
				t.Fatalf("%s %q are open", what, open)
			}
			if err := goleak.Find(before); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			s, err := Open(sn.dir, sn.options(unsynced{vfs.OS}))
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if len(openFiles(t, root)) == 0 {
				t.Fatal("open files are not seen")
			}
			if err := s.Close(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if err := os.RemoveAll(root); err != nil {
				t.Fatal(err)
			}
			runtime.GC()
		}
	}
	t.Logf("%d sessions of up to %d operations", sessions, operations)
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

// run reports whether the operation came up. Any error may follow from it, but
// there is none without it.
func (sn *session) run(t *testing.T) bool {
	sn.fs = vfs.NewFault(unsynced{vfs.OS})
	sn.fs.SetHook(func(op vfs.Op) error {
		if sn.count.Add(1)-1 == sn.at {
			sn.op = op
			return syscall.EIO
		}
		return nil
	})
	var errs []error
	for range 2 {
		errs = append(errs, sn.life(), sn.look())
	}
	sn.fs.SetHook(nil)
	hit := sn.at >= 0 && sn.count.Load() > sn.at
	if err := errors.Join(errs...); err != nil && !hit {
		t.Fatal(err)
	}
	return hit
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
