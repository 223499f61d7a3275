package index

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// slot is an entry without its tag and its expiration:
//
//	+---------+---------+-------------------------------+
//	| hi    8 | lo    5 | location 50 bits, size 14   8 |
//	+---------+---------+-------------------------------+
//
// in little-endian order, the size in the low bits. Of the low half of the fingerprint, the low byte is the tag, and the
// others are here. In a free slot hi is emptyHi and the rest undefined, its tag too.
type slot [21]byte

const (
	tagBits  = 8
	loMask   = 1<<48 - 1
	sizeBits = 14
	wideSize = 1<<sizeBits - 1 // This size and all greater ones stand in shard.wide.
)

func (s *slot) hi() uint64         { return binary.LittleEndian.Uint64(s[:8]) }
func (s *slot) upperLo() uint64    { return binary.LittleEndian.Uint64(s[8:16]) & (loMask >> tagBits) }
func (s *slot) meta() uint64       { return binary.LittleEndian.Uint64(s[13:]) }
func (s *slot) location() Location { return Location(s.meta() >> sizeBits) }
func (s *slot) size() int64        { return int64(s.meta() & wideSize) }
func (s *slot) free() bool         { return s.hi() == emptyHi }
func (s *slot) setFree()           { binary.LittleEndian.PutUint64(s[:8], emptyHi) }

func (s *slot) set(hi, lo, meta uint64) {
	binary.LittleEndian.PutUint64(s[:8], hi)
	binary.LittleEndian.PutUint64(s[8:16], lo>>tagBits)
	binary.LittleEndian.PutUint64(s[13:], meta)
}

func (s *slot) setMeta(l Location, size int64) {
	binary.LittleEndian.PutUint64(s[13:], uint64(l)<<sizeBits|uint64(min(size, wideSize)))
}

// table holds the entries of a shard whose high halves share their first depth bits. What is in slots:
//   - entries are in ascending order of (hi, lo);
//   - none stands before its home, and between its home and it no slot is free.
//
// Homes end before the slots do, so that the last runs have room; an entry that finds none makes the table grow, though
// it be less full than limit.
//
// The entries of 16 homes in a row are a group. starts has where those of each group begin, so that a search looks for
// the tag among the 15 or so of a group, and at a slot only where it finds it. An absent key has the tag of one of them
// one time in 30: 50 ns at a million keys, where a search in the slots took 140.
type table struct {
	slots    []slot
	tags     []byte   // by slot
	times    []uint32 // expirations by slot, 0 in free ones; nil if no entry has one
	starts   []uint16 // by group: where an entry would be that is less than all of the group; nil if there are too many slots
	homes    int      // the first this many slots are homes
	limit    int      // entries up to which the table does not grow
	count    int
	expiring int // entries with an expiration
	depth    uint8
	region   bool // slots, tags and times are regions of the arena
}

// groupHomes is how many homes make a group: as many tags as processors compare at once. The starts of groups take 0.2
// bytes a key then.
const groupHomes = 16

// home is where the search for an entry begins.
func (t *table) home(hi uint64) int {
	h, _ := bits.Mul64(hi<<t.depth, uint64(t.homes))
	return int(h)
}

// span returns between which slots an entry is whose high half is hi.
func (t *table) span(hi uint64) (from, to int) {
	home := t.home(hi)
	if len(t.starts) == 0 {
		return home, len(t.slots)
	}
	group := home / groupHomes
	from = max(home, int(t.starts[group]))
	if group++; group < len(t.starts) {
		return from, int(t.starts[group])
	}
	return from, len(t.slots)
}

// find returns the slot of an entry, and whether there is one.
func (t *table) find(hi, lo uint64) (int, bool) {
	from, to := t.span(hi)
	for i := from; i < to; i++ {
		n := bytes.IndexByte(t.tags[i:to], byte(lo))
		if n < 0 {
			break
		}
		i += n
		if s := &t.slots[i]; s.hi() == hi && s.upperLo() == lo>>tagBits {
			return i, true
		}
	}
	return 0, false
}

// seek returns the first slot whose entry is not less, or that is free behind all that are; it may be len(t.slots).
func (t *table) seek(hi, lo uint64) int {
	s := t.slots
	i, _ := t.span(hi)
	for i < len(s) && s[i].hi() < hi {
		i++
	}
	for i < len(s) && s[i].hi() == hi && t.lo(i) < lo {
		i++
	}
	return i
}

// lo returns the low half of the fingerprint of an entry.
func (t *table) lo(i int) uint64 { return t.slots[i].upperLo()<<tagBits | uint64(t.tags[i]) }

// open makes the slot at i free for an entry that belongs there, by shifting the run from there on by one. It returns
// false if the run ends with the table.
func (t *table) open(i int, hi uint64) bool {
	end := i
	for end < len(t.slots) && !t.slots[end].free() {
		end++
	}
	if end == len(t.slots) {
		return false
	}
	copy(t.slots[i+1:end+1], t.slots[i:end])
	copy(t.tags[i+1:end+1], t.tags[i:end])
	if t.times != nil {
		copy(t.times[i+1:end+1], t.times[i:end])
		t.times[i] = 0
	}
	for g := t.home(hi)/groupHomes + 1; g < len(t.starts) && int(t.starts[g]) <= end; g++ {
		t.starts[g]++
	}
	t.count++
	return true
}

// remove takes out the entry at i and shifts back those behind it that are not at their homes.
func (t *table) remove(i int) {
	t.setTime(i, 0)
	group := t.home(t.slots[i].hi()) / groupHomes
	end := i + 1
	for end < len(t.slots) && !t.slots[end].free() && t.home(t.slots[end].hi()) < end {
		end++
	}
	copy(t.slots[i:], t.slots[i+1:end])
	copy(t.tags[i:], t.tags[i+1:end])
	t.slots[end-1].setFree()
	if t.times != nil {
		copy(t.times[i:], t.times[i+1:end])
		t.times[end-1] = 0
	}
	for g := group + 1; g < len(t.starts) && int(t.starts[g]) <= end; g++ {
		if int(t.starts[g]) > g*groupHomes {
			t.starts[g]--
		}
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

// place writes a batch into the emptied table, which has a column of expirations if and only if the batch has. It
// returns false, with the table in disorder, if the last run does not fit.
func (t *table) place(b *batch) bool {
	at, groups := 0, 0
	for i := range b.slots {
		home := t.home(b.slots[i].hi())
		if max(at, home) >= len(t.slots) {
			return false
		}
		groups = t.startGroups(groups, home/groupHomes+1, at)
		for ; at < home; at++ {
			t.slots[at].setFree()
		}
		t.slots[at] = b.slots[i]
		t.tags[at] = b.tags[i]
		at++
	}
	t.startGroups(groups, len(t.starts), at)
	for ; at < len(t.slots); at++ {
		t.slots[at].setFree()
	}
	t.count = len(b.slots)
	t.placeTimes(b.times)
	return true
}

// startGroups sets where groups start: behind the entries before them, which end at a slot, but not before their homes.
func (t *table) startGroups(from, to, end int) int {
	for ; from < min(to, len(t.starts)); from++ {
		t.starts[from] = uint16(max(end, from*groupHomes))
	}
	return from
}

// placeTimes writes the expirations of entries that are in their places.
func (t *table) placeTimes(times []uint32) {
	t.expiring = 0
	if len(times) == 0 {
		return
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
}

// gather appends the entries, and their expirations if there are any, in order to a batch.
func (t *table) gather(b *batch) {
	for i := range t.slots {
		if t.slots[i].free() {
			continue
		}
		b.slots = append(b.slots, t.slots[i])
		b.tags = append(b.tags, t.tags[i])
		if t.expiring > 0 {
			b.times = append(b.times, t.times[i])
		}
	}
}
