package index

import (
	"runtime"
	"testing"
)

// TestFingerprint tells apart entries that differ in one bit, in each half of the fingerprint and in the shard.
func TestFingerprint(t *testing.T) {
	x := newSmall(t, regionSlots)
	base := Hash{0x0123456789abcdef, 0xfedcba9876540077}
	want := map[Hash]Location{base: 0}
	for bit := range 64 {
		want[Hash{base.Hi ^ 1<<bit, base.Lo}] = Location(len(want))
		if bit < 8 || bit >= 16 {
			want[Hash{base.Hi, base.Lo ^ 1<<bit}] = Location(len(want))
		}
	}
	for h, at := range want {
		if _, replaced := x.Put(h, Entry{Location: at}); replaced {
			t.Fatalf("%x replaces another", h)
		}
	}
	for h, at := range want {
		if e, ok := x.Get(h); !ok || e.Location != at {
			t.Fatalf("%x: %+v, %v", h, e, ok)
		}
	}
	check(t, x)
}

// TestLoad measures how full tables are while they grow and that nothing but the entries counts.
func TestLoad(t *testing.T) {
	skipUnderRace(t)
	x := New()
	defer x.Close()
	const n = 2_000_000
	for i := range n {
		x.Put(numbered(i), benchEntry(i))
		// From 2,000 entries a table on; below, a page is much of it.
		if i > n/2 && i%100_000 == 0 {
			if b := float64(x.Memory()) / float64(i+1); b > 26 {
				t.Errorf("%.2f bytes a key at %d keys", b, i+1)
			}
		}
	}
	slots, count := 0, 0
	for i := range Shards {
		x.shards[i].Load().each(func(tb *table) bool {
			slots += len(tb.slots)
			count += tb.count
			return true
		})
	}
	if load := float64(count) / float64(slots); load < 0.88 {
		t.Errorf("load %.3f", load)
	}
}

// TestShrink takes everything out again and expects the memory back.
func TestShrink(t *testing.T) {
	skipUnderRace(t)
	x := New()
	defer x.Close()
	const n = 1_000_000
	for i := range n {
		x.Put(numbered(i), Entry{Size: int64(i % (2 * wideSize)), Expiration: uint32(i & 1)})
	}
	full := x.Memory()
	for i := range n * 9 / 10 {
		x.Delete(numbered(i))
	}
	check(t, x)
	if got := x.Memory(); got > full/5 {
		t.Errorf("%d bytes with all entries, %d with a tenth of them", full, got)
	}
	for i := n * 9 / 10; i < n; i++ {
		x.Delete(numbered(i))
	}
	if got := x.Memory(); got > 256<<10 {
		t.Errorf("%d bytes when empty", got)
	}
	mapped := len(x.arena.slots.mapped)
	for i := range n {
		x.Put(numbered(i), Entry{Expiration: 1})
	}
	if len(x.arena.slots.mapped) != mapped {
		t.Error("regions were not used again")
	}
	check(t, x)
}

// TestColumns has a column made for the first expiration and dropped after the last.
func TestColumns(t *testing.T) {
	x := newSmall(t, regionSlots)
	hash := func(i int) Hash { return Hash{mix(uint64(i)), 0} }
	for i := range 3000 {
		x.Put(hash(i), Entry{Location: Location(i)})
	}
	plain := x.Memory()
	x.Put(hash(1), Entry{Location: 1, Expiration: 5})
	check(t, x)
	if got := x.Memory() - plain; got < 3000*4 || got > 4096*4 {
		t.Errorf("a column takes %d bytes", got)
	}
	x.Put(hash(1), Entry{Location: 1})
	for i := 3000; i < 3400; i++ {
		x.Put(hash(i), Entry{Location: Location(i)})
	}
	check(t, x)
	x.shards[0].Load().each(func(tb *table) bool {
		if tb.times != nil {
			t.Error("a column without expirations outlives a rebuild")
		}
		return true
	})
}

// TestSmallStore bounds what an index costs that is hardly used: a process may have a thousand of them.
func TestSmallStore(t *testing.T) {
	const n = 1000
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	stores := make([]*Index, n)
	for i := range stores {
		stores[i] = New()
		stores[i].Put(numbered(1), Entry{Size: 1, Expiration: 1})
		stores[i].Totals(1)
		if stores[i].arena.slots.mapped != nil {
			t.Fatal("memory was mapped for one key")
		}
	}
	if got := (heap() - before) / n; got > 4096 {
		t.Errorf("an index of one key takes %d bytes", got)
	}
	runtime.KeepAlive(stores)
}
