package vfs

import (
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// dirOp is a change to the entries of directories that was not synced.
type dirOp struct {
	from, to entry // what it removes and what it sets; one may be empty, and for a rename none is
	node     *node
}

type entry struct {
	dir  *node
	name string
}

// apply changes what the process sees, and notes the change for SyncDir.
func (m *Mem) apply(op *dirOp) {
	var replaced *node
	if op.to.dir != nil {
		replaced = op.to.node()
		op.node.links++
	}
	op.applyTo(func(dir *node) map[string]*node { return dir.entries })
	m.pending = append(m.pending, op)
	if op.from.dir != nil {
		m.unlink(op.node)
	}
	if replaced != nil {
		m.unlink(replaced)
	}
}

// applyTo changes the entries that of returns for a directory.
func (op *dirOp) applyTo(of func(dir *node) map[string]*node) {
	if op.from.dir != nil {
		delete(of(op.from.dir), op.from.name)
	}
	if op.to.dir != nil {
		of(op.to.dir)[op.to.name] = op.node
	}
}

// entries returns the one or two names that the change touches.
func (op *dirOp) entries() []entry {
	switch {
	case op.from.dir == nil:
		return []entry{op.to}
	case op.to.dir == nil:
		return []entry{op.from}
	}
	return []entry{op.from, op.to}
}

// SyncDir makes every pending change in dir durable. A rename from one directory to another is one change, so it takes
// along what happened before to its other name; and the removal of a directory takes along what emptied it.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.find(dir)
	if err == nil && !d.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return &fs.PathError{Op: "sync", Path: dir, Err: err}
	}
	var due, rest []*dirOp
	names, dirs := map[entry]bool{}, map[*node]bool{d: true}
	for _, op := range slices.Backward(m.pending) {
		if dirs[op.from.dir] || dirs[op.to.dir] || names[op.from] || names[op.to] {
			due = append(due, op)
			for _, e := range op.entries() {
				names[e] = true
			}
			if op.node.isDir() && op.to.dir == nil {
				dirs[op.node] = true
			}
		} else {
			rest = append(rest, op)
		}
	}
	for _, op := range slices.Backward(due) {
		op.applyTo(func(dir *node) map[string]*node { return dir.synced })
	}
	slices.Reverse(rest)
	m.pending = rest
	return nil
}

// find returns what name names.
func (m *Mem) find(name string) (*node, error) {
	at := m.root
	for _, c := range components(name) {
		if !at.isDir() {
			return nil, syscall.ENOTDIR
		}
		next, ok := at.entries[c]
		if !ok {
			return nil, fs.ErrNotExist
		}
		at = next
	}
	return at, nil
}

// entry returns the place of name in its directory, which must be there. The root has none.
func (m *Mem) entry(name string) (entry, error) {
	parts := components(name)
	if len(parts) == 0 {
		return entry{}, fs.ErrInvalid
	}
	last := len(parts) - 1
	dir, err := m.find(strings.Join(parts[:last], "/"))
	if err != nil {
		return entry{}, err
	}
	if !dir.isDir() {
		return entry{}, syscall.ENOTDIR
	}
	return entry{dir, parts[last]}, nil
}

// node returns what the process sees at e, nil for nothing.
func (e entry) node() *node { return e.dir.entries[e.name] }

// components splits a name below the root, to which relative names belong too.
func components(name string) []string {
	clean := path.Clean("/" + filepath.ToSlash(name))
	if clean == "/" {
		return nil
	}
	return strings.Split(clean[1:], "/")
}
