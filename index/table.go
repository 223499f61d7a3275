package index

import (
	"encoding/binary"
	"math/bits"
)

// slot is an entry without its expiration:
//
//	+---------+---------+-------------------------------+
//	| hi    8 | lo    6 | location 50 bits, size 14   8 |
//	+---------+---------+-------------------------------+
//
// in little-endian order, the size in the low bits. In a free slot hi is emptyHi and the rest undefined.
type slot [slotBytes]byte

const (
	loMask   = 1<<48 - 1
	sizeBits = 14
	wideSize = 1<<sizeBits - 1 // This size and all greater ones stand in shard.wide.
)

func (s *slot) hi() uint64         { return binary.LittleEndian.Uint64(s[:8]) }
func (s *slot) lo() uint64         { return binary.LittleEndian.Uint64(s[8:16]) & loMask }
func (s *slot) meta() uint64       { return binary.LittleEndian.Uint64(s[14:]) }
func (s *slot) location() Location { return Location(s.meta() >> sizeBits) }
func (s *slot) size() int64        { return int64(s.meta() & wideSize) }
func (s *slot) free() bool         { return s.hi() == emptyHi }
func (s *slot) setFree()           { binary.LittleEndian.PutUint64(s[:8], emptyHi) }

func (s *slot) set(hi, lo, meta uint64) {
	binary.LittleEndian.PutUint64(s[:8], hi)
	binary.LittleEndian.PutUint64(s[8:16], lo)
	binary.LittleEndian.PutUint64(s[14:], meta)
}

func (s *slot) setMeta(l Location, size int64) {
	binary.LittleEndian.PutUint64(s[14:], uint64(l)<<sizeBits|uint64(min(size, wideSize)))
}

// table holds the entries of a shard whose high halves share their first depth bits. What is in slots:
//   - entries are in ascending order of (hi, lo);
//   - none stands before its home, and between its home and it no slot is free.
//
// Therefore a search from the home may stop at the first free slot or greater entry. Homes end before the slots do, so
// that the last runs have room; an entry that finds none makes the table grow, though it be less full than limit.
type table struct {
	slots    []slot
	times    []uint32 // expirations by slot, 0 in free ones; nil if no entry has one
	homes    int      // the first this many slots are homes
	limit    int      // entries up to which the table does not grow
	count    int
	expiring int // entries with an expiration
	depth    uint8
	region   bool // slots and times are regions of the arena
}

// home is where the search for an entry begins.
func (t *table) home(hi uint64) int {
	h, _ := bits.Mul64(hi<<t.depth, uint64(t.homes))
	return int(h)
}

// find returns the slot of an entry or, if there is none, the slot where it belongs, which may be len(t.slots).
func (t *table) find(hi, lo uint64) (int, bool) {
	s := t.slots
	i := t.home(hi)
	for i < len(s) && s[i].hi() < hi {
		i++
	}
	for ; i < len(s) && s[i].hi() == hi; i++ {
		if l := s[i].lo(); l >= lo {
			return i, l == lo
		}
	}
	return i, false
}

// open makes the slot at i free by shifting the run from there on by one. It returns false if the run ends with the
// table.
func (t *table) open(i int) bool {
	end := i
	for end < len(t.slots) && !t.slots[end].free() {
		end++
	}
	if end == len(t.slots) {
		return false
	}
	copy(t.slots[i+1:end+1], t.slots[i:end])
	if t.times != nil {
		copy(t.times[i+1:end+1], t.times[i:end])
		t.times[i] = 0
	}
	t.count++
	return true
}

// remove takes out the entry at i and shifts back those behind it that are not at their homes.
func (t *table) remove(i int) {
	t.setTime(i, 0)
	end := i + 1
	for end < len(t.slots) && !t.slots[end].free() && t.home(t.slots[end].hi()) < end {
		end++
	}
	copy(t.slots[i:], t.slots[i+1:end])
	t.slots[end-1].setFree()
	if t.times != nil {
		copy(t.times[i:], t.times[i+1:end])
		t.times[end-1] = 0
	}
	t.count--
}

func (t *table) time(i int) uint32 {
	if t.times == nil {
		return 0
	}
	return t.times[i]
}

// setTime sets the expiration at i. A time other than 0 needs the column.
func (t *table) setTime(i int, to uint32) {
	if t.times == nil {
		return
	}
	if t.times[i] != 0 {
		t.expiring--
	}
	if to != 0 {
		t.expiring++
	}
	t.times[i] = to
}

// place writes sorted entries into the emptied table, which has a column if and only if times is not empty. It returns
// false, with the table in disorder, if the last run does not fit.
func (t *table) place(entries []slot, times []uint32) bool {
	at := 0
	for i := range entries {
		home := t.home(entries[i].hi())
		if max(at, home) >= len(t.slots) {
			return false
		}
		for ; at < home; at++ {
			t.slots[at].setFree()
		}
		t.slots[at] = entries[i]
		at++
	}
	for ; at < len(t.slots); at++ {
		t.slots[at].setFree()
	}
	t.count = len(entries)
	t.expiring = 0
	if len(times) == 0 {
		return true
	}
	for i, n := 0, 0; i < len(t.slots); i++ {
		if t.slots[i].free() {
			t.times[i] = 0
			continue
		}
		t.times[i] = times[n]
		if times[n] != 0 {
			t.expiring++
		}
		n++
	}
	return true
}

// gather appends the entries, and their expirations if there are any, in order to a batch.
func (t *table) gather(b *batch) {
	for i := range t.slots {
		if t.slots[i].free() {
			continue
		}
		b.slots = append(b.slots, t.slots[i])
		if t.expiring > 0 {
			b.times = append(b.times, t.times[i])
		}
	}
}
