package vfs

import (
	"io"
	"io/fs"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// OS is the file system of the operating system.
var OS FS = osFS{}

type osFS struct{}

// dirMode and fileMode keep the store to its owner: what people put into it may be secret.
const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
)

func (osFS) MkdirAll(dir string) error { return os.MkdirAll(dir, dirMode) }

func (osFS) Open(name string) (File, error) { return openFile(name, os.O_RDONLY) }

func (osFS) OpenReadWrite(name string) (File, error) { return openFile(name, os.O_RDWR) }

func (osFS) Create(name string) (File, error) {
	return openFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (osFS) Rename(oldname, newname string) error { return os.Rename(oldname, newname) }

func (osFS) Remove(name string) error { return os.Remove(name) }

func (osFS) Link(oldname, newname string) error { return os.Link(oldname, newname) }

func (osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) Stat(name string) (Info, error) {
	fi, err := os.Lstat(name)
	if err != nil {
		return Info{}, err
	}
	allocated, err := allocatedBytes(name, fi)
	if err != nil {
		return Info{}, err
	}
	return Info{Size: fi.Size(), Allocated: allocated, Mode: fi.Mode()}, nil
}

func (osFS) Free(dir string) (int64, error) {
	n, err := freeBytes(dir)
	if err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(min(n, math.MaxInt64)), nil
}

func (osFS) SyncDir(dir string) error { return syncDir(dir) }

func (osFS) Lock(name string) (io.Closer, error) {
	return lock(name, os.O_RDWR|os.O_CREATE, true)
}

func (osFS) LockShared(name string) (io.Closer, error) { return lock(name, os.O_RDONLY, false) }

func lock(name string, flag int, exclusive bool) (io.Closer, error) {
	f, err := openRegular(name, flag)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f, exclusive); err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
	// The lock belongs to the open file, so it goes when the file is closed.
	return f, nil
}

// osFile is an *os.File plus the calls that package os does not offer.
type osFile struct {
	f *os.File

	// mu keeps the descriptor from being closed, and its number from being reused for another file, during a direct
	// system call on it, and the mapping from being removed during a read. os.File guards its own calls itself.
	mu     sync.RWMutex
	closed bool

	mapped atomic.Pointer[mapping] // or nil
}

func openFile(name string, flag int) (File, error) {
	f, err := openRegular(name, flag)
	if err != nil {
		return nil, err
	}
	return &osFile{f: f}, nil
}

// notRegularOr replaces the error of a failed open by a clear one if name is something that is not a file. The errors
// for that differ between systems and kinds: ELOOP, EMLINK, EFTYPE, EISDIR, ENXIO, access denied.
func notRegularOr(err error, name string) error {
	if fi, lerr := os.Lstat(name); lerr == nil && !fi.Mode().IsRegular() {
		err = ErrNotRegular
	}
	if _, ok := err.(*fs.PathError); ok {
		return err
	}
	return &fs.PathError{Op: "open", Path: name, Err: err}
}

func (f *osFile) ReadAt(p []byte, off int64) (int, error) {
	if f.mapped.Load() != nil && f.readMapped(p, off) {
		return len(p), nil
	}
	return f.f.ReadAt(p, off)
}

func (f *osFile) readMapped(p []byte, off int64) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	m := f.mapped.Load() // nil if closed meanwhile
	return m != nil && m.readAt(p, off)
}

func (f *osFile) MapReads(size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed && f.mapped.Load() == nil {
		f.mapped.Store(newMapping(f.f, size))
	}
}

func (f *osFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.f.WriteAt(p, off)
	return n, asDiskFull(err)
}

func (f *osFile) Size() (int64, error) {
	fi, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (f *osFile) Truncate(size int64) error { return asDiskFull(f.f.Truncate(size)) }

// Sync uses F_FULLFSYNC on macOS, where plain fsync leaves the data in the disk's cache; package os sees to that.
func (f *osFile) Sync() error { return f.f.Sync() }

func (f *osFile) SyncData() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return f.failed("fdatasync", fs.ErrClosed)
	}
	if err := syncData(f.f); err != nil {
		return f.failed("fdatasync", err)
	}
	return nil
}

func (f *osFile) WriteOut(off, n int64) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.closed {
		writeOut(f.f, off, n)
	}
}

func (f *osFile) Preallocate(off, n int64) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return f.failed("preallocate", fs.ErrClosed)
	}
	if off < 0 || n < 0 || off+n < 0 {
		return f.failed("preallocate", fs.ErrInvalid)
	}
	if n == 0 {
		return nil
	}
	if err := preallocate(f.f, off, n); err != nil {
		return asDiskFull(f.failed("preallocate", err))
	}
	return nil
}

func (f *osFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if m := f.mapped.Swap(nil); m != nil {
		m.close()
	}
	return f.f.Close()
}

// failed names the operation and the file, unless err does so already.
func (f *osFile) failed(op string, err error) error {
	if _, ok := err.(*fs.PathError); ok {
		return err
	}
	return &fs.PathError{Op: op, Path: f.f.Name(), Err: err}
}

// extend makes the file at least size bytes long without setting disk space aside.
func extend(f *os.File, size int64) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if fi.Size() >= size {
		return nil
	}
	return f.Truncate(size)
}

// diskFull makes a system's other errors for want of space (a quota, Windows' own codes) match syscall.ENOSPC, so that
// callers need to know only one.
type diskFull struct{ error }

func (e diskFull) Is(target error) bool { return target == syscall.ENOSPC }

func (e diskFull) Unwrap() error { return e.error }

func asDiskFull(err error) error {
	if err != nil && isDiskFull(err) {
		return diskFull{err}
	}
	return err
}
