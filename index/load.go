package index

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// LoadShard fills a shard, which must be empty, with what AppendShard saved of one of the same number. It calls adopt
// with every saved entry, in the order of their hashes; adopt returns the entry's present location, or false to leave
// the entry out. So adopt is also the place to sum up what is in each segment.
//
// Different shards can be loaded concurrently. The shard is locked meanwhile, at some 40 ns an entry, so adopt must not
// use it. Data of any content gives entries or an error; it takes memory in proportion to the data's length. After an
// error the shard is empty, though adopt was called. It panics if adopt returns a location wider than 50 bits.
func (x *Index) LoadShard(shard int, data []byte, adopt func(Entry) (Location, bool)) error {
	count, n := binary.Uvarint(data)
	if n <= 0 {
		return damaged("no count of entries")
	}
	data = data[n:]
	if count == 0 {
		if len(data) > 0 {
			return damaged("%d bytes behind an empty shard", len(data))
		}
		return nil
	}
	v, err := parse(count, data)
	if err != nil {
		return err
	}
	s := x.demand(shard)
	if s == nil {
		return errClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tables) == 0 {
		return errClosed
	}
	if s.count > 0 {
		return errors.New("index: load into a shard that is not empty")
	}
	return s.load(v, adopt)
}

var errClosed = errors.New("index: load into a closed index")

func (s *shard) load(v saved, adopt func(Entry) (Location, bool)) error {
	s.clear()
	s.count = v.count // For maySplit: what the data justifies.
	s.directory(v.count)
	l := loader{shard: s, saved: v, batch: batches.Get().(*batch)}
	err := l.run(adopt)
	l.batch.recycle()
	if err != nil {
		s.clear()
		return err
	}
	s.count = int(l.sum.keys)
	s.index.ledger.load(l.sum)
	// Of the new entries, none is in the ledger's expired or ahead yet.
	edge := s.edge
	s.edge = 0
	s.raise(edge)
	return nil
}

// clear makes the shard as it was when new. Its entries must not be in the ledger.
func (s *shard) clear() {
	s.each(func(t *table) bool {
		s.resize(t, shape{}, false)
		return true
	})
	s.index.held.Add(-int64(len(s.wide)) * wideBytes)
	s.wide = nil
	s.setTables([]*table{{}}, 0)
	s.count = 0
}

// directory makes empty tables for as many entries, so that the entries fill them to a tenth below where they split. A
// table that gets more than its share splits all the same.
func (s *shard) directory(count int) {
	full := s.index.maxSlots * maxLoadPercent / 100 * 9 / 10
	depth := uint8(0)
	for count>>depth > full {
		depth++
	}
	tables := make([]*table, 1<<depth)
	for i := range tables {
		tables[i] = &table{depth: depth}
	}
	s.setTables(tables, depth)
}

func (s *shard) setTables(tables []*table, depth uint8) {
	n := 0
	s.each(func(*table) bool { n++; return true })
	s.index.held.Add(-int64(n)*tableBytes - int64(len(s.tables))*8)
	s.tables, s.depth = tables, depth
	s.index.held.Add(int64(len(tables)) * (tableBytes + 8))
}

func (l *ledger) load(sum tally) {
	l.mu.Lock()
	l.all.keys += sum.keys
	l.all.bytes += sum.bytes
	l.mu.Unlock()
}

// loader turns saved entries into tables.
type loader struct {
	shard *shard
	saved
	batch *batch
	sum   tally
}

func (l *loader) run(adopt func(Entry) (Location, bool)) error {
	// Where the fields of an entry begin, and their masks. The high half takes two reads of at most 57 bits.
	const loAt, hiAt, topAt = 0, 48, 48 + 32
	locationAt := uint64(48 + 64 - l.group)
	restAt := locationAt + uint64(l.location())
	width := uint64(l.layout.entry())
	topMask, locationMask, restMask := maskOf(32-l.group), maskOf(l.location()), maskOf(l.size+l.expiration)

	var at, lastHi, lastLo uint64
	shift := 64 - l.shard.depth
	fill := uint64(0) // where in the first directory the entries in the batch belong
	for group := range uint64(1) << l.group {
		n, size := binary.Uvarint(l.groups)
		l.groups = l.groups[size:]
		l.batch.slots = slices.Grow(l.batch.slots, int(n))
		for range n {
			lo := bitsAt(l.entries, at+loAt, maskOf(48))
			hi := bitsAt(l.entries, at+hiAt, maskOf(32)) | bitsAt(l.entries, at+topAt, topMask)<<32 | group<<(64-l.group)
			location := bitsAt(l.entries, at+locationAt, locationMask)
			rest := bitsAt(l.entries, at+restAt, restMask)
			if hi <= lastHi && (hi < lastHi || lo <= lastLo) && at > 0 {
				return damaged("entries out of order")
			}
			if hi == emptyHi {
				return damaged("a hash that cannot be")
			}
			at += width
			lastHi, lastLo = hi, lo
			e := Entry{Location: l.widenLocation(location), Size: int64(rest & maskOf(l.size))}
			if e.Size == wideSize || rest>>l.size != 0 {
				if err := l.complete(&e, rest>>l.size); err != nil {
					return err
				}
			}
			to, ok := adopt(e)
			if !ok {
				continue
			}
			e.Location = to
			e.check()
			if hi>>shift != fill {
				l.flush()
				fill = hi >> shift
			}
			l.add(hi, lo, e)
		}
	}
	l.flush()
	return l.end(at)
}

// widenLocation puts the fields of a saved location in their places.
func (l *loader) widenLocation(saved uint64) Location {
	unit := saved >> l.ordinal
	return Location(saved&maskOf(l.ordinal) | unit&maskOf(l.unit)<<ordinalBits | unit>>l.unit<<(unitBits+ordinalBits))
}

// complete adds to an entry what most do not have: a size of its own and a saved expiration.
func (l *loader) complete(e *Entry, time uint64) error {
	if e.Size == wideSize {
		over, n := binary.Uvarint(l.wide)
		if n <= 0 || over > math.MaxInt64-wideSize {
			return damaged("bad large size")
		}
		l.wide = l.wide[n:]
		e.Size += int64(over)
	}
	if time != 0 {
		if time += uint64(l.base) - 1; time > math.MaxUint32 {
			return damaged("expiration beyond 2106")
		}
		e.Expiration = uint32(time)
	}
	return nil
}

// add appends an entry to the batch, which has room for it.
func (l *loader) add(hi, lo uint64, e Entry) {
	l.batch.add(hi, lo, e)
	if e.Size >= wideSize {
		l.shard.widen(joinHash(l.shard.id, hi, lo), e.Size)
	}
	l.sum.keys++
	l.sum.bytes += e.Size
}

// flush makes the batch the content of a table. The directory may have grown since the batch was begun.
func (l *loader) flush() {
	if len(l.batch.slots) == 0 {
		return
	}
	s := l.shard
	s.install(s.lookup(l.batch.slots[0].hi()), l.batch, 0)
	l.batch.clear()
}

// end checks what stands behind the entries.
func (l *loader) end(at uint64) error {
	if bitsAt(l.entries, at, maskOf(uint(-at&7))) != 0 {
		return damaged("bits behind the entries")
	}
	if binary.LittleEndian.Uint64(l.entries[len(l.entries)-padding:]) != 0 {
		return damaged("bytes behind the entries")
	}
	if len(l.wide) > 0 {
		return damaged("%d bytes behind the sizes", len(l.wide))
	}
	return nil
}
