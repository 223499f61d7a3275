package vfs

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
)

// Crash returns the file system as it may come back after a power loss now. m itself goes on, and neither sees what
// happens to the other. The copy depends on nothing but the operations so far and rng.
//
// What was synced is there. Of the rest:
//   - A sector of 512 bytes holds what it held after the last sync or after any of the writes to it since. Each sector
//     is on its own, so writes survive in any order and in parts.
//   - The size, with truncation and preallocation, is that after the last sync or after any operation since, whatever
//     data survives. Bytes inside it that were not written to the disk are zeros, or see StaleData.
//   - Creations, removals, renames and links survive each on its own, except that one on which another builds (of the
//     same file, or the same name) is not missing below it. A rename is seen on both its names or on none.
//   - After a failed sync its sectors stay in doubt until they are written and synced again.
//
// Now and then everything that was not synced is gone, or nothing is. All files of the copy are closed and all locks
// released.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &crash{
		rng:   rng,
		freed: m.freed,
		stale: m.StaleData,
		style: style(rng.IntN(int(styles))),
		mixed: rng.IntN(2) == 0,
		dirs:  map[*node]map[string]*node{},
		done:  map[*node]*node{},
	}
	c.names(m.pending)
	out := &Mem{StaleData: m.StaleData, NoReserve: m.NoReserve, capacity: m.capacity, freed: slices.Clip(m.freed)}
	out.root = c.copy(m.root)
	for _, n := range c.done {
		out.used += int64(n.live.used)
	}
	return out
}

// style is a way to choose which of the unsynced changes survive.
type style uint8

const (
	nothing    style = iota
	everything       // no change is lost
	upTo             // those up to some moment, the last one torn
	byWrite          // each write whole or not at all
	bySector         // each sector of each write on its own
	styles
)

// crash is the making of one copy.
type crash struct {
	rng   *rand.Rand
	freed []*block
	stale bool
	style style
	mixed bool                       // each file has a style of its own
	dirs  map[*node]map[string]*node // entries on the disk, where they are not the synced ones
	done  map[*node]*node            // old node to copy
}

func (c *crash) coin() bool { return c.rng.Uint64()&1 == 0 }

// pick returns the style for one file, or for the names.
func (c *crash) pick() style {
	if c.mixed {
		return style(c.rng.IntN(int(styles)))
	}
	return c.style
}

// names decides which pending changes of names survive. A change is lost if one was lost before it that concerns the
// same file or name, or in the case of a removed directory, anything in it: journals keep such an order, and without it
// a file that was synced could lose all its names by a rename that was not.
func (c *crash) names(pending []*dirOp) {
	style := c.pick()
	cut := c.rng.IntN(len(pending) + 1)
	names, nodes, dirs := map[entry]bool{}, map[*node]bool{}, map[*node]bool{}
	for i, op := range pending {
		survives := style == everything || style == upTo && i < cut || style >= byWrite && c.coin()
		for _, e := range op.entries() {
			survives = survives && !names[e]
		}
		if nodes[op.node] || dirs[op.node] && op.to.dir == nil {
			survives = false
		}
		if survives {
			op.applyTo(c.entries)
			continue
		}
		nodes[op.node] = true
		for _, e := range op.entries() {
			names[e], dirs[e.dir] = true, true
		}
	}
}

// entries returns the entries of dir on the disk, to be changed.
func (c *crash) entries(dir *node) map[string]*node {
	if _, ok := c.dirs[dir]; !ok {
		c.dirs[dir] = maps.Clone(dir.synced)
	}
	return c.dirs[dir]
}

// copy copies n and what is below it, in an order that depends on nothing but the names.
func (c *crash) copy(n *node) *node {
	if seen, ok := c.done[n]; ok {
		return seen
	}
	if !n.isDir() {
		f := newFile()
		c.done[n] = f
		f.disk = c.content(n)
		f.live = f.disk.clone()
		f.dropped = maps.Clone(n.dropped)
		return f
	}
	d := newDir()
	c.done[n] = d
	entries := c.entries(n)
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		child := c.copy(entries[name])
		child.links++
		d.entries[name], d.synced[name] = child, child
	}
	return d
}

// content chooses what the disk holds of a file.
func (c *crash) content(n *node) content {
	disk := n.disk.clone()
	if len(n.ops) == 0 && len(n.lost) == 0 {
		return disk
	}
	written, sized := c.survivors(n.ops)
	c.restoreLost(&disk, n.lost, written)
	replay(&disk, n.ops, written, sized)
	disk.truncate(disk.size, nil) // drops sectors behind the size
	if c.stale {
		c.fillStale(&disk, n, written)
	}
	return disk
}

// survivors returns for each sector of which an unsynced write survives the last such write, by its place in ops, and
// how many of the ops have changed the size. A sector is written as a whole, so that everything before the last write
// to it is in it too.
func (c *crash) survivors(ops []fileOp) (written map[int64]int, sized int) {
	style := c.pick()
	cut := c.rng.IntN(len(ops) + 1)
	written = map[int64]int{}
	for i, op := range ops {
		whole := c.coin()
		first, end := op.sectors()
		for s := first; s < end; s++ {
			var survives bool
			switch style {
			case everything:
				survives = true
			case upTo:
				survives = i < cut || i == cut && c.coin()
			case byWrite:
				survives = whole
			case bySector:
				survives = c.coin()
			}
			if survives {
				written[s] = i
			}
		}
	}
	switch style {
	case nothing:
		return written, 0
	case everything:
		return written, len(ops)
	case upTo:
		return written, min(cut+c.rng.IntN(2), len(ops))
	}
	return written, c.rng.IntN(len(ops) + 1)
}

// restoreLost puts sectors that a failed sync gave up on the disk: those that a later write made dirty again, and any
// of the others, as nobody knows how far the sync came.
func (c *crash) restoreLost(disk *content, lost map[int64][]byte, written map[int64]int) {
	for _, s := range slices.Sorted(maps.Keys(lost)) {
		_, again := written[s]
		if reached := c.coin(); again || reached {
			disk.writeAt(lost[s], s*sectorSize)
			if !again {
				written[s] = -1
			}
		}
	}
}

// replay applies the first sized ops to the size, and the writes to the sectors in which they survive. Where a
// truncation did not survive, writes into the part it cut off did not either: their space was never the file's.
func replay(disk *content, ops []fileOp, written map[int64]int, sized int) {
	var limit int64 = 1<<63 - 1
	for i, op := range ops {
		switch {
		case i < sized:
			op.applySize(disk)
		case op.kind == opTruncate:
			limit = min(limit, op.size)
		}
		to := min(op.off+int64(len(op.data)), limit)
		first, end := op.sectors()
		for s := first; s < end; s++ {
			if last, ok := written[s]; !ok || last < i {
				continue
			}
			a, b := max(op.off, s*sectorSize), min(to, (s+1)*sectorSize)
			if a < b {
				disk.writeAt(op.data[a-op.off:b-op.off], a)
			}
		}
	}
}

// fillStale puts old data into sectors that the file gained and that were not written: what it held there itself once,
// or what other files held, in whole blocks in the order in which they were freed, so that old frames can appear intact.
func (c *crash) fillStale(disk *content, n *node, written map[int64]int) {
	next := 0
	if len(c.freed) > 0 {
		next = c.rng.IntN(len(c.freed))
	}
	itself := c.coin()
	for at := roundUp(n.disk.size, sectorSize); at < disk.size; at = (at/blockSize + 1) * blockSize {
		if c.coin() {
			continue
		}
		old := n.dropped[at/blockSize]
		if !itself || old == nil {
			old = c.oldBlock(&next)
		}
		for s := at / sectorSize; s*sectorSize < min(disk.size, roundUp(at+1, blockSize)); s++ {
			if _, ok := written[s]; ok {
				continue
			}
			from := s * sectorSize
			length := min(sectorSize, disk.size-from)
			disk.writeAt(old[from%blockSize:][:length], from)
		}
	}
}

// oldBlock returns what a removed file held, or noise if there is none.
func (c *crash) oldBlock(next *int) *block {
	if len(c.freed) > 0 {
		b := c.freed[*next%len(c.freed)]
		*next++
		return b
	}
	b := new(block)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], c.rng.Uint64())
	}
	return b
}

// roundUp returns the least multiple of unit that is not below n.
func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
