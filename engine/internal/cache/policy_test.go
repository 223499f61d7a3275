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

// cacheAccess does the same to a Cache.
func cacheAccess(c *Cache, valueSize int) func(ID) bool {
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
	size := recordOf(ID{}, policyValueSize).size()
	return map[string]func(ID) bool{
		"S3-FIFO": cacheAccess(New(policyBudget), policyValueSize),
		"LRU":     newLRU(policyBudget, size, true).access,
		"FIFO":    newLRU(policyBudget, size, false).access,
	}
}

func logRates(t *testing.T, rates map[string]float64) {
	t.Helper()
	t.Logf("hit rates: S3-FIFO %.3f, LRU %.3f, FIFO %.3f", rates["S3-FIFO"], rates["LRU"], rates["FIFO"])
}

// TestScanResistance uses a hot set of half the cache's size while a scan of fifty times its size goes by, with nine
// records of the scan to one of the hot set.
func TestScanResistance(t *testing.T) {
	seed := newRand(t).Uint64()
	fits := policyBudget / int(recordOf(ID{}, policyValueSize).size())
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
	fits := policyBudget / int(recordOf(ID{}, policyValueSize).size())
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
	fits := policyBudget / int(recordOf(ID{}, policyValueSize).size())
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

func TestGhostIsBounded(t *testing.T) {
	const size = 64
	g := newGhost(size)
	for i := range uint32(10_000) {
		g.add(i * 0x9e3779b1)
	}
	remembered := 0
	for i := range uint32(10_000) {
		if g.take(i*0x9e3779b1, size) {
			remembered++
			if i < 10_000-size {
				t.Errorf("%d is remembered after %d others", i, 10_000-i)
			}
			if g.take(i*0x9e3779b1, size) {
				t.Errorf("%d is remembered after it was taken", i)
			}
		}
	}
	if remembered < size/2 || len(g.slots) != size {
		t.Errorf("%d of the last %d are remembered in %d slots", remembered, size, len(g.slots))
	}
}

// TestGhostWrapsAround adds entries around the point where the counter of additions starts over.
func TestGhostWrapsAround(t *testing.T) {
	g := newGhost(64)
	g.now = 1<<32 - 5
	for i := range uint32(10) {
		g.add(1000 + i)
	}
	for i := range uint32(10) {
		if want := i >= 4; g.take(1000+i, 6) != want {
			t.Errorf("take of entry %d of 10 with the last 6 valid: want %v", i, want)
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
