package vfs

import (
	"io"
	"io/fs"
	"syscall"
)

// memFile is an open file of a Mem.
type memFile struct {
	m        *Mem
	node     *node
	name     string
	writable bool
	closed   bool // guarded by m.mu
}

// begin locks the file system for an operation on f. The caller unlocks it, also after an error.
func (f *memFile) begin(op string, writes bool) error {
	f.m.mu.Lock()
	if f.closed {
		return f.failed(op, fs.ErrClosed)
	}
	if writes && !f.writable {
		return f.failed(op, syscall.EBADF)
	}
	return nil
}

func (f *memFile) failed(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	err := f.begin("read", false)
	defer f.m.mu.Unlock()
	switch {
	case err != nil:
		return 0, err
	case off < 0:
		return 0, f.failed("read", fs.ErrInvalid)
	}
	n := f.node.live.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.begin("write", true)
	defer f.m.mu.Unlock()
	switch {
	case err != nil:
		return 0, err
	case off < 0:
		return 0, f.failed("write", fs.ErrInvalid)
	case len(p) == 0:
		return 0, nil
	}
	n := f.fits(off, len(p))
	if n > 0 {
		f.charge(func() { f.node.write(p[:n], off) })
	}
	if n < len(p) {
		return n, f.failed("write", syscall.ENOSPC)
	}
	return n, nil
}

// fits returns how many of the n bytes from off the disk has room for.
func (f *memFile) fits(off int64, n int) int {
	if f.m.capacity < 0 {
		return n
	}
	room := f.m.capacity - f.m.used
	done := 0
	for done < n {
		if f.node.live.block(off+int64(done)) == nil {
			if room <= 0 {
				break
			}
			room--
		}
		_, part := split(off+int64(done), n-done)
		done += part
	}
	return done
}

// charge accounts for the space that change takes or gives back.
func (f *memFile) charge(change func()) {
	before := f.node.live.used
	change()
	f.m.used += int64(f.node.live.used - before)
}

func (f *memFile) Size() (int64, error) {
	err := f.begin("stat", false)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.node.live.size, nil
}

func (f *memFile) Truncate(size int64) error {
	err := f.begin("truncate", true)
	defer f.m.mu.Unlock()
	switch {
	case err != nil:
		return err
	case size < 0:
		return f.failed("truncate", fs.ErrInvalid)
	}
	f.charge(func() { f.node.truncate(size, f.m.dropped(f.node)) })
	return nil
}

func (f *memFile) Preallocate(off, n int64) error {
	err := f.begin("preallocate", true)
	defer f.m.mu.Unlock()
	switch {
	case err != nil:
		return err
	case off < 0 || n < 0 || off+n < 0:
		return f.failed("preallocate", fs.ErrInvalid)
	case n == 0:
		return nil
	case f.m.NoReserve:
		if off+n > f.node.live.size {
			f.node.truncate(off+n, nil)
		}
		return nil
	}
	if f.m.capacity >= 0 && f.node.live.holes(off, n) > f.m.capacity-f.m.used {
		return f.failed("preallocate", syscall.ENOSPC)
	}
	f.charge(func() { f.node.allocate(off, n) })
	return nil
}

func (f *memFile) WriteOut(int64, int64) {} // any of it may be on disk anyway

func (f *memFile) MapReads(int64) {}

func (f *memFile) SyncData() error { return f.Sync() }

func (f *memFile) Sync() error {
	err := f.begin("sync", false)
	defer f.m.mu.Unlock()
	if err != nil {
		return err
	}
	f.node.sync()
	return nil
}

// failSync is what Fault calls when it makes a sync of this file fail.
func (f *memFile) failSync() {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if !f.closed {
		f.node.failSync()
	}
}

func (f *memFile) Close() error {
	err := f.begin("close", false)
	defer f.m.mu.Unlock()
	if err != nil {
		return err
	}
	f.closed = true
	f.m.release(f.node, f.name)
	return nil
}
