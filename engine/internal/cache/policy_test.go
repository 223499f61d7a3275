package cache

import (
	"container/list"
	"math/rand/v2"
	"testing"
)

// lru is the yardstick: least recently used or, if touch is false, first in first out, with the sizes of Cache.
type lru struct {
	limit, used int64
	touch       bool
	order       *list.List // of ID, the next victim last
	records     map[ID]*list.Element
	size        int64 // of every record
}

func newLRU(limit, size int64, touch bool) *lru {
	return &lru{limit: limit, touch: touch, order: list.New(), records: map[ID]*list.Element{}, size: size}
}

// access looks an id up, adds it if it is absent, and reports whether it was there.
func (l *lru) access(id ID) bool {
	if e, ok := l.records[id]; ok {
		if l.touch {
			l.order.MoveToFront(e)
		}
		return true
	}
	for l.used += l.size; l.used > l.limit; l.used -= l.size {
		delete(l.records, l.order.Remove(l.order.Back()).(ID))
	}
	l.records[id] = l.order.PushFront(id)
	return false
}

// cacheAccess does the same to a Cache, if that admits the record.
func cacheAccess(c *Cache, valueSize int) func(ID) bool {
	return func(id ID) bool {
		_, ok := c.Get(id)
		if !ok {
			if r := recordOf(id, valueSize); c.Admits(id, r.payload()) {
				c.Put(id, r)
			}
		}
		return ok
	}
}

// openAccess does not ask whether the record is admitted: S3-FIFO without a doorkeeper.
func openAccess(c *Cache, valueSize int) func(ID) bool {
	return func(id ID) bool {
		_, ok := c.Get(id)
		if !ok {
			c.Put(id, recordOf(id, valueSize))
		}
		return ok
	}
}

const (
	policyBudget    = 1 << 20
	policyValueSize = 100
)

// policies returns an access function of the cache and of each yardstick, with the same budget.
func policies() map[string]func(ID) bool {
	size := sizeOf(recordOf(ID{}, policyValueSize).payload())
	return map[string]func(ID) bool{
		"S3-FIFO": cacheAccess(New(policyBudget), policyValueSize),
		"open":    openAccess(New(policyBudget), policyValueSize),
		"LRU":     newLRU(policyBudget, size, true).access,
		"FIFO":    newLRU(policyBudget, size, false).access,
	}
}

func logRates(t *testing.T, rates map[string]float64) {
	t.Helper()
	t.Logf("hit rates: S3-FIFO %.3f, without doorkeeper %.3f, LRU %.3f, FIFO %.3f",
		rates["S3-FIFO"], rates["open"], rates["LRU"], rates["FIFO"])
}

// TestScanResistance uses a hot set of half the cache's size while a scan of fifty times its size goes by, with nine
// records of the scan to one of the hot set.
func TestScanResistance(t *testing.T) {
	seed := newRand(t).Uint64()
	fits := policyBudget / int(sizeOf(recordOf(ID{}, policyValueSize).payload()))
	hot := fits / 2
	rates := map[string]float64{}
	for name, access := range policies() {
		r := rand.New(rand.NewPCG(seed, 0))
		for range 20 * hot {
			access(place(r.IntN(hot)))
		}
		hits, uses := 0, 0
		for i := range 50 * fits {
			access(place(hot + i))
			if i%9 == 0 {
				uses++
				if access(place(r.IntN(hot))) {
					hits++
				}
			}
		}
		rates[name] = float64(hits) / float64(uses)
	}
	logRates(t, rates)
	if rates["S3-FIFO"] < 0.95 || rates["LRU"] > 0.4 || rates["FIFO"] > 0.4 {
		t.Error("want more than 0.95 for the cache, and less than 0.4 for what does not resist scans")
	}
}

// TestZipf draws from 20 times as many records as the cache holds.
func TestZipf(t *testing.T) {
	seed := newRand(t).Uint64()
	fits := policyBudget / int(sizeOf(recordOf(ID{}, policyValueSize).payload()))
	z := newZipf(20*fits, 0.99)
	rates := map[string]float64{}
	for name, access := range policies() {
		r := rand.New(rand.NewPCG(seed, 0))
		const warm, draws = 100_000, 300_000
		hits := 0
		for i := range warm + draws {
			// Multiplying by an odd number scatters the popular ids, which would be neighbours otherwise.
			if access(place(z.draw(r)*7919)) && i >= warm {
				hits++
			}
		}
		rates[name] = float64(hits) / draws
	}
	logRates(t, rates)
	if rates["S3-FIFO"] < rates["LRU"]+0.02 {
		t.Error("the cache is not better than LRU by 0.02")
	}
}

// TestShiftingHotSet moves on to another hot set: the cache must let go of the old one.
func TestShiftingHotSet(t *testing.T) {
	r := newRand(t)
	fits := policyBudget / int(sizeOf(recordOf(ID{}, policyValueSize).payload()))
	hot := fits / 2
	access := cacheAccess(New(policyBudget), policyValueSize)
	for phase := range 5 {
		hits, last := 0, 5*hot
		for i := range 20 * hot {
			if access(place(phase*hot+r.IntN(hot))) && i >= 15*hot {
				hits++
			}
		}
		if rate := float64(hits) / float64(last); rate < 0.97 {
			t.Errorf("hot set %d: hit rate %.3f in the end", phase, rate)
		}
	}
}

// TestDoorkeeperCostsNoHits compares the cache with one that admits every record at first sight.
func TestDoorkeeperCostsNoHits(t *testing.T) {
	seed := newRand(t).Uint64()
	const budget = policyBudget / 4
	fits := budget / int(sizeOf(recordOf(ID{}, policyValueSize).payload()))
	z := newZipf(20*fits, 0.99)
	scanned := func(i int) ID { return ID{Segment: 1 << 40, Place: uint64(i)} }
	loop := func(percent int) func(*rand.Rand, int) ID {
		return func(_ *rand.Rand, i int) ID { return place(i % (fits * percent / 100)) }
	}
	draws := 60 * fits
	workloads := []struct {
		name string
		next func(r *rand.Rand, i int) ID
	}{
		{"Zipf", func(r *rand.Rand, _ int) ID { return place(z.draw(r) * 7919) }},
		{"Zipf and scans", func(r *rand.Rand, i int) ID {
			if i%(10*fits) < 3*fits {
				return scanned(i)
			}
			return place(z.draw(r) * 7919)
		}},
		{"Zipf amid a scan", func(r *rand.Rand, i int) ID {
			if i%2 == 0 {
				return scanned(i)
			}
			return place(z.draw(r) * 7919)
		}},
		{"shifting Zipf", func(r *rand.Rand, i int) ID { return place(z.draw(r)*7919 + i/(20*fits)) }},
		{"loop of 110 %", loop(110)},
		{"loop of 120 %", loop(120)},
		{"loop of 150 %", loop(150)},
		{"loop of 200 %", loop(200)},
		{"uniform in 200 %", func(r *rand.Rand, _ int) ID { return place(r.IntN(2 * fits)) }},
		{"uniform in 2000 %", func(r *rand.Rand, _ int) ID { return place(r.IntN(20 * fits)) }},
		{"shifting hot set of 50 %", func(r *rand.Rand, i int) ID { return place(i/(2*fits)*fits + r.IntN(fits/2)) }},
		{"shifting hot set of 90 %", func(r *rand.Rand, i int) ID { return place(i/(10*fits)*fits + r.IntN(fits*9/10)) }},
		{"sliding hot set", func(r *rand.Rand, i int) ID { return place(i/8 + int(r.ExpFloat64()*float64(fits)/4)) }},
		{"latest", func(r *rand.Rand, i int) ID { return place(max(0, i/20-z.draw(r))) }},
		{"each twice", func(r *rand.Rand, i int) ID {
			if i%2 == 0 {
				return place(i / 2)
			}
			return place(max(0, i/2-r.IntN(100)))
		}},
	}
	for _, w := range workloads {
		// A uniform load comes first, so that the doorkeeper is at work when the other starts.
		rate := func(access func(ID) bool) float64 {
			r := rand.New(rand.NewPCG(seed, 0))
			for range 20 * fits {
				access(ID{Segment: 1 << 41, Place: r.Uint64N(uint64(20 * fits))})
			}
			hits := 0
			for i := range draws {
				if access(w.next(r, i)) {
					hits++
				}
			}
			return float64(hits) / float64(draws)
		}
		guarded := rate(cacheAccess(New(budget), policyValueSize))
		open := rate(openAccess(New(budget), policyValueSize))
		t.Logf("%s: hit rate %.3f, %.3f without doorkeeper", w.name, guarded, open)
		if guarded < open-0.05 {
			t.Errorf("%s: hit rate %.3f, %.3f without doorkeeper", w.name, guarded, open)
		}
	}
}

// TestGhostBringsBack lets a scan drive out a record that was used once, and puts it again: it then survives a scan.
func TestGhostBringsBack(t *testing.T) {
	c := New(policyBudget)
	access := cacheAccess(c, policyValueSize)
	// These go to the main queue, as the ghost queue remembers no more records than that has.
	for range 3 {
		for i := range 3000 {
			access(place(i))
		}
	}
	scanned := 10_000
	scan := func() {
		for range 2000 {
			access(place(scanned))
			scanned++
		}
	}
	holds := func(id ID) bool { return c.shards[0].table.Load().find(id, id.hash()) != nil }
	scan()
	returning := ID{Segment: 1 << 40}
	for _, want := range []bool{false, true} {
		access(returning)
		scan()
		if got := holds(returning); got != want {
			t.Errorf("after a scan the cache holds the record: %v, want %v", got, want)
		}
	}
}

// ghostHash returns hashes that fall into the buckets of a ghost queue in turn, with different fingerprints.
func ghostHash(i uint32) uint64 { return uint64(i)<<44 | uint64(i) }

// TestGhostIsBounded adds many entries that fall into the buckets in turn: the last ones remain.
func TestGhostIsBounded(t *testing.T) {
	const size, added = 1024, 10_000
	g := newGhost(size)
	for i := range uint32(added) {
		g.add(ghostHash(i), i%3 == 0)
	}
	for i := range uint32(added) {
		want := i >= added-size
		if found, dropped := g.take(ghostHash(i)); found != want || dropped != (want && i%3 == 0) {
			t.Errorf("%d after %d others: found %v, dropped %v", i, added-1-i, found, dropped)
		}
		if found, _ := g.take(ghostHash(i)); found {
			t.Errorf("%d is remembered after it was taken", i)
		}
	}
	if len(g.slots) != size {
		t.Errorf("%d slots, want %d", len(g.slots), size)
	}
}

// TestGhostWrapsAround adds entries around the points where the ages and the counter of additions start over.
func TestGhostWrapsAround(t *testing.T) {
	for _, start := range []uint32{1<<15 - 25, 1<<32 - 25} {
		g := newGhost(ghostBucket)
		g.now.Store(start)
		for i := range uint32(50) {
			g.add(ghostHash(i+1), i%2 == 0)
			for j := range i + 1 {
				at, slot := g.find(ghostHash(j + 1))
				if want := i-j < ghostBucket; (at != nil) != want || want && g.age(slot) != int(i-j) {
					t.Fatalf("entry %d after %d: found %v, age %d", j, i, at != nil, g.age(slot))
				}
			}
		}
	}
}

// TestPutVisitsFewRecords fills the main queue with records of maximal use: a Put must not go round all of them.
func TestPutVisitsFewRecords(t *testing.T) {
	c := New(policyBudget)
	for i := range 3000 {
		c.Put(place(i), recordOf(place(i), policyValueSize))
		for range maxUses {
			c.Get(place(i))
		}
	}
	s := &c.shards[0]
	for s.small.records > 0 {
		s.shrinkSmall()
	}
	for e := s.main.oldest; e != nil; e = e.newer {
		e.uses.Store(maxUses)
	}
	s.shrinkMain()
	visited := 0
	for e := s.main.newest; e != nil && e.uses.Load() < maxUses; e = e.older {
		visited++
	}
	if visited != maxRounds {
		t.Errorf("%d records were visited to evict one, want %d", visited, maxRounds)
	}
}
