package cache

import (
	"math/bits"
	"sync/atomic"
)

// table is a hash table of entries. Readers look into its buckets while one writer, the holder of the shard's lock,
// changes them. An entry stays in its place, so that a reader never misses one that is there all the time.
type table struct {
	buckets []bucket // their number is a power of two
}

// bucket is a cache line of places for entries, each with a tag, 8 bits of the hash. An entry is looked at only if its
// tag is right, as it is likely to be in memory that no cache of the processor has: that is one such access for a hit,
// and one in 80 times for a miss. With chains of entries, it was 1.4 and 0.7.
type bucket struct {
	tags    atomic.Uint64 // by place, a byte for each; those of free places mean nothing
	entries [bucketPlaces]atomic.Pointer[entry]
	more    atomic.Pointer[bucket] // where the entries are that found no place; nil if there were none yet
}

const (
	bucketPlaces = 6

	// bucketLoad is how many entries a bucket has at most on average. One in nine has more than 6 then.
	bucketLoad = 4

	everyPlace = 1 << (8 * bucketPlaces) / 0xff // a byte of 1 for each place
)

func newTable(buckets int) *table {
	return &table{buckets: make([]bucket, buckets)}
}

// bucket returns the bucket of a hash.
func (t *table) bucket(h uint64) *bucket {
	return &t.buckets[h&uint64(len(t.buckets)-1)]
}

// tag returns 8 bits of a hash that choose neither shard nor bucket.
func tag(h uint64) uint64 { return h >> 36 & 0xff }

// find returns the entry of an id with the given hash, or nil. It needs no lock.
func (t *table) find(id ID, h uint64) *entry {
	for b := t.bucket(h); b != nil; b = b.more.Load() {
		// A byte of x is 0 where the tag is right. Those become 0x80, the others 0, except for some above a right one.
		x := b.tags.Load() ^ tag(h)*everyPlace
		for right := (x - everyPlace) & ^x & (everyPlace << 7); right != 0; right &= right - 1 {
			if e := b.entries[bits.TrailingZeros64(right)/8].Load(); e != nil && e.id == id {
				return e
			}
		}
	}
	return nil
}

// insert puts an entry that the table does not have into a free place.
func (t *table) insert(e *entry, h uint64) {
	for b := t.bucket(h); ; b = b.next() {
		for i := range b.entries {
			if b.entries[i].Load() == nil {
				b.tags.Store(b.tags.Load()&^(0xff<<(8*i)) | tag(h)<<(8*i))
				b.entries[i].Store(e)
				return
			}
		}
	}
}

// next returns the bucket that goes on from b, and makes it if there is none.
func (b *bucket) next() *bucket {
	more := b.more.Load()
	if more == nil {
		more = new(bucket)
		b.more.Store(more)
	}
	return more
}

// remove takes an entry of the table out.
func (t *table) remove(e *entry, h uint64) {
	for b := t.bucket(h); ; b = b.more.Load() {
		for i := range b.entries {
			if b.entries[i].Load() == e {
				b.entries[i].Store(nil)
				return
			}
		}
	}
}

// copyTo puts every entry into another table, too. Readers find all in this one until they change over.
func (t *table) copyTo(other *table) {
	for i := range t.buckets {
		for b := &t.buckets[i]; b != nil; b = b.more.Load() {
			for j := range b.entries {
				if e := b.entries[j].Load(); e != nil {
					other.insert(e, e.id.hash())
				}
			}
		}
	}
}
