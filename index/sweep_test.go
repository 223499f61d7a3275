package index

import "testing"

// TestSweepAhead lets the clock tick and expects the sweep to have run before a window begins, a bit at a time.
func TestSweepAhead(t *testing.T) {
	x := newSmall(t, regionSlots)
	for i := range 10_000 {
		x.Put(numbered(i), Entry{Size: 1, Expiration: uint32(1 + i)})
	}
	const start = 100
	x.Totals(start)
	most := 0
	for now := int64(start); now < start+5*window; now++ {
		if swept := x.ledger.swept; swept <= now {
			t.Fatalf("at %d swept to %d", now, swept)
		}
		before, swept := x.sweeper.next, x.ledger.swept
		got := x.Totals(now)
		if want := min(now, 10_000); got.ExpiredKeys != want || got.ExpiredBytes != want {
			t.Fatalf("at %d: %+v", now, got)
		}
		done := x.sweeper.next - before
		if x.ledger.swept != swept {
			done += Shards
		}
		most = max(most, done)
		if n := len(x.ledger.ahead); n > window {
			t.Fatalf("%d seconds are counted one by one", n)
		}
	}
	if most > 1 {
		t.Errorf("%d shards swept in one second", most)
	}
}

// TestSweepNewShard makes a shard in the middle of a sweep: it must not miss the sweep.
func TestSweepNewShard(t *testing.T) {
	x := newSmall(t, regionSlots)
	x.Totals(1000)
	x.Totals(1000 + window*3/4) // Half of the shards, none of them made, are swept.
	if x.sweeper.next == 0 || x.sweeper.next == Shards {
		t.Fatalf("next shard %d", x.sweeper.next)
	}
	at := uint32(1000 + window + 10)
	for _, shard := range []uint64{0, Shards - 1} {
		x.Put(Hash{1, shard}, Entry{Size: 10, Expiration: at})
	}
	x.Totals(1000 + window - 1)
	if got, want := x.Totals(int64(at)-1), (Totals{2, 20, 0, 0}); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
	if got, want := x.Totals(int64(at)), (Totals{2, 20, 2, 20}); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
}

// TestSweepEdge asks for the first second that is not swept, in which an entry expires.
func TestSweepEdge(t *testing.T) {
	x := newSmall(t, regionSlots)
	x.Totals(1000)
	at := x.ledger.swept
	x.Put(Hash{1, 1}, Entry{Size: 10, Expiration: uint32(at)})
	if got, want := x.Totals(at), (Totals{1, 10, 1, 10}); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
}

// TestSweepYears sweeps years at once. Their seconds must not be counted one by one, not even on the way.
func TestSweepYears(t *testing.T) {
	x := newSmall(t, regionSlots)
	for i := range 20_000 {
		x.Put(numbered(i), Entry{Expiration: uint32(1 + i*5000)})
	}
	x.sweepAll(1e8)
	if n := len(x.ledger.ahead); n > window {
		t.Fatalf("%d seconds are counted one by one", n)
	}
}

func TestTotalsExtremes(t *testing.T) {
	x := newSmall(t, regionSlots)
	x.Put(Hash{1, 1}, Entry{Size: 3, Expiration: 1<<32 - 1})
	x.Put(Hash{2, 2}, Entry{Size: 4, Expiration: 1})
	x.Put(Hash{3, 3}, Entry{Size: 5})
	for _, c := range []struct {
		now  int64
		want Totals
	}{
		{-1 << 63, Totals{3, 12, 0, 0}},
		{0, Totals{3, 12, 0, 0}},
		{1, Totals{3, 12, 1, 4}},
		{1<<32 - 2, Totals{3, 12, 1, 4}},
		{1<<32 - 1, Totals{3, 12, 2, 7}},
		{1<<63 - 1, Totals{3, 12, 2, 7}},
		{-1, Totals{3, 12, 2, 7}},
	} {
		if got := x.Totals(c.now); got != c.want {
			t.Errorf("at %d: %+v, want %+v", c.now, got, c.want)
		}
	}
}
