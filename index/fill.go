package index

import (
	"cmp"
	"math/bits"
	"slices"
	"sort"
	"unsafe"
)

// Filler puts many keys into an index. It collects entries and enters a shard's together, in the order of their
// hashes: memory is then written from one end to the other and not at random, and a table is rebuilt once for many new
// keys. Ten million take 2.5 s and not 11.6 (BenchmarkFill).
//
// A Filler is for one goroutine. Others may use the index at the same time, other Fillers too.
type Filler struct {
	index  *Index
	share  int // how many Fillers there are
	shards [Shards]collected
	count  int // entries in shards
	limit  int // entries at which they are entered

	free [][]filling // empty chunks
	rest []filling   // of the newest slab, not yet in chunks
	slab int         // its length

	spare []filling
	ends  []int
}

// collected is the entries that wait for a shard.
type collected struct {
	full [][]filling // chunks
	last []filling
	n    int
}

// filling is an entry on the way into the index.
type filling struct {
	hi, lo     uint64
	location   Location
	size       uint16 // less than wideSize
	expiration uint32
}

// Entries are collected in chunks of one size, which are used again after a Flush: slices that grow would touch three times
// the memory, and the first touch of a page costs as much as entering 50 entries; see prepare.
const (
	chunkLen = 32 // 1 KiB
	minSlab  = 64 * chunkLen
	maxSlab  = 1024 * chunkLen
)

// minFill is how many entries all Fillers together may collect at least: half a thousand for a shard.
const minFill = 1 << 17

// NewFillers returns n Fillers for the index. Flush must be called on each in the end. Shards that are empty get as many
// tables as they need if there are going to be so many keys; that may be more than there will be, but not by a multiple.
//
// Together the Fillers hold at most half as many entries as the index does, or 131,072, at 32 bytes an entry; and each has
// up to 1.3 MB of room for more. So a table is copied three times while the keys in it double.
func (x *Index) NewFillers(n, keys int) []*Filler {
	for i := range x.shards {
		if s := x.demand(i); s != nil && keys > 0 {
			s.prepare(keys / Shards)
		}
	}
	fillers := make([]*Filler, n)
	for i := range fillers {
		fillers[i] = &Filler{index: x, share: n}
		fillers[i].setLimit()
	}
	return fillers
}

func (f *Filler) setLimit() { f.limit = max(minFill, f.index.Len()/2)/f.share + 1 }

// Put sets the entry of a key, at Flush at the latest. Of several calls for one key, any may be the one that counts.
// It panics where Index.Put does.
func (f *Filler) Put(h Hash, e Entry) {
	e.check()
	if e.Size >= wideSize {
		f.index.Put(h, e)
		return
	}
	i, hi, lo := h.parts()
	c := &f.shards[i]
	if len(c.last) == cap(c.last) {
		if c.n > 0 {
			c.full = append(c.full, c.last)
		}
		c.last = f.chunk()
	}
	c.last = append(c.last, filling{hi, lo, e.Location, uint16(e.Size), e.Expiration})
	c.n++
	if f.count++; f.count >= f.limit {
		f.Flush()
	}
}

// Flush enters what was collected.
func (f *Filler) Flush() {
	for i := range f.shards {
		c := &f.shards[i]
		if c.n == 0 {
			continue
		}
		c.full = append(c.full, c.last)
		if s := f.index.demand(i); s != nil {
			s.fill(f.sorted(c))
		}
		f.free = append(f.free, c.full...)
		*c = collected{full: c.full[:0]}
	}
	f.count = 0
	f.setLimit()
}

// chunk returns an empty chunk.
func (f *Filler) chunk() []filling {
	if n := len(f.free); n > 0 {
		c := f.free[n-1]
		f.free = f.free[:n-1]
		return c[:0]
	}
	if len(f.rest) == 0 {
		f.slab = min(max(2*f.slab, minSlab), maxSlab)
		f.rest = make([]filling, f.slab)
		b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f.rest))), len(f.rest)*int(unsafe.Sizeof(filling{})))
		prepare(b, 0, len(b))
	}
	c := f.rest[:0:chunkLen]
	f.rest = f.rest[chunkLen:]
	return c
}

// prepare makes tables for as many keys, if the shard has none yet.
func (s *shard) prepare(keys int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 && len(s.tables) == 1 {
		s.clear()
		s.directory(keys)
	}
}

// sorted returns the entries in the order of their hashes. They are spread first by the high bits of these, to about four
// in a place: in a third of the time that sorting them all takes.
func (f *Filler) sorted(c *collected) []filling {
	shift := 64 - max(0, bits.Len(uint(c.n))-2)
	f.ends = append(f.ends[:0], make([]int, 1<<(64-shift))...)
	for _, chunk := range c.full {
		for i := range chunk {
			f.ends[chunk[i].hi>>shift]++
		}
	}
	sum := 0
	for i, n := range f.ends {
		f.ends[i] = sum // where its place begins, and after the next loop, ends
		sum += n
	}
	f.spare = slices.Grow(f.spare[:0], c.n)[:c.n]
	for _, chunk := range c.full {
		for i := range chunk {
			end := &f.ends[chunk[i].hi>>shift]
			f.spare[*end] = chunk[i]
			*end++
		}
	}
	from := 0
	for _, to := range f.ends {
		if to-from > 1 {
			slices.SortFunc(f.spare[from:to], compareFilling)
		}
		from = to
	}
	return f.spare
}

// fill puts sorted entries.
func (s *shard) fill(entries []filling) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(entries) > 0 {
		t := s.lookup(entries[0].hi)
		if t == nil {
			return // closed
		}
		n := t.prefix(entries)
		if n < t.count/rebuildFrom {
			for _, f := range entries[:n] {
				s.putLocked(f.hi, f.lo, f.entry())
			}
		} else {
			s.mergeInto(t, entries[:n])
		}
		entries = entries[n:]
	}
}

// rebuildFrom: a table is rebuilt for a sixteenth of its entries and more. An entry costs 20 ns then, and putting one 400
// and more.
const rebuildFrom = 16

func (f filling) entry() Entry {
	return Entry{Location: f.location, Size: int64(f.size), Expiration: f.expiration}
}

// mergeInto rebuilds a table with more entries.
func (s *shard) mergeInto(t *table, entries []filling) {
	old, merged := batches.Get().(*batch), batches.Get().(*batch)
	t.gather(old)
	added := s.merge(merged, old, entries)
	s.index.ledger.load(added)
	s.count += len(merged.slots) - len(old.slots)
	s.install(t, merged, 0)
	old.recycle()
	merged.recycle()
}

func compareFilling(a, b filling) int {
	if a.hi != b.hi {
		return cmp.Compare(a.hi, b.hi)
	}
	return cmp.Compare(a.lo, b.lo)
}

// prefix returns how many of sorted entries belong to the table, as the first does.
func (t *table) prefix(entries []filling) int {
	first := entries[0].hi >> (64 - t.depth)
	return sort.Search(len(entries), func(i int) bool { return entries[i].hi>>(64-t.depth) != first })
}

// merge puts entries between those of a table. It tells the ledger about all but new ones that never expire, and
// returns what these add up to.
func (s *shard) merge(to, old *batch, entries []filling) (added tally) {
	i := 0
	for n, f := range entries {
		if n > 0 && compareFilling(entries[n-1], f) == 0 {
			continue
		}
		from := i
		for i < len(old.slots) && old.before(i, f.hi, f.lo) {
			i++
		}
		to.append(old, from, i)
		e := f.entry()
		switch {
		case i < len(old.slots) && old.slots[i].hi() == f.hi && old.lo(i) == f.lo:
			s.index.ledger.replace(s.replaced(old, i, f), e, s.edge)
			i++
		case e.Expiration != 0:
			s.index.ledger.add(e, s.edge)
		default:
			added.keys++
			added.bytes += e.Size
		}
		to.add(f.hi, f.lo, e)
	}
	to.append(old, i, len(old.slots))
	return added
}

// replaced returns an entry of the table that f is put for.
func (s *shard) replaced(b *batch, i int, f filling) Entry {
	e := Entry{Location: b.slots[i].location(), Size: b.slots[i].size()}
	if len(b.times) > 0 {
		e.Expiration = b.times[i]
	}
	if e.Size == wideSize {
		h := joinHash(s.id, f.hi, f.lo)
		e.Size = s.wide[h]
		s.narrow(h)
	}
	return e
}
