// Package cache keeps decoded records in memory, within a budget of bytes, and resists scans.
//
// It evicts by S3-FIFO (Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023). New records enter
// a small queue, a tenth of the budget, and are dropped at its end unless they were used twice meanwhile. Those that
// were go on to the main queue, where each further use buys another round. A ghost queue remembers what the small
// queue dropped, by fingerprint: a record that comes back was dropped too early, and enters the main queue at once. So
// the records of a scan, each read once, pass through a tenth of the cache and leave the rest alone.
//
// A record that is read once still costs a copy and an eviction, a tenth of what reading it does. So a doorkeeper, as
// in TinyLFU (Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM Transactions on
// Storage 13, 2017), stands before a full shard: at its first miss a record leaves its fingerprint in the ghost queue
// and no more, at the next it is admitted, if it is still remembered. It enters the small queue, and its first miss
// counts as a use there. Here the doorkeeper is at work only where records are rarely read again soon. Where one in
// eight is, the hits that it costs are worth more than the copies that it saves, and records are admitted at first
// sight: see usedGain. While there is room, nothing is refused.
//
// A use changes no queue; it only counts up to 3 in the record. That is why Get needs no lock: it looks into the
// hash table by atomic loads. What changes queues and table holds the lock of a shard.
package cache

import "math/bits"

// ID names one version of one record by its place in the store. What an ID names never changes, and an ID is never
// reused: a new version of the record has another one.
type ID struct {
	Segment uint64
	Place   uint64
}

// Record is a decoded record. What one obtained from a cache refers to must not be modified.
type Record struct {
	Key        []byte
	Value      []byte
	Metadata   []byte
	Expiration int64 // of no meaning to the cache
}

// payload returns the bytes of key, value and metadata.
func (r *Record) payload() int { return len(r.Key) + len(r.Value) + len(r.Metadata) }

// Cache is a cache of records. Any number of goroutines may call its methods at once. A nil *Cache is one that holds
// nothing.
type Cache struct {
	shards []shard
	shift  uint // the hash shifted right by it is the number of the shard
}

const (
	// minBudget is the least budget in bytes of which the shares below leave room for a record.
	minBudget = 4 << 10

	// maxShards keeps writers apart: when 8 of them do nothing but put, one finds its shard of 16 taken 36 % of the
	// time at most, 1 - (15/16)^7, and for less than a microsecond. Readers take no lock.
	maxShards = 16

	// minShardBudget is what a shard gets at least, in bytes, if there are several: it limits the size of a record.
	minShardBudget = 1 << 20
)

// New returns an empty cache that uses at most budget bytes. It returns nil if budget is below 4 KiB.
func New(budget int64) *Cache {
	if budget < minBudget {
		return nil
	}
	shards := 1
	for shards < maxShards && budget/int64(2*shards) >= minShardBudget {
		shards *= 2
	}
	c := &Cache{
		shards: make([]shard, shards),
		shift:  uint(64 - bits.TrailingZeros(uint(shards))),
	}
	for i := range c.shards {
		c.shards[i].init(budget / int64(shards))
	}
	return c
}

// Get returns the record with the given id, if the cache holds it. The record stays as it is for as long as the caller
// refers to it, even if it is evicted; but its memory stays in use, too, so that a slow caller better copies the value.
// Get takes no lock and allocates nothing.
func (c *Cache) Get(id ID) (Record, bool) {
	if c == nil {
		return Record{}, false
	}
	h := id.hash()
	s := c.shard(h)
	e := s.table.Load().find(id, h)
	if e == nil {
		s.misses.Add(1)
		return Record{}, false
	}
	s.hits.Add(1)
	e.use()
	return e.record(), true
}

// Admits reports whether the record with the given id, which Get has missed, is to be Put. It is asked once for each
// miss, before the record is copied: asking counts as a sight of the record. payload is the sum of the lengths of key,
// value and metadata. Records are admitted while there is room, and when they are seen again; others only if that has
// proved worth it. Admits takes no lock and allocates nothing.
func (c *Cache) Admits(id ID, payload int) bool {
	if c == nil {
		return false
	}
	h := id.hash()
	return c.shard(h).admits(h, sizeOf(payload))
}

// Put adds a copy of *r, key, value and metadata included, under the given id, and evicts others to make room, whatever
// Admits would say. Put does nothing if the cache holds the id already, or if the record is too large: if it takes
// more than 1/16 of what one of at most 16 shards has. That is 256 KiB of a budget of 64 MiB, and 64 KiB at least of
// one of 1 MiB and more.
func (c *Cache) Put(id ID, r *Record) {
	if c == nil {
		return
	}
	h := id.hash()
	c.shard(h).put(id, h, r)
}

// Remove drops the record with the given id and tells whether it was wanted lately: whether the cache held it, or
// Admits has refused it and remembers that. From then on Get misses it, until the next Put: a caller that read an
// outdated version before the Remove may put it after, where it is of no use to anybody, and takes room until it is
// evicted.
func (c *Cache) Remove(id ID) bool {
	if c == nil {
		return false
	}
	h := id.hash()
	s := c.shard(h)
	return s.remove(id, h) != nil || s.forget(h)
}

// Move gives the record with the id from, if the cache holds it, the id to: the record is in another place from now on.
// It stays in its queue, as the newest there, and its uses count. In between, Get misses it.
func (c *Cache) Move(from, to ID) {
	if c == nil {
		return
	}
	h := from.hash()
	s := c.shard(h)
	if s.table.Load().find(from, h) == nil {
		return
	}
	if e := s.remove(from, h); e != nil {
		r := e.record()
		moved := newEntry(to, &r)
		moved.inMain = e.inMain
		moved.uses.Store(e.uses.Load())
		h = to.hash()
		c.shard(h).add(moved, h)
	}
}

func (c *Cache) shard(h uint64) *shard {
	return &c.shards[h>>c.shift]
}

// hash spreads ids, which are small and regular numbers, over 64 bits, by the finalizer of MurmurHash3. The uppermost
// bits choose the shard, the lowest ones the bucket and the place in the ghost queue, and some between are the
// tag and the fingerprint there.
func (id ID) hash() uint64 {
	h := id.Segment*0x9e3779b97f4a7c15 + id.Place
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
