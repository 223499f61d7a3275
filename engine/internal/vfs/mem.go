package vfs

import (
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"sync"
	"syscall"
)

// Mem is a file system in memory for tests. It knows what the process sees and what the disk surely has, and makes
// copies of itself as after a power loss (Crash) or the death of the process (Kill). It is safe for concurrent use and
// copes with some tens of MB.
//
// The root directory, under both of its names "/" and ".", is always there. Like any directory it has to be synced.
//
// Use NewMem to make one.
type Mem struct {
	// StaleData makes space that grew by an unsynced operation, and was not written, come back from Crash with old data
	// instead of zeros: what the file itself held there before it was truncated, what removed files held, or random
	// bytes. Set it before the first use.
	StaleData bool

	// NoReserve is for a disk that cannot set space aside: a preallocation only makes the file longer. Set it before the
	// first use.
	NoReserve bool

	mu       sync.Mutex
	root     *node
	pending  []*dirOp // unsynced changes of names, in the order they were made
	capacity int64    // blocks; negative for no limit
	used     int64    // blocks of all files that have a name or are open
	freed    []*block // what removed files held, for StaleData
	opened   map[string]int
}

// maxFreed bounds the blocks kept for StaleData: 4 MiB.
const maxFreed = 1024

// NewMem returns an empty file system without a size limit.
func NewMem() *Mem { return &Mem{root: newDir(), capacity: -1} }

// SetCapacity limits the space for file contents to so many bytes, rounded down to blocks of 4 KiB; directories are
// free. Writes and preallocations that need more give syscall.ENOSPC, a write after as many bytes as fit. A limit below
// what is in use removes nothing. A negative one is no limit.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = -1
	if bytes >= 0 {
		m.capacity = bytes / blockSize
	}
}

func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.root
	for _, name := range components(dir) {
		next, ok := at.entries[name]
		if !ok {
			next = newDir()
			m.apply(&dirOp{to: entry{at, name}, node: next})
		}
		if !next.isDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		at = next
	}
	return nil
}

func (m *Mem) Open(name string) (File, error) { return m.open(name, false) }

func (m *Mem) OpenReadWrite(name string) (File, error) { return m.open(name, true) }

func (m *Mem) open(name string, writable bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && n.isDir() {
		err = ErrNotRegular
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	m.acquire(n, name)
	return &memFile{m: m, node: n, name: name, writable: writable}, nil
}

func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.create(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	m.acquire(n, name)
	return &memFile{m: m, node: n, name: name, writable: true}, nil
}

func (m *Mem) create(name string) (*node, error) {
	e, err := m.entry(name)
	if err != nil {
		return nil, err
	}
	if e.node() != nil {
		return nil, fs.ErrExist
	}
	n := newFile()
	m.apply(&dirOp{to: e, node: n})
	return n, nil
}

func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(oldname, newname); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (m *Mem) rename(oldname, newname string) error {
	from, err := m.entry(oldname)
	if err != nil {
		return err
	}
	to, err := m.entry(newname)
	if err != nil {
		return err
	}
	n, old := from.node(), to.node()
	switch {
	case n == nil:
		return fs.ErrNotExist
	case n == old:
		return nil // two names of one file stay, as POSIX has it
	case old != nil && old.isDir():
		return fs.ErrExist
	case n.isDir() && old != nil:
		return syscall.ENOTDIR
	case n.isDir() && n.holds(to.dir):
		return syscall.EINVAL
	}
	m.apply(&dirOp{from: from, to: to, node: n})
	return nil
}

// holds tells whether dir is n or below it.
func (n *node) holds(dir *node) bool {
	if n == dir {
		return true
	}
	for _, child := range n.entries {
		if child.isDir() && child.holds(dir) {
			return true
		}
	}
	return false
}

func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, err := m.entry(name)
	if err == nil {
		switch n := e.node(); {
		case n == nil:
			err = fs.ErrNotExist
		case len(n.entries) > 0:
			err = syscall.ENOTEMPTY
		default:
			m.apply(&dirOp{from: e, node: n})
		}
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

func (m *Mem) Link(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(oldname)
	if err == nil && n.isDir() {
		err = syscall.EPERM
	}
	var to entry
	if err == nil {
		to, err = m.entry(newname)
	}
	if err == nil && to.node() != nil {
		err = fs.ErrExist
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: err}
	}
	m.apply(&dirOp{to: to, node: n})
	return nil
}

func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(dir)
	if err == nil && !n.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return slices.Sorted(maps.Keys(n.entries)), nil
}

func (m *Mem) Stat(name string) (Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return Info{}, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	if n.isDir() {
		return Info{Mode: fs.ModeDir | dirMode}, nil
	}
	return Info{Size: n.live.size, Allocated: int64(n.live.used) * blockSize, Mode: fileMode}, nil
}

// Free returns what is left of the capacity; math.MaxInt64 if there is no limit.
func (m *Mem) Free(dir string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(dir); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if m.capacity < 0 {
		return math.MaxInt64, nil
	}
	return max(m.capacity-m.used, 0) * blockSize, nil
}

func (m *Mem) Lock(name string) (io.Closer, error) { return m.lock(name, true) }

func (m *Mem) LockShared(name string) (io.Closer, error) { return m.lock(name, false) }

func (m *Mem) lock(name string, exclusive bool) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	switch {
	case err == fs.ErrNotExist && exclusive:
		n, err = m.create(name)
	case err == nil && n.isDir():
		err = ErrNotRegular
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if n.locks < 0 || exclusive && n.locks > 0 {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: ErrLocked}
	}
	if exclusive {
		n.locks = -1
	} else {
		n.locks++
	}
	m.acquire(n, name)
	return &memLock{m: m, node: n, name: name}, nil
}

type memLock struct {
	m      *Mem
	node   *node
	name   string
	closed bool
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.closed {
		return &fs.PathError{Op: "close", Path: l.name, Err: fs.ErrClosed}
	}
	l.closed = true
	l.node.locks = max(l.node.locks-1, 0)
	l.m.release(l.node, l.name)
	return nil
}

func (m *Mem) unlink(n *node) {
	n.links--
	m.reclaim(n)
}

// acquire is the beginning of an open file or a lock.
func (m *Mem) acquire(n *node, name string) {
	n.opens++
	if m.opened == nil {
		m.opened = map[string]int{}
	}
	m.opened[name]++
}

// release is the end of an open file or a lock.
func (m *Mem) release(n *node, name string) {
	n.opens--
	if m.opened[name]--; m.opened[name] == 0 {
		delete(m.opened, name)
	}
	m.reclaim(n)
}

// Opened returns, sorted, under which names files are open or locked now.
func (m *Mem) Opened() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.opened))
}

// reclaim takes back the space of a file that has neither a name nor a user.
func (m *Mem) reclaim(n *node) {
	if n.links > 0 || n.opens > 0 {
		return
	}
	m.used -= int64(n.live.used)
	for _, s := range n.live.slots {
		if s.b != nil {
			m.free(s.b)
		}
	}
}

// free keeps what a block held. Nobody changes it any more: its file has dropped it, and those who share it copy before
// they write.
func (m *Mem) free(b *block) {
	if m.StaleData && b != &zeroBlock && len(m.freed) < maxFreed {
		m.freed = append(m.freed, b)
	}
}

// dropped returns what keeps the blocks that a truncation takes from a file.
func (m *Mem) dropped(n *node) func(i int64, b *block) {
	return func(i int64, b *block) {
		m.free(b)
		if m.StaleData && b != &zeroBlock {
			if n.dropped == nil {
				n.dropped = map[int64]*block{}
			}
			n.dropped[i] = b
		}
	}
}
