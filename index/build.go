package index

import (
	"math"
	"slices"
	"sort"
	"sync"
	"unsafe"
)

// batch is a sorted sequence of entries on the way into tables. tags is as long as slots; so is times, or it is empty if
// none expires.
type batch struct {
	slots []slot
	tags  []byte
	times []uint32
}

var batches = sync.Pool{New: func() any {
	return &batch{slots: make([]slot, 0, regionSlots), tags: make([]byte, 0, regionSlots)}
}}

func (b *batch) recycle() {
	if cap(b.slots) > regionSlots {
		return // Grown for a table that should not exist; not worth keeping.
	}
	b.clear()
	batches.Put(b)
}

func (b *batch) clear() { b.slots, b.tags, b.times = b.slots[:0], b.tags[:0], b.times[:0] }

// add appends an entry whose size fits a slot, or stands in shard.wide.
func (b *batch) add(hi, lo uint64, e Entry) {
	n := len(b.slots)
	b.slots = slices.Grow(b.slots, 1)[:n+1]
	b.tags = append(b.tags, byte(lo))
	b.slots[n].set(hi, lo, uint64(e.Location)<<sizeBits|uint64(min(e.Size, wideSize)))
	if e.Expiration != 0 || len(b.times) > 0 {
		b.times = append(b.times, make([]uint32, n-len(b.times))...)
		b.times = append(b.times, e.Expiration)
	}
}

// append appends the entries of another batch from i up to j.
func (b *batch) append(from *batch, i, j int) {
	n := len(b.slots)
	b.slots = append(b.slots, from.slots[i:j]...)
	b.tags = append(b.tags, from.tags[i:j]...)
	if len(from.times) > 0 || len(b.times) > 0 {
		b.times = append(b.times, make([]uint32, n-len(b.times))...)
		if len(from.times) > 0 {
			b.times = append(b.times, from.times[i:j]...)
		} else {
			b.times = append(b.times, make([]uint32, j-i)...)
		}
	}
}

// lo returns the low half of the fingerprint of an entry.
func (b *batch) lo(i int) uint64 { return b.slots[i].upperLo()<<tagBits | uint64(b.tags[i]) }

// before tells whether an entry stands before a hash.
func (b *batch) before(i int, hi, lo uint64) bool {
	at := b.slots[i].hi()
	return at < hi || at == hi && b.lo(i) < lo
}

// cut returns the entries from i up to j.
func (b *batch) cut(i, j int) *batch {
	c := &batch{slots: b.slots[i:j], tags: b.tags[i:j]}
	if len(b.times) > 0 {
		c.times = b.times[i:j]
	}
	return c
}

// shape is how a table is laid out.
type shape struct{ slots, homes, limit int }

const (
	// A put of a new key shifts a run of entries whose mean length is 1/(2(1-load)^2): 100 at 0.93, 200 at 0.95. A
	// percent of load is a quarter of a byte a key.
	maxLoadPercent = 93
	// heapLimit is the most entries that a table in Go memory has: one more takes a page.
	heapLimit = 160 * maxLoadPercent / 100
)

// Sizes of tables below one page: small enough steps for stores of a few keys. Slots times 22 come close to Go's size
// classes.
var heapSlots = [...]int{4, 8, 13, 18, 23, 32, 43, 58, 80, 104, 130, 160}

// shapeFor returns the smallest shape for count entries and whether a table may have it; if not the table must split.
func (x *Index) shapeFor(count int) (shape, bool) {
	if count <= heapLimit {
		for _, n := range heapSlots {
			if s := shapeOf(n); count <= s.limit {
				return s, n <= x.maxSlots
			}
		}
	}
	slots := (count*100 + maxLoadPercent - 1) / maxLoadPercent
	pages := (slots*slotBytes + pageBytes - 1) / pageBytes
	s := shapeOf(pages * pageBytes / slotBytes)
	return s, s.slots <= x.maxSlots
}

// shapeOf leaves room behind the homes for the last run: at full load, one of 40 slots or more in a large table has odds
// of one in 250 and costs no more than growing early.
func shapeOf(slots int) shape {
	return shape{
		slots: slots,
		homes: slots - min(8+slots/128, slots/4),
		limit: slots * maxLoadPercent / 100,
	}
}

// oversize is the shape for entries so alike that splitting does not part them: with hashes that cannot happen, but the
// entries of a forged file may be anything. However they lie, half of the slots are enough for the last run.
func oversize(count int) shape {
	n := count + count/4 + 1
	return shape{slots: 2 * n, homes: n, limit: n}
}

// install makes a table, which is in the directory and empty, hold the batch and not grow before it has limit entries.
// It may split the table.
func (s *shard) install(t *table, b *batch, limit int) {
	for limit = max(limit, len(b.slots)); ; {
		shape, ok := s.index.shapeFor(limit)
		// Hashes fit the first shape or the next; for what does not, memory is not the remedy.
		if !ok || shape.slots > 4*len(b.slots)+64 {
			break
		}
		s.resize(t, shape, len(b.times) > 0)
		if t.place(b) {
			return
		}
		limit = shape.limit + 1
	}
	if s.maySplit(t) {
		s.split(t, b)
		return
	}
	s.resize(t, oversize(len(b.slots)+1), len(b.times) > 0)
	if !t.place(b) {
		panic("index: entries do not fit a table twice their number")
	}
}

// maySplit bounds the directory by the number of entries, so that hashes with a long common prefix cannot blow it up.
// Tables split near 0.93 of their capacity, when the directory needs no more than one reference for each half of that.
func (s *shard) maySplit(t *table) bool {
	return t.depth < s.depth || 2*len(s.tables) <= s.count/(s.index.maxSlots/4)
}

// split moves the upper half of the hashes of a table, whose entries are all in the batch, to a new one.
func (s *shard) split(t *table, b *batch) {
	if t.depth == s.depth {
		s.doubleDirectory()
	}
	// The references to t are those that share its prefix, and the upper half of them is for the new table.
	span := 1 << (s.depth - t.depth)
	first := s.slotOf(b.slots[0].hi()) &^ (span - 1)
	upper := &table{depth: t.depth + 1}
	t.depth++
	for i := first + span/2; i < first+span; i++ {
		s.tables[i] = upper
	}
	s.index.held.Add(tableBytes)
	bit := uint64(1) << (64 - t.depth)
	mid := sort.Search(len(b.slots), func(i int) bool { return b.slots[i].hi()&bit != 0 })
	s.install(t, b.cut(0, mid), 0)
	s.install(upper, b.cut(mid, len(b.slots)), 0)
}

func (s *shard) doubleDirectory() {
	wide := make([]*table, 2*len(s.tables))
	for i, t := range s.tables {
		wide[2*i], wide[2*i+1] = t, t
	}
	s.index.held.Add(int64(len(s.tables)) * 8)
	s.tables = wide
	s.depth++
}

// grow gives a table room for more than limit entries, in place or by splitting.
func (s *shard) grow(t *table) {
	room := max(t.limit, t.count) + 1
	b := batches.Get().(*batch)
	t.gather(b)
	s.install(t, b, room)
	b.recycle()
}

// shrink makes a table smaller that has lost an eighth of the entries it could lose its last step for: without that
// distance a few puts and deletes in turn would rebuild it each time.
func (s *shard) shrink(t *table) {
	want, ok := s.index.shapeFor(t.count + t.count/8)
	if !ok || want.slots >= len(t.slots) {
		return
	}
	// Oversized tables do not fit the shapes for their number: trying is only worth it now and then.
	if t.oversized() && t.count > t.limit*3/4 {
		return
	}
	s.refit(t, want)
}

// oversized tells a table of the shape oversize.
func (t *table) oversized() bool { return 2*t.homes == len(t.slots) }

// refit gives a table the shape, or what else its entries need.
func (s *shard) refit(t *table, to shape) {
	b := batches.Get().(*batch)
	t.gather(b)
	s.install(t, b, to.limit)
	b.recycle()
}

const tableBytes = int64(unsafe.Sizeof(table{}))

// resize gives a table memory of a shape, with or without a column of expirations. Content is lost.
func (s *shard) resize(t *table, to shape, column bool) {
	a := &s.index.arena
	before := t.memory()
	region := to.slots > heapSlots[len(heapSlots)-1] && to.slots <= regionSlots
	was := len(t.slots)
	if region && t.region {
		t.slots, t.tags = resizeSlots(t.slots, was, to.slots)
	} else {
		if t.region {
			a.giveSlots(t.slots, was)
		}
		if region {
			t.slots, t.tags = a.takeSlots(to.slots)
		} else {
			t.slots, t.tags = splitSlots(make([]byte, to.slots*slotBytes), to.slots)
		}
	}
	switch {
	case column && t.times != nil && region && t.region:
		t.times = resizeTimes(t.times, was, to.slots)
	default:
		if t.times != nil && t.region {
			a.giveTimes(t.times, was)
		}
		t.times = nil
		if column {
			t.times = s.newTimes(to.slots, region)
		}
	}
	t.homes, t.limit, t.region = to.homes, to.limit, region
	t.newStarts()
	s.index.held.Add(t.memory() - before)
}

// newStarts makes room for the starts of all groups.
func (t *table) newStarts() {
	groups := (t.homes + groupHomes - 1) / groupHomes
	if len(t.slots) > math.MaxUint16 {
		groups = 0
	}
	size := groups
	if t.region {
		size = regionSlots / groupHomes // at once: growing leaves no garbage behind
	}
	if cap(t.starts) != size {
		t.starts = make([]uint16, size)
	}
	t.starts = t.starts[:groups]
}

func (s *shard) newTimes(n int, region bool) []uint32 {
	if region {
		return s.index.arena.takeTimes(n)
	}
	return make([]uint32, n)
}

// addColumn prepares a table for its first expiration.
func (s *shard) addColumn(t *table) {
	if t.times != nil {
		return
	}
	before := t.memory()
	t.times = s.newTimes(len(t.slots), t.region)
	clear(t.times)
	s.index.held.Add(t.memory() - before)
}

// memory is what the columns of a table take, in bytes.
func (t *table) memory() int64 {
	slots, times := len(t.slots)*slotBytes, len(t.times)*4
	if t.region {
		slots, times = roundUp(slots, pageBytes), roundUp(times, pageBytes)
	}
	return int64(slots + times + cap(t.starts)*2)
}
