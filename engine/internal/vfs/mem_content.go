package vfs

// blockSize is the unit in which a Mem allocates space and shares content between copies, in bytes.
const blockSize = 4096

// sectorSize is what a disk writes as one, in bytes. A longer write can be torn between sectors.
const sectorSize = 512

type block [blockSize]byte

// zeroBlock stands for space that was preallocated and not written.
var zeroBlock block

// content is the bytes of a file. Copies share their blocks until one of them writes. Bytes of a block past size are
// zeros.
type content struct {
	size  int64
	slots []slot // by block number; blocks past its end are holes
	used  int    // slots that are not holes
}

// slot holds a block that may be written only if it is not shared. The mark is each holder's own, so that copies need
// no common lock; the last holder of a shared block just copies it once too often.
type slot struct {
	b      *block // nil for a hole
	shared bool
}

// clone returns a copy and marks the blocks of both as shared.
func (c *content) clone() content {
	for i := range c.slots {
		c.slots[i].shared = true
	}
	return content{size: c.size, slots: append([]slot(nil), c.slots...), used: c.used}
}

// readAt fills p from off, up to size, and returns how much that was.
func (c *content) readAt(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	p = p[:min(int64(len(p)), c.size-off)]
	for done := 0; done < len(p); {
		part := p[done:]
		from, n := split(off+int64(done), len(part))
		if b := c.block(off + int64(done)); b != nil {
			copy(part[:n], b[from:])
		} else {
			clear(part[:n])
		}
		done += n
	}
	return len(p)
}

// writeAt stores p at off and leaves the size to the caller.
func (c *content) writeAt(p []byte, off int64) {
	for len(p) > 0 {
		from, n := split(off, len(p))
		copy(c.own(off / blockSize)[from:], p[:n])
		p, off = p[n:], off+int64(n)
	}
}

// block returns the block around off, nil for a hole.
func (c *content) block(off int64) *block {
	if i := off / blockSize; i < int64(len(c.slots)) {
		return c.slots[i].b
	}
	return nil
}

// own returns block i, fit to be written.
func (c *content) own(i int64) *block {
	c.reach(i + 1)
	s := &c.slots[i]
	switch {
	case s.b == nil:
		*s = slot{b: new(block)}
		c.used++
	case s.shared:
		b := *s.b
		*s = slot{b: &b}
	}
	return s.b
}

// reach makes room for n slots.
func (c *content) reach(n int64) {
	if more := n - int64(len(c.slots)); more > 0 {
		c.slots = append(c.slots, make([]slot, more)...)
	}
}

// allocate fills the holes in [off, off+n) with zeros.
func (c *content) allocate(off, n int64) {
	end := (off + n + blockSize - 1) / blockSize
	c.reach(end)
	for i := off / blockSize; i < end; i++ {
		if c.slots[i].b == nil {
			c.slots[i] = slot{b: &zeroBlock, shared: true}
			c.used++
		}
	}
}

// holes counts the blocks that [off, off+n) lacks.
func (c *content) holes(off, n int64) int64 {
	var holes int64
	for at := off; at < off+n; at = (at/blockSize + 1) * blockSize {
		if c.block(at) == nil {
			holes++
		}
	}
	return holes
}

// truncate sets the size and drops what lies behind it. The dropped blocks and their numbers go to dropped, if that is not
// nil.
func (c *content) truncate(size int64, dropped func(i int64, b *block)) {
	keep := (size + blockSize - 1) / blockSize
	for i := keep; i < int64(len(c.slots)); i++ {
		if b := c.slots[i].b; b != nil {
			c.used--
			if dropped != nil {
				dropped(i, b)
			}
		}
	}
	if keep < int64(len(c.slots)) {
		clear(c.slots[keep:])
		c.slots = c.slots[:keep]
	}
	if from := size % blockSize; from > 0 && c.block(size) != nil {
		clear(c.own(size / blockSize)[from:])
	}
	c.size = size
}

// copyRange makes [from, to) the same as in src.
func (c *content) copyRange(src *content, from, to int64) {
	for from < to {
		at, n := split(from, int(min(to-from, blockSize)))
		b := src.block(from)
		if b == nil {
			b = &zeroBlock
		}
		copy(c.own(from / blockSize)[at:], b[at:at+n])
		from += int64(n)
	}
}

// split returns where off lies in its block, and how many of the n bytes from there are in the same block.
func split(off int64, n int) (from, part int) {
	from = int(off % blockSize)
	return from, min(n, blockSize-from)
}
