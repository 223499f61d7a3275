package cache

import (
	"math/bits"
	"sync/atomic"
)

// ghost remembers by parts of their hashes which records were seen lately but are not in the cache: those that the
// small queue dropped, and those that Admits refused. It is a table of buckets of one cache line each, in which a new
// entry replaces the oldest, so it takes fixed memory and holds no pointers. That is a queue nearly: a crowded bucket
// forgets early. A record is taken for another of the same bucket and fingerprint, one of 4096 that were not seen, which
// only lets it enter a queue early.
//
// Any number of goroutines may use it at once. Of entries that are added to one bucket at the same moment, some may be
// lost.
type ghost struct {
	slots []ghostSlot   // their number is a power of two, a multiple of ghostBucket
	shift uint          // ages are counted in units of 1<<shift additions
	now   atomic.Uint32 // number of additions, wrapping around
}

// ghostSlot holds a fingerprint in the upper half, then a bit that says whether the small queue dropped the record, and
// in the lowest 15 bits ghost.now in units. Those wrap around after 128 times as many additions as there are slots, when
// the slot has long been used again. 0 is empty.
type ghostSlot struct{ atomic.Uint32 }

const (
	ghostBucket = 16 // slots of 4 bytes in a cache line of 64

	ghostDropped = 1 << 15
	ghostAges    = 1<<15 - 1
)

func newGhost(slots int) *ghost {
	return &ghost{slots: make([]ghostSlot, slots), shift: uint(bits.Len(uint(slots / 512)))}
}

// bucket returns the slots for a hash. It takes the lowest bits of it, which do not choose the shard.
func (g *ghost) bucket(h uint64) []ghostSlot {
	mask := uint64(len(g.slots)/ghostBucket - 1)
	start := int(h&mask) * ghostBucket
	return g.slots[start : start+ghostBucket]
}

// fingerprint returns what a slot keeps of a hash: 16 bits that choose neither shard nor bucket.
func fingerprint(h uint64) uint32 {
	return uint32(h >> 44 & 0xffff)
}

// add remembers the record of a hash, and whether the small queue dropped it.
func (g *ghost) add(h uint64, dropped bool) {
	now := g.now.Add(1) >> g.shift
	bucket := g.bucket(h)
	oldest, most := 0, uint32(0)
	for i := range bucket {
		slot := bucket[i].Load()
		if slot == 0 {
			oldest = i
			break
		}
		if age := (now - slot) & ghostAges; age > most {
			oldest, most = i, age
		}
	}
	slot := fingerprint(h)<<16 | now&ghostAges
	if dropped {
		slot |= ghostDropped
	}
	bucket[oldest].Store(slot)
}

// find returns the slot of a hash and what is in it, or nil.
func (g *ghost) find(h uint64) (*ghostSlot, uint32) {
	bucket, f := g.bucket(h), fingerprint(h)
	for i := range bucket {
		if slot := bucket[i].Load(); slot>>16 == f && slot != 0 {
			return &bucket[i], slot
		}
	}
	return nil, 0
}

// age returns how many additions there were since that of the content of a slot, to within a unit.
func (g *ghost) age(slot uint32) int {
	return int((g.now.Load()>>g.shift-slot)&ghostAges) << g.shift
}

// take reports whether the record of a hash is remembered, and whether the small queue dropped it, and forgets it.
func (g *ghost) take(h uint64) (found, dropped bool) {
	at, slot := g.find(h)
	// Another entry may have replaced it by now.
	if at == nil || !at.CompareAndSwap(slot, 0) {
		return false, false
	}
	return true, slot&ghostDropped != 0
}
