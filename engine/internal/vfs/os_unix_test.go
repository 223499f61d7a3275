//go:build unix

package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOSRefusesWhatIsNotAFile(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	must(t, os.WriteFile(target, []byte("secret"), 0o600))
	odd := map[string]error{
		"symlink":  os.Symlink(target, filepath.Join(dir, "symlink")),
		"dangling": os.Symlink(filepath.Join(dir, "none"), filepath.Join(dir, "dangling")),
		"pipe":     unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		"dir":      os.Mkdir(filepath.Join(dir, "dir"), 0o700),
	}
	for name, err := range odd {
		must(t, err)
		path := filepath.Join(dir, name)
		_, err = OS.Open(path)
		wantErr(t, err, ErrNotRegular)
		_, err = OS.OpenReadWrite(path)
		wantErr(t, err, ErrNotRegular)
		_, err = OS.Lock(path)
		wantErr(t, err, ErrNotRegular)
		_, err = OS.Create(path)
		wantErr(t, err, os.ErrExist)
	}
	if _, err := os.Lstat(filepath.Join(dir, "none")); err == nil {
		t.Error("a file was made through a dangling symlink")
	}
	info, err := OS.Stat(filepath.Join(dir, "symlink"))
	must(t, err)
	if info.Mode&os.ModeSymlink == 0 {
		t.Errorf("mode of a symlink: %v", info.Mode)
	}
}

func TestOSModes(t *testing.T) {
	s := system{OS, filepath.Join(t.TempDir(), "db")}
	must(t, OS.MkdirAll(s.dir))
	create(t, s, "f", "")
	lock, err := OS.Lock(s.path("LOCK"))
	must(t, err)
	defer lock.Close()
	for name, want := range map[string]os.FileMode{"": os.ModeDir | dirMode, "f": fileMode, "LOCK": fileMode} {
		info, err := OS.Stat(s.path(name))
		must(t, err)
		if info.Mode != want {
			t.Errorf("mode of %q: got %v, want %v", name, info.Mode, want)
		}
	}
}

func TestOSExtend(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	must(t, err)
	defer f.Close()
	for _, c := range []struct{ size, want int64 }{{10, 10}, {5, 10}, {11, 11}} {
		must(t, extend(f, c.size))
		info, err := f.Stat()
		must(t, err)
		if info.Size() != c.want {
			t.Errorf("extend to %d: size %d, want %d", c.size, info.Size(), c.want)
		}
	}
}

func TestOSQuotaIsADiskFull(t *testing.T) {
	quota := &os.PathError{Op: "write", Path: "f", Err: unix.EDQUOT}
	err := asDiskFull(quota)
	wantErr(t, err, syscall.ENOSPC)
	wantErr(t, err, unix.EDQUOT)
	other := &os.PathError{Op: "write", Path: "f", Err: unix.EIO}
	if errors.Is(asDiskFull(other), syscall.ENOSPC) || asDiskFull(nil) != nil {
		t.Error("other errors match ENOSPC")
	}
}

func TestOSWritesAllocateNoMemory(t *testing.T) {
	f := create(t, system{OS, t.TempDir()}, "f", "")
	must(t, f.Preallocate(0, 1<<16))
	p := make([]byte, 100)
	allocs := testing.AllocsPerRun(10, func() {
		write(t, f, p, 0)
		if err := f.SyncData(); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("a write and a sync allocate %v times", allocs)
	}
}

func BenchmarkOSWriteSync(b *testing.B) {
	f, err := OS.Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Preallocate(0, 1<<20); err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 4096)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := f.WriteAt(p, int64(i%256)*4096); err != nil {
			b.Fatal(err)
		}
		if err := f.SyncData(); err != nil {
			b.Fatal(err)
		}
	}
}
