package cache

import (
	"math/rand/v2"
	"testing"
)

// benchIDs returns a full cache of 64 MiB and ids in random order, 64Ki of them: all in the cache, or none.
func benchIDs(b *testing.B, present bool) (*Cache, []ID) {
	const n = 1 << 16
	c, r := New(64<<20), rand.New(rand.NewPCG(1, 2))
	ids := make([]ID, n)
	for i, j := range r.Perm(n) {
		ids[i] = place(j)
		c.Put(place(j), recordOf(place(j), 128))
		if !present {
			ids[i] = place(n + j)
		}
	}
	if got := c.Stats().Records; got != n {
		b.Fatalf("%d of %d records fit", got, n)
	}
	return c, ids
}

func benchmarkGet(b *testing.B, present bool) {
	c, ids := benchIDs(b, present)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := c.Get(ids[i%len(ids)]); ok != present {
			b.Fatal("Get is wrong")
		}
		i++
	}
}

func BenchmarkHit(b *testing.B)  { benchmarkGet(b, true) }
func BenchmarkMiss(b *testing.B) { benchmarkGet(b, false) }

// BenchmarkHitHot uses 256 records only, which stay in the processor's cache.
func BenchmarkHitHot(b *testing.B) {
	c, ids := benchIDs(b, true)
	i := 0
	for b.Loop() {
		c.Get(ids[i%256])
		i++
	}
}

func benchmarkParallel(b *testing.B, ids int) {
	c, all := benchIDs(b, true)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.IntN(ids); pb.Next(); i++ {
			c.Get(all[i%ids])
		}
	})
}

func BenchmarkParallelHit(b *testing.B)      { benchmarkParallel(b, 1<<16) }
func BenchmarkParallelHitOneID(b *testing.B) { benchmarkParallel(b, 1) }

// BenchmarkPut puts new records into a full cache, so that each evicts one. Their values are made beforehand.
func BenchmarkPut(b *testing.B) {
	c, _ := benchIDs(b, true)
	record := recordOf(place(0), 128)
	for i := range 1 << 19 {
		c.Put(place(i), record)
	}
	b.ReportAllocs()
	i := 1 << 19
	for b.Loop() {
		c.Put(place(i), record)
		i++
	}
}

// BenchmarkParallelMixed reads by Zipf's law from 16 times as many records as fit, and puts what it misses and is admitted.
func BenchmarkParallelMixed(b *testing.B) {
	c, record := New(64<<20), recordOf(place(0), 128)
	z, r := newZipf(1<<22, 0.99), rand.New(rand.NewPCG(1, 2))
	ids := make([]ID, 1<<20)
	for i := range ids {
		ids[i] = place(z.draw(r) * 7919)
	}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.IntN(len(ids)); pb.Next(); i++ {
			id := ids[i%len(ids)]
			if _, ok := c.Get(id); !ok && c.Admits(id, record.payload()) {
				c.Put(id, record)
			}
		}
	})
	s := c.Stats()
	b.ReportMetric(float64(s.Hits)/float64(s.Hits+s.Misses), "hits/op")
}

// BenchmarkMissRefused misses records that are read once, and are not admitted.
func BenchmarkMissRefused(b *testing.B) {
	c, _ := benchIDs(b, true)
	record := recordOf(place(0), 128)
	for i := range 1 << 19 {
		c.Put(place(i), record)
	}
	b.ReportAllocs()
	i, admitted := 1<<19, 0
	for b.Loop() {
		if _, ok := c.Get(place(i)); !ok && c.Admits(place(i), record.payload()) {
			admitted++
		}
		i++
	}
	b.ReportMetric(float64(admitted)/float64(b.N), "admitted/op")
}
