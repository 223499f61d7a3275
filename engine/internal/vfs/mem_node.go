package vfs

import (
	"bytes"
	"maps"
	"slices"
)

// node is a file or a directory, apart from its names. It is guarded by the lock of its Mem.
type node struct {
	// Of a directory: the entries as the process sees them, and as the disk surely has them.
	entries, synced map[string]*node

	// Of a file: the bytes as the process sees them, as the disk surely has them, and the steps from the one to the
	// other in the order they were made.
	live, disk content
	ops        []fileOp

	// lost holds, by number, the sectors whose write a failed sync gave up: what they had to become. Later syncs take
	// them for clean. A new write to the sector makes it dirty again as a whole and takes it out of here.
	lost map[int64][]byte

	dropped map[int64]*block // what truncations took, by number, for StaleData

	links int // names the process sees
	opens int // open files and locks
	locks int // held by FS.LockShared; -1 by FS.Lock
}

type fileOpKind uint8

const (
	opWrite    fileOpKind = iota // data at off
	opTruncate                   // size
	opAllocate                   // size bytes from off
	opGrow                       // size, where that is more than before: what remains of a write in a failed sync
)

// fileOp is a change to a file that was not synced.
type fileOp struct {
	kind fileOpKind
	off  int64
	size int64
	data []byte // never modified
}

func newFile() *node { return &node{} }

func newDir() *node {
	return &node{entries: map[string]*node{}, synced: map[string]*node{}}
}

func (n *node) isDir() bool { return n.entries != nil }

func (n *node) write(p []byte, off int64) {
	n.live.writeAt(p, off)
	n.live.size = max(n.live.size, off+int64(len(p)))
	n.ops = append(n.ops, fileOp{kind: opWrite, off: off, data: bytes.Clone(p)})
}

func (n *node) truncate(size int64, dropped func(i int64, b *block)) {
	n.live.truncate(size, dropped)
	n.ops = append(n.ops, fileOp{kind: opTruncate, size: size})
	for s, data := range n.lost {
		if keep := size - s*sectorSize; keep <= 0 {
			delete(n.lost, s)
		} else if keep < int64(len(data)) {
			n.lost[s] = data[:keep:keep]
		}
	}
}

func (n *node) allocate(off, size int64) {
	n.live.allocate(off, size)
	n.live.size = max(n.live.size, off+size)
	n.ops = append(n.ops, fileOp{kind: opAllocate, off: off, size: size})
}

// applySize does to c what an unsynced operation does to the size and the allocation.
func (op fileOp) applySize(c *content) {
	switch op.kind {
	case opWrite:
		c.size = max(c.size, op.off+int64(len(op.data)))
	case opTruncate:
		c.truncate(op.size, nil)
	case opAllocate:
		c.allocate(op.off, op.size)
		c.size = max(c.size, op.off+op.size)
	case opGrow:
		c.size = max(c.size, op.size)
	}
}

// sectors returns the numbers of the first sector that a write touches and of the one after the last.
func (op fileOp) sectors() (first, end int64) {
	if len(op.data) == 0 {
		return 0, 0
	}
	return op.off / sectorSize, (op.off+int64(len(op.data))-1)/sectorSize + 1
}

// sync makes the size and every sector written since the last sync durable, failed or not. Sectors that a failed sync
// gave up stay as they are on the disk.
func (n *node) sync() {
	for _, op := range n.ops {
		op.applySize(&n.disk)
	}
	for _, op := range n.ops {
		first, end := op.sectors()
		n.disk.copyRange(&n.live, first*sectorSize, min(end*sectorSize, n.live.size))
		for s := first; s < end && len(n.lost) > 0; s++ {
			delete(n.lost, s)
		}
	}
	n.ops = nil
}

// failSync gives up the unsynced writes, as a kernel does that marks pages clean when their write has failed. Sizes are
// metadata and wait for the next sync.
func (n *node) failSync() {
	if n.lost == nil {
		n.lost = map[int64][]byte{}
	}
	for i, op := range n.ops {
		if op.kind != opWrite {
			continue
		}
		first, end := op.sectors()
		for s := first; s < end; s++ {
			sector := make([]byte, sectorSize)
			if got := n.live.readAt(sector, s*sectorSize); got > 0 {
				n.lost[s] = sector[:got]
			}
		}
		n.ops[i] = fileOp{kind: opGrow, size: op.off + int64(len(op.data))}
	}
}

// cloneFile copies a file for a Mem of its own.
func (n *node) cloneFile() *node {
	return &node{
		live:    n.live.clone(),
		disk:    n.disk.clone(),
		ops:     slices.Clone(n.ops),
		lost:    maps.Clone(n.lost),
		dropped: maps.Clone(n.dropped),
	}
}
