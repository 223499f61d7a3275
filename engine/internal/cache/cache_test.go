package cache

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"unsafe"
)

func TestNilCache(t *testing.T) {
	for _, budget := range []int64{-1, 0, 1, minBudget - 1} {
		c := New(budget)
		if c != nil {
			t.Fatalf("New(%d) is not nil", budget)
		}
		c.Put(place(1), recordOf(place(1), 16))
		if _, ok := c.Get(place(1)); ok {
			t.Error("a nil cache holds a record")
		}
		c.Remove(place(1))
		if c.Admits(place(1), 16) {
			t.Error("a nil cache admits a record")
		}
		if c.Bytes() != 0 || c.Stats() != (Stats{}) {
			t.Errorf("a nil cache has %+v", c.Stats())
		}
	}
}

func TestPutGetRemove(t *testing.T) {
	c := New(1 << 20)
	id, other := ID{Segment: 7, Place: 8}, ID{Segment: 8, Place: 7}
	first := recordOf(id, 100)
	c.Put(id, first)
	c.Put(id, recordOf(other, 100))
	if r, ok := c.Get(id); !ok || !r.names(id) || string(r.Key) != "key" || !bytes.Equal(r.Value, first.Value) || &r.Value[0] == &first.Value[0] {
		t.Errorf("Get gave %v, %v", r, ok)
	}
	if _, ok := c.Get(other); ok {
		t.Error("Get found what was not put")
	}
	c.Remove(other)
	c.Remove(id)
	if _, ok := c.Get(id); ok {
		t.Error("Get found what was removed")
	}
	want := Stats{Hits: 1, Misses: 2, Bytes: minBuckets * bucketBytes}
	if got := c.Stats(); got != want {
		t.Errorf("Stats are %+v, want %+v", got, want)
	}
	c.Put(id, first)
	if _, ok := c.Get(id); !ok {
		t.Error("Get missed what was put again")
	}
}

func TestLargeRecordsAreRejected(t *testing.T) {
	for _, budget := range []int64{minBudget, 1 << 20, 3 << 20, 64 << 20} {
		c := New(budget)
		limit := int(budget) / len(c.shards) / maxRecordShare
		fits := 16
		for sizeOf(recordOf(place(1), fits+1).payload()) <= int64(limit) {
			fits++
		}
		c.Put(place(1), recordOf(place(1), fits+1))
		if _, ok := c.Get(place(1)); ok {
			t.Errorf("budget %d: a record of more than %d bytes was admitted", budget, limit)
		}
		c.Put(place(1), recordOf(place(1), fits))
		if _, ok := c.Get(place(1)); !ok {
			t.Errorf("budget %d: a record of %d bytes was not admitted", budget, limit)
		}
		if s := c.Stats(); s.Rejected != 1 {
			t.Errorf("budget %d: %d records rejected, want 1", budget, s.Rejected)
		}
	}
}

// TestModel runs random operations against a map of what may be in the cache, and recounts everything now and then.
func TestModel(t *testing.T) {
	r := newRand(t)
	for _, budget := range []int64{minBudget, 20_000, 300_000, 1<<21 + 17, 5 << 20} {
		c := New(budget)
		model := map[ID]*Record{}
		maxValue := 64
		for step := range 60_000 {
			if step%5000 == 0 {
				maxValue = 16 << r.IntN(14)
				requireSound(t, c)
			}
			id := place(r.IntN(int(budget) / 200))
			switch p := r.IntN(100); {
			case p < 50:
				record, ok := c.Get(id)
				if want := model[id]; ok && (want == nil || !bytes.Equal(record.Value, want.Value) || !record.names(id)) {
					t.Fatalf("budget %d: Get(%v) gave %v, want %v", budget, id, record, want)
				}
			case p < 90:
				if _, ok := c.Get(id); !ok {
					model[id] = recordOf(id, r.IntN(maxValue))
				}
				c.Put(id, model[id])
			default:
				c.Remove(id)
				delete(model, id)
			}
			if used := c.Bytes(); used > budget {
				t.Fatalf("budget %d: %d bytes in use", budget, used)
			}
		}
		requireSound(t, c)
		for id := range maps.Keys(model) {
			c.Remove(id)
		}
		if n := c.Stats().Records; n != 0 {
			t.Errorf("budget %d: %d records are left after all were removed", budget, n)
		}
		requireSound(t, c)
	}
}

// requireSound recounts queues, table and sizes of a cache that nobody else uses.
func requireSound(t *testing.T, c *Cache) {
	t.Helper()
	for i := range c.shards {
		s := &c.shards[i]
		table := s.table.Load()
		used := int64(len(table.buckets)) * bucketBytes
		for _, q := range []*queue{&s.small, &s.main} {
			records, bytes := 0, int64(0)
			for e := q.oldest; e != nil; e = e.newer {
				records++
				bytes += e.size()
				if h := e.id.hash(); c.shard(h) != s || table.find(e.id, h) != e || s.queueOf(e) != q {
					t.Fatalf("shard %d: entry %v is in a queue but not where it belongs", i, e.id)
				}
				if e.newer == nil != (e == q.newest) || e.newer != nil && e.newer.older != e {
					t.Fatalf("shard %d: links of entry %v are wrong", i, e.id)
				}
			}
			if records != q.records || bytes != q.bytes {
				t.Fatalf("shard %d: queue of %d records, %d bytes counts %d and %d", i, records, bytes, q.records, q.bytes)
			}
			used += bytes
		}
		placed := 0
		for j := range table.buckets {
			for b := &table.buckets[j]; b != nil; b = b.more.Load() {
				for k := range b.entries {
					if b.entries[k].Load() != nil {
						placed++
					}
				}
			}
		}
		if placed != s.records() || used != s.used.Load() || used > s.limit || len(s.ghost.Load().slots) != ghostSlots*len(table.buckets) {
			t.Fatalf("shard %d: %d of %d records in the table, %d bytes counted as %d of %d, %d ghosts for %d buckets",
				i, placed, s.records(), used, s.used.Load(), s.limit, len(s.ghost.Load().slots), len(table.buckets))
		}
	}
}

func TestConcurrency(t *testing.T) {
	seeds := newRand(t)
	c := New(2 << 20)
	var wg sync.WaitGroup
	for range 4 {
		r := rand.New(rand.NewPCG(seeds.Uint64(), 0))
		wg.Go(func() {
			for range 40_000 {
				id := place(r.IntN(12_000))
				switch r.IntN(8) {
				case 0:
					c.Remove(id)
				case 1:
					c.Put(id, recordOf(id, r.IntN(600)))
				case 2:
					if record := recordOf(id, r.IntN(600)); c.Admits(id, record.payload()) {
						c.Put(id, record)
					}
				case 3:
					if used := c.Bytes(); used > 2<<20 {
						t.Errorf("%d bytes in use", used)
					}
				default:
					if record, ok := c.Get(id); ok && !record.names(id) {
						t.Errorf("Get(%v) gave %v", id, record)
					}
				}
			}
		})
	}
	wg.Wait()
	requireSound(t, c)
}

// TestPutsOfOneRecord has goroutines put the same records at once: each may be in the cache only once.
func TestPutsOfOneRecord(t *testing.T) {
	c := New(1 << 20)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				c.Put(place(i), recordOf(place(i), 16))
			}
		})
	}
	wg.Wait()
	requireSound(t, c)
	if n := c.Stats().Records; n != 1000 {
		t.Errorf("%d records, want 1000", n)
	}
}

// TestRemoveWhileGrowing removes records while another goroutine makes the table grow: none may be found afterwards.
func TestRemoveWhileGrowing(t *testing.T) {
	for range 30 {
		c := New(1 << 20)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 3000 {
				c.Put(place(i), recordOf(place(i), 16))
			}
		})
		wg.Go(func() {
			for i := range 3000 {
				id := ID{Segment: 1 << 40, Place: uint64(i)}
				c.Put(id, recordOf(id, 16))
				c.Remove(id)
				if _, ok := c.Get(id); ok {
					t.Errorf("%v is there after Remove", id)
				}
			}
		})
		wg.Wait()
		requireSound(t, c)
	}
}

// TestCrowdedBucket fills a bucket several times over, with entries of two tags, and empties it in another order.
func TestCrowdedBucket(t *testing.T) {
	const n = 4*bucketPlaces + 1
	table := newTable(minBuckets)
	hash := func(i int) uint64 { return uint64(i%2) << 36 }
	entries := make([]*entry, n)
	for i := range entries {
		entries[i] = newEntry(place(i), recordOf(place(i), 16))
		table.insert(entries[i], hash(i))
	}
	held := func() (buckets int) {
		t.Helper()
		for i, e := range entries {
			if got := table.find(place(i), hash(i)); got != e {
				t.Fatalf("entry %d is found as %v, want %v", i, got, e)
			}
			if table.find(place(n+i), hash(i)) != nil {
				t.Fatalf("entry %d is found under another id", i)
			}
		}
		for b := table.bucket(0); b != nil; b = b.more.Load() {
			buckets++
		}
		return buckets
	}
	if got, want := held(), (n+bucketPlaces-1)/bucketPlaces; got != want {
		t.Errorf("%d entries are in %d buckets, want %d", n, got, want)
	}
	before := held()
	for i := range entries {
		i = i * 7 % n
		table.remove(entries[i], hash(i))
		entries[i] = nil
		held()
	}
	for i := range entries {
		entries[i] = newEntry(place(i), recordOf(place(i), 16))
		table.insert(entries[i], hash(i))
	}
	if got := held(); got != before {
		t.Errorf("%d buckets after the places were used again, %d before", got, before)
	}
}

// TestGrowingHidesNothing reads records while others make the table grow: none is missed.
func TestGrowingHidesNothing(t *testing.T) {
	for range 10 {
		c := New(16 << 20)
		for i := range 8 {
			c.Put(place(i), recordOf(place(i), 16))
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 8; i < 20_000; i++ {
				c.Put(place(i), recordOf(place(i), 16))
			}
		})
		wg.Go(func() {
			for i := range 100_000 {
				if r, ok := c.Get(place(i % 8)); !ok || !r.names(place(i%8)) {
					t.Errorf("Get(%v) gave %v, %v", place(i%8), r, ok)
					return
				}
			}
		})
		wg.Wait()
	}
}

// TestEveryBlock puts payloads of all lengths for which there is a block, and some more, and reads them.
func TestEveryBlock(t *testing.T) {
	for n := range maxInline + 40 {
		key := min(n, 3)
		metadata := (n - key) / 3
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i*7 + n)
		}
		r := Record{Key: b[:key], Metadata: b[key : key+metadata], Value: b[key+metadata:], Expiration: int64(n)}
		e := newEntry(place(n), &r)
		got := e.record()
		if !bytes.Equal(got.Key, r.Key) || !bytes.Equal(got.Value, r.Value) || !bytes.Equal(got.Metadata, r.Metadata) ||
			got.Expiration != r.Expiration || e.id != place(n) {
			t.Fatalf("a payload of %d bytes is read as %+v", n, got)
		}
		if size := e.size(); size < int64(n+entryBytes) || n > 256 && n <= maxInline && size > int64(n+entryBytes)*5/4 {
			t.Errorf("a payload of %d bytes is charged with %d", n, size)
		}
	}
}

func TestHashSpreads(t *testing.T) {
	c := New(64 << 20)
	const n = 100_000
	shards, buckets := make([]int, len(c.shards)), make([]int, 1<<14)
	for i := range n {
		h := place(i).hash()
		shards[h>>c.shift]++
		buckets[h&(1<<14-1)]++
	}
	// Means are 6250 and 6.1; both bounds are six standard deviations away or more.
	if lo, hi := slices.Min(shards), slices.Max(shards); len(shards) != 16 || lo < 5770 || hi > 6730 {
		t.Errorf("%d shards hold %d to %d of %d ids", len(shards), lo, hi, n)
	}
	if hi := slices.Max(buckets); hi > 30 {
		t.Errorf("a bucket has %d of %d ids", hi, n)
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	c := New(1 << 20)
	c.Put(place(1), recordOf(place(1), 100))
	c.shards[0].worth.Store(0)
	i := 0
	if n := testing.AllocsPerRun(1000, func() { c.Admits(place(i), 1<<15); i++ }); n != 0 {
		t.Errorf("Admits allocates %v times", n)
	}
	if n := testing.AllocsPerRun(1000, func() { c.Get(place(1)) }); n != 0 {
		t.Errorf("a hit allocates %v times", n)
	}
	if n := testing.AllocsPerRun(1000, func() { c.Get(place(2)) }); n != 0 {
		t.Errorf("a miss allocates %v times", n)
	}
}

// TestSizeIsMeasured compares what records of several sizes are charged with to what the heap grows by.
func TestSizeIsMeasured(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size != entryBytes {
		t.Errorf("an entry takes %d bytes, not %d", size, entryBytes)
	}
	if size := unsafe.Sizeof(bucket{}); size != 64 {
		t.Errorf("a bucket takes %d bytes, not a cache line", size)
	}
	for _, maxValue := range []int{16, 256, 1 << 10, 4 << 10, 32 << 10} {
		records := min(20_000, 64<<20/maxValue)
		c := New(1 << 30)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		empty := c.Bytes()
		for i := range records {
			key, value, metadata := make([]byte, 8+i%57), make([]byte, i*7919%maxValue), make([]byte, i%61)
			c.Put(place(i), &Record{Key: key, Value: value, Metadata: metadata})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		measured := float64(after.HeapAlloc-before.HeapAlloc) / float64(records)
		charged := float64(c.Bytes()-empty) / float64(records)
		t.Logf("values up to %d bytes: %.1f bytes a record measured, %.1f charged", maxValue, measured, charged)
		if diff := measured - charged; diff > 12+0.01*measured || diff < -12-0.01*measured {
			t.Errorf("values up to %d bytes: a record takes %.1f bytes more than it is charged with", maxValue, diff)
		}
	}
}

// guardedCache returns a cache of one shard that is full of records nobody reads, so that the doorkeeper is at work.
func guardedCache(t *testing.T) *Cache {
	t.Helper()
	c := New(policyBudget)
	for i := range 10_000 {
		c.Put(ID{Segment: 1 << 50, Place: uint64(i)}, recordOf(place(i), policyValueSize))
	}
	if len(c.shards) != 1 || c.Stats().Evictions == 0 || !c.shards[0].guarded() {
		t.Fatalf("%d shards, %+v", len(c.shards), c.Stats())
	}
	return c
}

func TestSecondMissIsAdmitted(t *testing.T) {
	c := guardedCache(t)
	payload := recordOf(place(0), policyValueSize).payload()
	evictions := c.Stats().Evictions
	for _, want := range []bool{false, true} {
		for i := range 1000 {
			if _, ok := c.Get(place(i)); ok {
				t.Fatalf("Get found %v before it was put", place(i))
			}
			if got := c.Admits(place(i), payload); got != want {
				t.Errorf("record %d is admitted: %v, want %v", i, got, want)
			}
		}
		if got := c.Stats().Evictions; got != evictions {
			t.Errorf("Admits evicted %d records", got-evictions)
		}
		c.shards[0].worth.Store(0) // these come back early, and would make the doorkeeper stop
	}
	c.Put(place(0), recordOf(place(0), policyValueSize))
	if _, ok := c.Get(place(0)); !ok {
		t.Error("Get missed what was admitted and put")
	}
	requireSound(t, c)
}

func TestNothingIsRefusedWhileThereIsRoom(t *testing.T) {
	c := New(policyBudget)
	c.shards[0].worth.Store(0)
	r := recordOf(place(0), policyValueSize)
	fits := 0
	for c.Admits(place(fits), r.payload()) {
		c.Put(place(fits), recordOf(place(fits), policyValueSize))
		fits++
	}
	if s := c.Stats(); s.Evictions != 0 || s.Bytes+sizeOf(r.payload()) <= policyBudget {
		t.Errorf("record %d was refused, with %+v", fits, s)
	}
	c.Remove(place(1))
	if id := place(fits + 1); !c.Admits(id, r.payload()) {
		t.Error("a record was refused that has room since a Remove")
	}
	if id := place(fits + 1); c.Admits(id, 4*r.payload()) {
		t.Error("a record was admitted that has no room")
	}
}

func TestLargeRecordsAreNotAdmitted(t *testing.T) {
	c := New(policyBudget)
	if c.Admits(place(1), policyBudget/maxRecordShare) || !c.Admits(place(1), policyBudget/maxRecordShare/2) {
		t.Error("Admits does not know the limit on the size of records")
	}
	if s := c.Stats(); s.Rejected != 1 {
		t.Errorf("%d records rejected, want 1", s.Rejected)
	}
}

// TestRemoveTellsWhatWasWanted removes records that the cache holds, has refused, has dropped, and has never seen.
func TestRemoveTellsWhatWasWanted(t *testing.T) {
	c := guardedCache(t)
	c.Put(place(1), recordOf(place(1), policyValueSize))
	c.Admits(place(2), policyValueSize)
	dropped := ID{Segment: 1 << 50, Place: 5000}
	if at, _ := c.shards[0].ghost.Load().find(dropped.hash()); at == nil {
		t.Fatal("the ghost queue has forgotten what the small queue dropped")
	}
	for _, tt := range []struct {
		id   ID
		want bool
	}{{place(1), true}, {place(2), true}, {dropped, false}, {place(3), false}} {
		if got := c.Remove(tt.id); got != tt.want {
			t.Errorf("Remove(%v) is %v, want %v", tt.id, got, tt.want)
		}
		if c.Remove(tt.id) {
			t.Errorf("a second Remove(%v) is true", tt.id)
		}
	}
}

// TestMoveKeepsStanding moves records of both queues, also to another shard.
func TestMoveKeepsStanding(t *testing.T) {
	c := New(4 << 20)
	for i := range 200 {
		from, to := place(i), ID{Segment: 1 << 40, Place: uint64(i)}
		c.Put(from, recordOf(from, 100))
		h := from.hash()
		s := c.shard(h)
		e := s.table.Load().find(from, h)
		e.uses.Store(uint32(i % 3))
		if i%2 == 0 {
			s.small.remove(e)
			e.inMain = true
			s.main.push(e)
		}
		c.Move(from, to)
		c.Move(from, place(-1)) // which is not there any more
		if _, ok := c.Get(from); ok {
			t.Fatalf("record %d is where it was", i)
		}
		h = to.hash()
		moved := c.shard(h).table.Load().find(to, h)
		if moved == nil || !moved.record().names(from) || moved.inMain != (i%2 == 0) || moved.uses.Load() != uint32(i%3) {
			t.Fatalf("record %d has become %+v", i, moved)
		}
	}
	if n := c.Stats().Records; n != 200 {
		t.Errorf("%d records, want 200", n)
	}
	requireSound(t, c)
}
