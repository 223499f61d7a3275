package index

import (
	"sync"
	"unsafe"
)

// shard is one part of the index with a lock of its own. Its size of 128 bytes, one of the allocator's, keeps two
// shards from sharing a pair of cache lines.
//
// The lock is taken before those of the ledger and the arena.
type shard struct {
	mu     sync.RWMutex
	index  *Index
	tables []*table // by the first depth bits of the high half; a table of lesser depth stands several times in a row
	// wide holds the sizes that do not fit a slot. It goes by hash and not by location, which needs no care on moves.
	wide  map[Hash]int64
	edge  int64 // entries that expire before this second are in the ledger's expired or ahead
	count int   // entries
	id    int
	depth uint8
	_     [15]byte
}

const (
	shardBytes = int64(unsafe.Sizeof(shard{}))
	// wideBytes is what an entry of shard.wide takes, measured on the process: 24 bytes and the slack of Go's maps.
	wideBytes = 65
)

// slotOf returns the position in tables for a high half. Go shifts by 64 to 0.
func (s *shard) slotOf(hi uint64) int { return int(hi >> (64 - s.depth)) }

// lookup returns nil if the shard is closed.
func (s *shard) lookup(hi uint64) *table {
	if len(s.tables) == 0 {
		return nil
	}
	return s.tables[s.slotOf(hi)]
}

func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tables, s.wide, s.count, s.depth = nil, nil, 0, 0
}

// entry decodes a slot.
func (s *shard) entry(t *table, i int) Entry {
	p := &t.slots[i]
	e := Entry{Location: p.location(), Size: p.size(), Expiration: t.time(i)}
	if e.Size == wideSize {
		e.Size = s.wide[joinHash(s.id, p.hi(), t.lo(i))]
	}
	return e
}

func (s *shard) widen(h Hash, size int64) {
	if s.wide == nil {
		s.wide = make(map[Hash]int64)
	}
	n := len(s.wide)
	s.wide[h] = size
	s.index.held.Add(int64(len(s.wide)-n) * wideBytes)
}

func (s *shard) narrow(h Hash) {
	n := len(s.wide)
	delete(s.wide, h)
	s.index.held.Add(int64(len(s.wide)-n) * wideBytes)
}

func (s *shard) get(hi, lo uint64) (Entry, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.lookup(hi)
	if t == nil {
		return Entry{}, false
	}
	i, ok := t.find(hi, lo)
	if !ok {
		return Entry{}, false
	}
	return s.entry(t, i), true
}

func (s *shard) put(hi, lo uint64, e Entry) (old Entry, replaced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putLocked(hi, lo, e)
}

func (s *shard) putLocked(hi, lo uint64, e Entry) (old Entry, replaced bool) {
	t := s.lookup(hi)
	if t == nil {
		return Entry{}, false
	}
	i, found := t.find(hi, lo)
	if found {
		old = s.entry(t, i)
	} else {
		for i = t.seek(hi, lo); t.count >= t.limit || i == len(t.slots) || !t.open(i, hi); i = t.seek(hi, lo) {
			s.grow(t)
			t = s.lookup(hi)
		}
		s.count++
	}
	t.slots[i].set(hi, lo, 0)
	t.tags[i] = byte(lo)
	t.slots[i].setMeta(e.Location, e.Size)
	if e.Size >= wideSize {
		s.widen(joinHash(s.id, hi, lo), e.Size)
	} else if old.Size >= wideSize {
		s.narrow(joinHash(s.id, hi, lo))
	}
	if e.Expiration != 0 {
		s.addColumn(t)
	}
	t.setTime(i, e.Expiration)
	if found {
		s.index.ledger.replace(old, e, s.edge)
	} else {
		s.index.ledger.add(e, s.edge)
	}
	return old, found
}

func (s *shard) remove(hi, lo uint64, when func(Entry) bool) (Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.lookup(hi)
	if t == nil {
		return Entry{}, false
	}
	i, ok := t.find(hi, lo)
	if !ok {
		return Entry{}, false
	}
	e := s.entry(t, i)
	if !when(e) {
		return Entry{}, false
	}
	t.remove(i)
	s.count--
	if e.Size >= wideSize {
		s.narrow(joinHash(s.id, hi, lo))
	}
	s.shrink(t)
	s.index.ledger.subtract(e, s.edge)
	return e, true
}

func (s *shard) move(hi, lo uint64, from, to Location) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.lookup(hi)
	if t == nil {
		return false
	}
	i, ok := t.find(hi, lo)
	if !ok || t.slots[i].location() != from {
		return false
	}
	t.slots[i].setMeta(to, t.slots[i].size())
	return true
}

// each calls f for the tables in hash order until it returns false.
func (s *shard) each(f func(*table) bool) {
	for i := 0; i < len(s.tables); {
		t := s.tables[i]
		if !f(t) {
			return
		}
		i += 1 << (s.depth - t.depth)
	}
}
