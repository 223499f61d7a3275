package fuse

import (
	"fmt"
	"math"
	"slices"
)

// maxHashes keeps the number of slots, at most 1.125 a hash here, well below 2^32.
const maxHashes = 1 << 30

// maxAttempts bounds the seeds that Build tries. A seed fails for up to 20 % of random sets (the worst size found is
// 1,920; most are below 6 %; see TestAttempts), so all of these fail once in 10^44 sets.
const maxAttempts = 64

// widenAfter is after how many seeds the filter gets a segment more: so a size for which the shape is too small costs
// time and some space, but not the filter.
const widenAfter = 8

// Build returns a filter of the given hashes, at most 2^30. Duplicates are allowed. Build may reorder hashes, and does
// not keep it.
//
// The result depends on the set of hashes only, not on their order or on duplicates. Besides the filter Build
// allocates about 24 bytes a hash, which are garbage when it returns. Duplicates cost a sort.
//
// Build fails if there are too many hashes, or if none of 64 seeds yields a filter. For hashes that do not depend on
// these seeds the latter does not happen in practice: a seed fails with a probability of 1 to 20 %, depending on their
// number.
func Build(hashes []uint64) (*Filter, error) {
	if len(hashes) > maxHashes {
		return nil, fmt.Errorf("fuse: %d hashes, a filter takes at most %d", len(hashes), maxHashes)
	}
	if len(hashes) == 0 {
		return &Filter{}, nil
	}
	b := newBuilder(len(hashes))
	for attempt := range maxAttempts {
		if attempt > 0 && attempt%widenAfter == 0 {
			b = b.wider(len(hashes))
		}
		if b.peel(hashes, seed(attempt)) {
			return b.filter(seed(attempt)), nil
		}
		if attempt > 0 {
			continue
		}
		// Equal hashes share all their slots, so no seed can separate them. Looking for them only now spares
		// everybody who has none the sort. The attempt is repeated without them, for the set alone to decide.
		if n := moveDuplicates(hashes); n < len(hashes) {
			return Build(hashes[:n])
		}
	}
	return nil, fmt.Errorf("fuse: no filter of %d hashes found with %d seeds", len(hashes), maxAttempts)
}

// seed returns the seed of an attempt. mix spreads them, so that hashes in arithmetic progression do not meet again
// under another seed.
func seed(attempt int) uint64 {
	return mix(uint64(attempt) + 1)
}

// moveDuplicates sorts hashes, and moves one of each value to the front. It returns how many values there are.
func moveDuplicates(hashes []uint64) int {
	slices.Sort(hashes)
	n := 1
	for i := 1; i < len(hashes); i++ {
		if hashes[i] != hashes[n-1] {
			hashes[n], hashes[i] = hashes[i], hashes[n]
			n++
		}
	}
	return n
}

// shapeFor returns the shape of a filter of n > 0 hashes. The constants are those of the paper for three slots a hash,
// found there by experiment: segments of 2^⌊log(n)/log(3.33) + 2.25⌋ slots, and n · (0.875 + 0.25 · max(1, log 10^6 /
// log n)) slots in all, here rounded up to whole segments.
//
// That is too few where segments have just become longer: with s segments to start in, of L slots, hardly any seed
// succeeds for more than some (0.88 s + 0.57) · L hashes (measured at s = 7, 12 and 20). So there is a segment more if n
// is above (0.86 s + 0.4) · L. With more segments than that, the paper's number leaves enough room.
func shapeFor(n int) shape {
	log := uint8(2)
	// 3.33^0.75 is where the formula steps from 2 to 3. Multiplying gives the same steps on every processor.
	for step := 2.4650922; float64(n) >= step && log < maxLog; step *= 3.33 {
		log++
	}
	slots := 0.0
	if n > 1 {
		slots = float64(n) * (0.875 + 0.25*max(1, math.Log(1e6)/math.Log(float64(n))))
	}
	length := float64(uint64(1) << log)
	starts := max(1, math.Ceil(slots/length)-2)
	for n > 100 && starts < 32 && float64(n) > (0.86*starts+0.4)*length {
		starts++
	}
	return shape{starts: uint32(starts), log: log}
}

// builder holds the working memory of a build, about 24 bytes a hash, to be used for every attempt.
type builder struct {
	shape shape

	// order holds the mixed hashes sorted by their first segment, then in the order of their removal; once slots are
	// filled its old content is not needed. own says which of its three slots (0 to 2) each removed hash has to itself.
	order []uint64
	own   []uint8

	// Per slot: the number of hashes that have it among their three, times 4, plus the xor of which of their slots it
	// is; and the xor of these hashes. If there is only one, that is all about it.
	counts []uint8
	xors   []uint64

	// queue holds slots that belonged to a single hash when they were queued, each at most once.
	queue []uint32
}

const (
	oneHash = 4 // a hash in builder.counts
	ownMask = 3
)

func newBuilder(n int) *builder { return builderOf(shapeFor(n), n) }

// wider returns a builder of a filter with a segment more.
func (b *builder) wider(n int) *builder {
	s := b.shape
	s.starts++
	return builderOf(s, n)
}

func builderOf(s shape, n int) *builder {
	return &builder{
		shape:  s,
		order:  make([]uint64, n),
		own:    make([]uint8, n),
		counts: make([]uint8, s.slots()),
		xors:   make([]uint64, s.slots()),
		queue:  make([]uint32, 0, s.slots()),
	}
}

// peel removes hash after hash that has a slot to itself, and reports whether none was left over. Filling these slots
// in the opposite order then satisfies every hash, as no hash filled later has the slot.
func (b *builder) peel(hashes []uint64, seed uint64) bool {
	b.sort(hashes, seed)
	if !b.fillSlots() {
		return false
	}
	b.queue = b.queue[:0]
	for slot, count := range b.counts {
		if count&^ownMask == oneHash {
			b.queue = append(b.queue, uint32(slot))
		}
	}
	removed := 0
	for len(b.queue) > 0 {
		slot := b.queue[len(b.queue)-1]
		b.queue = b.queue[:len(b.queue)-1]
		if b.counts[slot]&^ownMask != oneHash {
			continue // its hash was removed through another slot
		}
		m, own := b.xors[slot], b.counts[slot]&ownMask
		b.order[removed], b.own[removed] = m, own
		removed++
		b.remove(m)
	}
	return removed == len(b.order)
}

// sort puts the mixed hashes into order, by first segment: filling and peeling then work on a few segments at a time,
// which the processor's cache holds, whatever the size of the filter.
func (b *builder) sort(hashes []uint64, seed uint64) {
	next := make([]uint32, b.shape.starts+1)
	for _, x := range hashes {
		next[b.shape.first(mix(x+seed))>>b.shape.log+1]++
	}
	for i := 1; i < len(next); i++ {
		next[i] += next[i-1]
	}
	for _, x := range hashes {
		m := mix(x + seed)
		segment := b.shape.first(m) >> b.shape.log
		b.order[next[segment]] = m
		next[segment]++
	}
}

// fillSlots enters every hash of order into its three slots. It reports false if a count overflows, at 64 hashes: some
// are equal then, or the seed is unusable, as the average is below 3.
func (b *builder) fillSlots() bool {
	clear(b.counts)
	clear(b.xors)
	overflow := false
	for _, m := range b.order {
		p0, p1, p2 := b.shape.places(m)
		b.counts[p0] += oneHash
		b.counts[p1] = (b.counts[p1] + oneHash) ^ 1
		b.counts[p2] = (b.counts[p2] + oneHash) ^ 2
		b.xors[p0] ^= m
		b.xors[p1] ^= m
		b.xors[p2] ^= m
		overflow = overflow || b.counts[p0] < oneHash || b.counts[p1] < oneHash || b.counts[p2] < oneHash
	}
	return !overflow
}

// remove takes a hash out of its three slots, and queues those of them that it leaves to a single other hash.
func (b *builder) remove(m uint64) {
	p0, p1, p2 := b.shape.places(m)
	for own, slot := range [...]uint32{p0, p1, p2} {
		b.counts[slot] = (b.counts[slot] - oneHash) ^ uint8(own)
		b.xors[slot] ^= m
		if b.counts[slot]&^ownMask == oneHash {
			b.queue = append(b.queue, slot)
		}
	}
}

// filter returns the filter after peel has succeeded with seed.
func (b *builder) filter(seed uint64) *Filter {
	f := &Filter{seed: seed, shape: b.shape, fingerprints: make([]byte, b.shape.slots())}
	for i := len(b.order) - 1; i >= 0; i-- {
		m := b.order[i]
		p0, p1, p2 := b.shape.places(m)
		own := [...]uint32{p0, p1, p2}[b.own[i]]
		// The slot is still zero: every hash has another one.
		f.fingerprints[own] = fingerprint(m) ^ f.fingerprints[p0] ^ f.fingerprints[p1] ^ f.fingerprints[p2]
	}
	return f
}
