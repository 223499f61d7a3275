package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// layout holds the widths in bits of the fields of a saved shard. See AppendShard.
type layout struct {
	group, slot, unit, ordinal, size, expiration uint
	base                                         uint32
}

// groupFor is the number of leading bits of the hash that are saved as counts: each bit saves one an entry, as long as
// the groups, a byte each, do not get more than one for eight entries.
func groupFor(count int) uint { return uint(min(max(bits.Len(uint(count))-4, 0), maxGroup)) }

// maxGroup suffices for 2^28 entries a shard.
const maxGroup = 24

func (l layout) location() uint { return l.slot + l.unit + l.ordinal }
func (l layout) entry() uint    { return 48 + 64 - l.group + l.location() + l.size + l.expiration }

// packed is the number of bytes that entries take, padding included.
func (l layout) packed(count int) int {
	return int((uint64(count)*uint64(l.entry())+7)/8) + padding
}

// padding behind the entries lets a reader load whole words.
const padding = 8

// AppendShard appends the entries of a shard to dst for LoadShard to read: 16 to 18 bytes each in a store of ten million
// keys. The shard is locked against changes meanwhile, at some 25 ns an entry.
//
// The format, which is part of the format of checkpoints (WARNING: readers of existing files depend on it):
//
//	uvarint  n, the number of entries; if it is 0, nothing follows
//	6 bytes  widths in bits: g at most 24, slot 16, unit 26, ordinal 8, size 14, expiration 33
//	uvarint  b, the least expiration, if the width of expirations is not 0
//	uvarint  2^g numbers: how many entries have hashes with these leading g bits, in ascending order
//	bits     n entries, in ascending order of the 112 bits of their fingerprints
//	8 bytes  0, behind the last byte of the entries, whose free bits are 0 too
//	uvarint  sizes less 16,383, of the entries whose size is saved as 16,383, in their order
//
// The bits of an entry are packed from the least significant bit of each byte on, without gaps:
//
//	48      low half of the fingerprint
//	64-g    high half of the fingerprint without its leading g bits
//	ordinal, unit, slot of the location
//	size    in bytes, or 16,383 if it is that or more
//	expiration: 0 if none, otherwise the second less b, plus 1
//
// A shard is known by the number that it is saved and loaded under: entries do not tell.
func (x *Index) AppendShard(dst []byte, shard int) []byte {
	s := x.shards[shard].Load()
	if s == nil {
		return append(dst, 0)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	dst = binary.AppendUvarint(dst, uint64(s.count))
	if s.count == 0 {
		return dst
	}
	l := s.layout()
	for _, w := range [...]uint{l.group, l.slot, l.unit, l.ordinal, l.size, l.expiration} {
		dst = append(dst, byte(w))
	}
	if l.expiration > 0 {
		dst = binary.AppendUvarint(dst, uint64(l.base))
	}
	dst = s.appendGroups(dst, l.group)
	dst, wide := s.pack(slices.Grow(dst, l.packed(s.count)), l)
	dst = append(dst, make([]byte, padding)...)
	for _, size := range wide {
		dst = binary.AppendUvarint(dst, uint64(size-wideSize))
	}
	return dst
}

// layout finds the least widths that hold all entries.
func (s *shard) layout() layout {
	var all Location // Only its bits above the highest set one matter, so the union of all will do.
	var size uint64
	var last uint32
	first := ^uint32(0)
	s.each(func(t *table) bool {
		for i := range t.slots {
			if t.slots[i].free() {
				continue
			}
			m := t.slots[i].meta()
			all |= Location(m >> sizeBits)
			size |= m & wideSize
			if at := t.time(i); at != 0 {
				first, last = min(first, at), max(last, at)
			}
		}
		return true
	})
	l := layout{
		group:   groupFor(s.count),
		slot:    uint(bits.Len16(all.Slot())),
		unit:    uint(bits.Len32(all.Unit())),
		ordinal: uint(bits.Len8(all.Ordinal())),
		size:    uint(bits.Len64(size)),
	}
	if last != 0 {
		l.base = first
		l.expiration = uint(bits.Len64(uint64(last-first) + 1))
	}
	return l
}

func (s *shard) appendGroups(dst []byte, width uint) []byte {
	group, n := uint64(0), uint64(0)
	s.each(func(t *table) bool {
		for i := range t.slots {
			if t.slots[i].free() {
				continue
			}
			for g := t.slots[i].hi() >> (64 - width); group < g; group++ {
				dst = binary.AppendUvarint(dst, n)
				n = 0
			}
			n++
		}
		return true
	})
	for ; group < 1<<width; group++ {
		dst = binary.AppendUvarint(dst, n)
		n = 0
	}
	return dst
}

// pack appends the entries and returns the sizes that do not fit them too.
func (s *shard) pack(dst []byte, l layout) (_ []byte, wide []int64) {
	w := bitWriter{dst: dst}
	s.each(func(t *table) bool {
		for i := range t.slots {
			p := &t.slots[i]
			if p.free() {
				continue
			}
			at := p.location()
			w.put(t.lo(i), 48)
			w.put(p.hi()&maskOf(64-l.group), 64-l.group)
			w.put(uint64(at.Ordinal())|uint64(at.Unit())<<l.ordinal|uint64(at.Slot())<<(l.ordinal+l.unit), l.location())
			time := uint64(t.time(i))
			if time != 0 {
				time -= uint64(l.base) - 1
			}
			w.put(uint64(p.size())|time<<l.size, l.size+l.expiration)
			if p.size() == wideSize {
				wide = append(wide, s.entry(t, i).Size)
			}
		}
		return true
	})
	return w.finish(), wide
}

// errDamaged is wrapped with the particulars.
var errDamaged = errors.New("saved index is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}

// saved is the parsed frame of a saved shard.
type saved struct {
	layout
	count   int
	groups  []byte // counts of entries
	entries []byte // and padding
	wide    []byte // sizes
}

// parse takes apart a saved shard that is not empty. It checks that all parts are there, not what they say.
func parse(count uint64, data []byte) (v saved, err error) {
	if len(data) < 6 {
		return v, damaged("header ends early")
	}
	limits := [...]byte{maxGroup, slotBits, unitBits, ordinalBits, sizeBits, 33}
	for i, limit := range limits {
		if data[i] > limit {
			return v, damaged("width %d is %d bits", i, data[i])
		}
	}
	v.layout = layout{
		group: uint(data[0]), slot: uint(data[1]), unit: uint(data[2]), ordinal: uint(data[3]),
		size: uint(data[4]), expiration: uint(data[5]),
	}
	data = data[6:]
	if v.expiration > 0 {
		base, n := binary.Uvarint(data)
		if n <= 0 || base == 0 || base > 1<<32-1 {
			return v, damaged("bad least expiration")
		}
		v.base, data = uint32(base), data[n:]
	}
	v.groups = data
	sum := uint64(0)
	for range 1 << v.group {
		c, n := binary.Uvarint(data)
		if n <= 0 || c > count-sum {
			return v, damaged("bad counts of groups")
		}
		sum, data = sum+c, data[n:]
	}
	if sum != count {
		return v, damaged("%d entries in groups, not %d", sum, count)
	}
	// An entry has at least 88 bits. With this, the number of bytes does not overflow, though it may exceed 2^31.
	if count > uint64(len(data))/(88/8) {
		return v, damaged("%d entries in %d bytes", count, len(data))
	}
	v.count = int(count)
	n := v.packed(v.count)
	if n > len(data) {
		return v, damaged("%d entries in %d bytes", count, len(data))
	}
	v.entries, v.wide = data[:n], data[n:]
	return v, nil
}
