package cache

// ghost remembers which records the small queue dropped lately, by 32 bits of their hash. It is a table of buckets of
// one cache line each, in which a new entry replaces the oldest, so it takes fixed memory and holds no pointers. That
// is a queue nearly: a crowded bucket forgets a little early. Two records of the same 32 bits are taken for one, which
// only lets a record enter the main queue that should have proved itself first.
type ghost struct {
	slots []ghostSlot // their number is a power of two, a multiple of ghostBucket
	now   uint32      // number of additions, wrapping around
}

type ghostSlot struct {
	fingerprint uint32
	added       uint32 // value of ghost.now
}

const ghostBucket = 8 // slots of 8 bytes in a cache line of 64

func newGhost(slots int) ghost {
	return ghost{slots: make([]ghostSlot, slots)}
}

func (g *ghost) bucket(fingerprint uint32) []ghostSlot {
	mask := uint32(len(g.slots)/ghostBucket - 1)
	start := int(fingerprint&mask) * ghostBucket
	return g.slots[start : start+ghostBucket]
}

// add remembers a fingerprint.
func (g *ghost) add(fingerprint uint32) {
	g.now++
	bucket := g.bucket(fingerprint)
	oldest := 0
	for i := range bucket {
		if g.now-bucket[i].added > g.now-bucket[oldest].added {
			oldest = i
		}
	}
	bucket[oldest] = ghostSlot{fingerprint: fingerprint, added: g.now}
}

// take reports whether a fingerprint is among the last so many that were added, and forgets it.
func (g *ghost) take(fingerprint uint32, last int) bool {
	bucket := g.bucket(fingerprint)
	for i := range bucket {
		if bucket[i].fingerprint == fingerprint && int64(g.now-bucket[i].added) < int64(last) {
			bucket[i] = ghostSlot{}
			return true
		}
	}
	return false
}
