package index

import (
	"sync"
	"sync/atomic"
)

// Shards is the number of parts of an index. They are locked, scanned, saved and loaded one by one.
const Shards = 256

// Index maps hashes to entries. All methods are safe for concurrent use. The index locks by shard, so operations on
// different keys rarely wait for each other.
//
// After Close the index is empty and stays so: reads miss and puts are dropped.
type Index struct {
	shards   [Shards]atomic.Pointer[shard] // made when the first entry arrives
	arena    arena
	ledger   ledger
	sweeper  sweeper
	held     atomic.Int64 // bytes in tables and directories
	maxSlots int          // of a table; smaller than regionSlots only in tests

	making sync.Mutex // guards the making of shards, and below
	closed bool
	edge   int64 // given to new shards, see shard.edge
}

// New returns an empty index. It takes no memory worth mentioning before it is used.
func New() *Index { return &Index{maxSlots: regionSlots} }

// Close gives the memory back to the system. It waits for the operations that are under way in a shard.
func (x *Index) Close() {
	x.making.Lock()
	x.closed = true
	x.making.Unlock()
	for i := range x.shards {
		if s := x.shards[i].Load(); s != nil {
			s.close()
		}
	}
	x.arena.close()
	x.ledger.reset()
	x.held.Store(0)
}

// demand returns a shard, which it makes if needed, or nil if the index is closed.
func (x *Index) demand(i int) *shard {
	if s := x.shards[i].Load(); s != nil {
		return s
	}
	x.making.Lock()
	defer x.making.Unlock()
	if s := x.shards[i].Load(); s != nil || x.closed {
		return s
	}
	s := &shard{index: x, id: i, edge: x.edge, tables: []*table{{}}}
	x.held.Add(shardBytes + 8 + tableBytes)
	x.shards[i].Store(s)
	return s
}

// Get returns the entry of a key, expired or not.
func (x *Index) Get(h Hash) (Entry, bool) {
	i, hi, lo := h.parts()
	s := x.shards[i].Load()
	if s == nil {
		return Entry{}, false
	}
	return s.get(hi, lo)
}

// Put sets the entry of a key and returns the one it replaces. It panics if the location is wider than 50 bits or the
// size is negative.
func (x *Index) Put(h Hash, e Entry) (old Entry, replaced bool) {
	e.check()
	i, hi, lo := h.parts()
	s := x.demand(i)
	if s == nil {
		return Entry{}, false
	}
	return s.put(hi, lo, e)
}

// Delete removes the entry of a key and returns it.
func (x *Index) Delete(h Hash) (Entry, bool) {
	return x.remove(h, func(Entry) bool { return true })
}

// DeleteAt removes the entry of a key and returns it, provided that it is at a location.
func (x *Index) DeleteAt(h Hash, at Location) (Entry, bool) {
	return x.remove(h, func(e Entry) bool { return e.Location == at })
}

func (x *Index) remove(h Hash, when func(Entry) bool) (Entry, bool) {
	i, hi, lo := h.parts()
	s := x.shards[i].Load()
	if s == nil {
		return Entry{}, false
	}
	return s.remove(hi, lo, when)
}

// Move changes the location of a key's entry, provided that it is still at from, and tells whether it was. It panics if
// to is wider than 50 bits.
func (x *Index) Move(h Hash, from, to Location) bool {
	Entry{Location: to}.check()
	i, hi, lo := h.parts()
	s := x.shards[i].Load()
	return s != nil && s.move(hi, lo, from, to)
}

// Len returns the number of entries, expired ones included.
func (x *Index) Len() int { return int(x.ledger.entries()) }

// Memory returns the bytes that the index holds. It counts the pages written in regions, not the address space.
func (x *Index) Memory() int64 { return x.held.Load() }
