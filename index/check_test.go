package index

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// random returns a source whose seed a failing test prints. FIRN_SEED sets it.
func random(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	if s := os.Getenv("FIRN_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal("FIRN_SEED:", err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("FIRN_SEED=%d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// effort scales the length of a test: the race detector slows this package down twentyfold.
func effort(n int) int {
	switch {
	case raceEnabled:
		return n / 20
	case testing.Short():
		return n / 4
	}
	return n
}

// skipUnderRace is for long tests without concurrency.
func skipUnderRace(t *testing.T) {
	if raceEnabled {
		t.Skip("slow, and nothing in it is concurrent")
	}
}

// newSmall returns an index whose tables split early.
func newSmall(t testing.TB, maxSlots int) *Index {
	x := New()
	x.maxSlots = maxSlots
	t.Cleanup(x.Close)
	return x
}

// check verifies everything that is said to hold about a quiet index, and returns its content.
func check(t testing.TB, x *Index) map[Hash]Entry {
	t.Helper()
	all := make(map[Hash]Entry)
	held := int64(0)
	var sum tally
	for i := range Shards {
		s := x.shards[i].Load()
		if s == nil {
			continue
		}
		if len(s.tables) != 1<<s.depth {
			t.Fatalf("shard %d: %d references at depth %d", i, len(s.tables), s.depth)
		}
		if s.edge < x.ledger.swept {
			t.Fatalf("shard %d: edge %d is below what is swept, %d", i, s.edge, x.ledger.swept)
		}
		held += shardBytes + int64(len(s.tables))*8 + int64(len(s.wide))*wideBytes
		count, wide, reference := 0, 0, 0
		s.each(func(tb *table) bool {
			span := 1 << (s.depth - tb.depth)
			for _, same := range s.tables[reference : reference+span] {
				if same != tb {
					t.Fatalf("shard %d: broken run of references at %d", i, reference)
				}
			}
			checkTable(t, tb)
			for p := range tb.slots {
				sl := &tb.slots[p]
				if sl.free() {
					continue
				}
				if s.lookup(sl.hi()) != tb {
					t.Fatalf("shard %d: %x is in a wrong table", i, sl.hi())
				}
				e := s.entry(tb, p)
				if sl.size() == wideSize {
					wide++
					if e.Size < wideSize {
						t.Fatalf("shard %d: wide size %d", i, e.Size)
					}
				}
				all[joinHash(i, sl.hi(), tb.lo(p))] = e
				sum.bytes += e.Size
			}
			count += tb.count
			held += tableBytes + tb.memory()
			reference += span
			return true
		})
		if count != s.count || wide != len(s.wide) {
			t.Fatalf("shard %d: %d entries, %d wide, recorded %d, %d", i, count, wide, s.count, len(s.wide))
		}
		sum.keys += int64(count)
	}
	if got := x.ledger.all; got != sum {
		t.Fatalf("ledger has %+v, counted %+v", got, sum)
	}
	if x.Memory() != held || x.Len() != len(all) {
		t.Fatalf("Memory %d, counted %d; Len %d, counted %d", x.Memory(), held, x.Len(), len(all))
	}
	return all
}

func checkTable(t testing.TB, tb *table) {
	t.Helper()
	var last *slot
	var lastLo uint64
	gap := 0 // behind the last free slot
	count, expiring := 0, 0
	for p := range tb.slots {
		sl := &tb.slots[p]
		if tb.time(p) != 0 {
			expiring++
			if sl.free() {
				t.Fatalf("free slot %d has an expiration", p)
			}
		}
		if sl.free() {
			gap = p + 1
			continue
		}
		count++
		if last != nil && (last.hi() > sl.hi() || last.hi() == sl.hi() && lastLo >= tb.lo(p)) {
			t.Fatalf("slot %d is not greater than the one before it", p)
		}
		if home := tb.home(sl.hi()); home < gap || home > p {
			t.Fatalf("slot %d has its home at %d, the run begins at %d", p, home, gap)
		}
		last, lastLo = sl, tb.lo(p)
	}
	checkStarts(t, tb)
	if count != tb.count || expiring != tb.expiring || count > tb.limit {
		t.Fatalf("table of %d entries, %d expiring, recorded %d, %d, limit %d",
			count, expiring, tb.count, tb.expiring, tb.limit)
	}
	if len(tb.tags) != len(tb.slots) {
		t.Fatalf("%d slots, %d tags", len(tb.slots), len(tb.tags))
	}
	if tb.region && tb.times != nil && cap(tb.times) != regionSlots {
		t.Fatal("table does not own a whole region of expirations")
	}
}

// checkStarts compares the starts of groups with their definition.
func checkStarts(t testing.TB, tb *table) {
	t.Helper()
	if want := (tb.homes + groupHomes - 1) / groupHomes; len(tb.starts) != want && len(tb.slots) <= math.MaxUint16 {
		t.Fatalf("%d starts, want %d", len(tb.starts), want)
	}
	p := 0
	end := 0 // behind the last entry of the groups before
	for g, start := range tb.starts {
		for ; p < len(tb.slots) && (tb.slots[p].free() || tb.home(tb.slots[p].hi()) < g*groupHomes); p++ {
			if !tb.slots[p].free() {
				end = p + 1
			}
		}
		if want := max(end, g*groupHomes); int(start) != want {
			t.Fatalf("group %d starts at %d, want %d", g, start, want)
		}
	}
}

// recount is what Totals should return.
func recount(all map[Hash]Entry, now int64) (want Totals) {
	for _, e := range all {
		want.Keys++
		want.Bytes += e.Size
		if e.Expiration != 0 && int64(e.Expiration) <= now {
			want.ExpiredKeys++
			want.ExpiredBytes += e.Size
		}
	}
	return want
}
