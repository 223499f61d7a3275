package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"
	"syscall"
)

// Kind says what an operation does.
type Kind string

// The kinds of operations that Fault counts.
const (
	KindMkdir       Kind = "mkdir"
	KindOpen        Kind = "open" // for reading, or reading and writing
	KindCreate      Kind = "create"
	KindRename      Kind = "rename"
	KindRemove      Kind = "remove"
	KindLink        Kind = "link"
	KindList        Kind = "list"
	KindStat        Kind = "stat" // of a name, the size of an open file, or the free space
	KindSyncDir     Kind = "syncdir"
	KindLock        Kind = "lock"
	KindRead        Kind = "read"
	KindWrite       Kind = "write"
	KindTruncate    Kind = "truncate"
	KindPreallocate Kind = "preallocate"
	KindSync        Kind = "sync" // SyncData too
	KindClose       Kind = "close"
)

// Op is one operation of a Fault.
type Op struct {
	Index  int64  // how many operations came before it
	Kind   Kind   // what it does
	Name   string // to which file; for a rename or a link the new name
	Offset int64  // of a read, write or preallocation; for a truncation the new size
	Length int    // of a read, write or preallocation, in bytes
}

func (op Op) String() string {
	return fmt.Sprintf("#%d %s %s [%d,+%d)", op.Index, op.Kind, op.Name, op.Offset, op.Length)
}

// ShortWrite, as the error of a hook, lets the first N bytes of a write through and then fails it.
type ShortWrite struct {
	N   int
	Err error // nil for syscall.ENOSPC
}

func (e ShortWrite) Error() string {
	return fmt.Sprintf("short write of %d bytes: %v", e.N, e.Unwrap())
}

func (e ShortWrite) Unwrap() error {
	if e.Err == nil {
		return syscall.ENOSPC
	}
	return e.Err
}

// Fault is a file system that passes every operation on to another one, counts it, and fails it when told to. Its
// methods are safe for concurrent use. The release of a lock is passed on uncounted.
type Fault struct {
	inner FS
	count atomic.Int64
	hook  atomic.Pointer[func(Op) error]
}

// NewFault returns a Fault without a hook around inner.
func NewFault(inner FS) *Fault { return &Fault{inner: inner} }

// SetHook sets what is called before each operation from now on; nil for nothing. An error it returns becomes the result
// of the operation, wrapped in a *fs.PathError, and the operation is not done, with three exceptions: a write does what
// ShortWrite says; a failed sync of a file of a Mem gives up the file's unsynced writes for good, as a kernel does; and
// a close is done anyway, so that nothing stays open.
//
// The hook is called by the goroutine that operates, by several at once if several do, and with no lock held: it may
// take copies by Mem.Crash and Mem.Kill, and operate on file systems, on this one too (which then calls the hook again).
func (f *Fault) SetHook(hook func(Op) error) {
	if hook == nil {
		f.hook.Store(nil)
		return
	}
	f.hook.Store(&hook)
}

// Count returns how many operations there have been.
func (f *Fault) Count() int64 { return f.count.Load() }

// before counts an operation and asks the hook.
func (f *Fault) before(op Op) error {
	op.Index = f.count.Add(1) - 1
	hook := f.hook.Load()
	if hook == nil {
		return nil
	}
	if err := (*hook)(op); err != nil {
		return &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: err}
	}
	return nil
}

func (f *Fault) MkdirAll(dir string) error {
	if err := f.before(Op{Kind: KindMkdir, Name: dir}); err != nil {
		return err
	}
	return f.inner.MkdirAll(dir)
}

func (f *Fault) Open(name string) (File, error) { return f.open(KindOpen, name, f.inner.Open) }

func (f *Fault) OpenReadWrite(name string) (File, error) {
	return f.open(KindOpen, name, f.inner.OpenReadWrite)
}

func (f *Fault) Create(name string) (File, error) { return f.open(KindCreate, name, f.inner.Create) }

func (f *Fault) open(kind Kind, name string, open func(string) (File, error)) (File, error) {
	if err := f.before(Op{Kind: kind, Name: name}); err != nil {
		return nil, err
	}
	inner, err := open(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{fault: f, inner: inner, name: name}, nil
}

func (f *Fault) Rename(oldname, newname string) error {
	if err := f.before(Op{Kind: KindRename, Name: newname}); err != nil {
		return err
	}
	return f.inner.Rename(oldname, newname)
}

func (f *Fault) Remove(name string) error {
	if err := f.before(Op{Kind: KindRemove, Name: name}); err != nil {
		return err
	}
	return f.inner.Remove(name)
}

func (f *Fault) Link(oldname, newname string) error {
	if err := f.before(Op{Kind: KindLink, Name: newname}); err != nil {
		return err
	}
	return f.inner.Link(oldname, newname)
}

func (f *Fault) List(dir string) ([]string, error) {
	if err := f.before(Op{Kind: KindList, Name: dir}); err != nil {
		return nil, err
	}
	return f.inner.List(dir)
}

func (f *Fault) Stat(name string) (Info, error) {
	if err := f.before(Op{Kind: KindStat, Name: name}); err != nil {
		return Info{}, err
	}
	return f.inner.Stat(name)
}

func (f *Fault) Free(dir string) (int64, error) {
	if err := f.before(Op{Kind: KindStat, Name: dir}); err != nil {
		return 0, err
	}
	return f.inner.Free(dir)
}

func (f *Fault) SyncDir(dir string) error {
	if err := f.before(Op{Kind: KindSyncDir, Name: dir}); err != nil {
		return err
	}
	return f.inner.SyncDir(dir)
}

func (f *Fault) Lock(name string) (io.Closer, error) {
	if err := f.before(Op{Kind: KindLock, Name: name}); err != nil {
		return nil, err
	}
	return f.inner.Lock(name)
}

func (f *Fault) LockShared(name string) (io.Closer, error) {
	if err := f.before(Op{Kind: KindLock, Name: name}); err != nil {
		return nil, err
	}
	return f.inner.LockShared(name)
}

// faultFile is an open file of a Fault.
type faultFile struct {
	fault *Fault
	inner File
	name  string
}

func (f *faultFile) before(kind Kind, off int64, length int) error {
	return f.fault.before(Op{Kind: kind, Name: f.name, Offset: off, Length: length})
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.before(KindRead, off, len(p)); err != nil {
		return 0, err
	}
	return f.inner.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.before(KindWrite, off, len(p))
	if err == nil {
		return f.inner.WriteAt(p, off)
	}
	var short ShortWrite
	if !errors.As(err, &short) || short.N <= 0 {
		return 0, err
	}
	n, innerErr := f.inner.WriteAt(p[:min(short.N, len(p))], off)
	if innerErr != nil {
		return n, innerErr
	}
	return n, err
}

func (f *faultFile) Size() (int64, error) {
	if err := f.before(KindStat, 0, 0); err != nil {
		return 0, err
	}
	return f.inner.Size()
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.before(KindTruncate, size, 0); err != nil {
		return err
	}
	return f.inner.Truncate(size)
}

func (f *faultFile) Preallocate(off, n int64) error {
	if err := f.before(KindPreallocate, off, int(n)); err != nil {
		return err
	}
	return f.inner.Preallocate(off, n)
}

func (f *faultFile) WriteOut(off, n int64) { f.inner.WriteOut(off, n) }

func (f *faultFile) MapReads(size int64) { f.inner.MapReads(size) }

func (f *faultFile) SyncData() error { return f.sync(f.inner.SyncData) }

func (f *faultFile) Sync() error { return f.sync(f.inner.Sync) }

func (f *faultFile) sync(sync func() error) error {
	err := f.before(KindSync, 0, 0)
	if err == nil {
		return sync()
	}
	if inner, ok := f.inner.(interface{ failSync() }); ok {
		inner.failSync()
	}
	return err
}

func (f *faultFile) Close() error {
	err := f.before(KindClose, 0, 0)
	if closeErr := f.inner.Close(); err == nil {
		err = closeErr
	}
	return err
}
