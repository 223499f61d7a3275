package vfs

import "slices"

// Kill returns the file system as a new process finds it after this one was killed: all that was done is there, synced
// or not, and what was not can still be lost in a Crash. All files of the copy are closed and all locks released. m
// itself goes on, and neither sees what happens to the other.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := kill{}
	out := &Mem{StaleData: m.StaleData, NoReserve: m.NoReserve, capacity: m.capacity, freed: slices.Clip(m.freed)}
	out.root = k.copy(m.root)
	for _, op := range m.pending {
		out.pending = append(out.pending, &dirOp{from: k.entry(op.from), to: k.entry(op.to), node: k.copy(op.node)})
	}
	for _, n := range k {
		n.countLinks()
	}
	for _, n := range k {
		if n.links > 0 {
			out.used += int64(n.live.used)
		}
	}
	return out
}

// kill maps the nodes of one Mem to their copies.
type kill map[*node]*node

func (k kill) copy(n *node) *node {
	if seen, ok := k[n]; ok {
		return seen
	}
	if !n.isDir() {
		k[n] = n.cloneFile()
		return k[n]
	}
	d := newDir()
	k[n] = d
	for name, child := range n.entries {
		d.entries[name] = k.copy(child)
	}
	for name, child := range n.synced {
		d.synced[name] = k.copy(child)
	}
	return d
}

func (k kill) entry(e entry) entry {
	if e.dir == nil {
		return e
	}
	return entry{k.copy(e.dir), e.name}
}

// countLinks adds the names in n to the links of what they name.
func (n *node) countLinks() {
	for _, child := range n.entries {
		child.links++
	}
}
