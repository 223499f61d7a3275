package index

import (
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// TestConcurrent lets writers with keys of their own work next to readers of everything and a clock, and expects exact
// totals at every second: the writers' entries expire after the clock stops, and the others are not touched.
func TestConcurrent(t *testing.T) {
	r := random(t)
	x := newSmall(t, 64)
	const start, seconds, writers = 1_000_000, 3 * window, 4
	fixed := make(map[Hash]Entry)
	for range 5000 {
		h := Hash{r.Uint64(), r.Uint64() & 3}
		fixed[h] = Entry{Location: 1, Size: r.Int64N(1 << 20), Expiration: start + 1 + uint32(r.IntN(seconds))}
		x.Put(h, fixed[h])
	}
	var expired [seconds + 1]tally
	for _, e := range fixed {
		for at := int(e.Expiration) - start; at <= seconds; at++ {
			expired[at].keys++
			expired[at].bytes += e.Size
		}
	}

	var working, all sync.WaitGroup
	models := make([]map[Hash]Entry, writers)
	for w := range writers {
		models[w] = make(map[Hash]Entry)
		seed := r.Uint64()
		working.Go(func() { write(t, x, models[w], rand.New(rand.NewPCG(seed, 0)), 20_000, start+seconds+1) })
	}
	var done atomic.Bool
	for range 2 {
		all.Go(func() {
			for now := 0; now <= seconds && !t.Failed(); now++ {
				got := x.Totals(start + int64(now))
				// The other clock may be ahead, but no further than the ledger says.
				x.ledger.mu.Lock()
				limit := x.ledger.clock - start
				x.ledger.mu.Unlock()
				if got.ExpiredKeys < expired[now].keys || got.ExpiredKeys > expired[limit].keys ||
					got.ExpiredBytes < expired[now].bytes || got.ExpiredBytes > expired[limit].bytes {
					t.Errorf("second %d to %d: %+v, want %+v", now, limit, got, expired[now])
				}
			}
		})
	}
	all.Go(func() {
		for shard := 0; !done.Load(); shard = (shard + 1) % 4 {
			seen := 0
			last := Hash{}
			x.Scan(shard, func(h Hash, e Entry) bool {
				if compareHashes(last, h) > 0 {
					t.Error("Scan goes back")
				}
				last = h
				if e == fixed[h] {
					seen++
				}
				return true
			})
			want := 0
			for h := range fixed {
				if int(h.Lo) == shard {
					want++
				}
			}
			if seen != want {
				t.Errorf("Scan of shard %d saw %d of %d untouched entries", shard, seen, want)
			}
			y := New()
			if err := y.LoadShard(shard, x.AppendShard(nil, shard), unchanged); err != nil {
				t.Error(err)
			}
			y.Close()
			x.Memory()
		}
	})
	working.Wait()
	done.Store(true)
	all.Wait()
	for _, m := range models {
		maps.Copy(fixed, m)
	}
	if got := check(t, x); !maps.Equal(got, fixed) {
		t.Fatal("content differs")
	}
	for _, now := range []int64{start + seconds, start + seconds + 100, start + 3*seconds, 1 << 33} {
		if got, want := x.Totals(now), recount(fixed, now); got != want {
			t.Fatalf("Totals at %d: %+v, want %+v", now, got, want)
		}
	}
}

// write works on hashes that nobody else has.
func write(t *testing.T, x *Index, model map[Hash]Entry, r *rand.Rand, steps int, expiration uint32) {
	hashes := make([]Hash, 2000)
	for i := range hashes {
		hashes[i] = Hash{r.Uint64(), r.Uint64()&^0xffff | r.Uint64()&7}
	}
	for range steps {
		h := hashes[r.IntN(len(hashes))]
		old, had := model[h]
		if got, ok := x.Get(h); ok != had || got != old {
			t.Errorf("Get: %+v, %v, want %+v, %v", got, ok, old, had)
			return
		}
		switch r.IntN(4) {
		case 0:
			x.Delete(h)
			delete(model, h)
		case 1:
			if x.Move(h, old.Location, old.Location+1) != had {
				t.Error("Move failed")
			}
			if had {
				old.Location++
				model[h] = old
			}
		default:
			e := Entry{Location: Location(r.Uint64N(1 << 40)), Size: r.Int64N(2 * wideSize)}
			if r.IntN(2) == 0 {
				e.Expiration = expiration + uint32(r.IntN(2*window))
			}
			x.Put(h, e)
			model[h] = e
		}
	}
}

// TestClose closes an index under load. What matters is that nothing faults and nothing is left.
func TestClose(t *testing.T) {
	r := random(t)
	x := New()
	for i := range 300_000 {
		x.Put(numbered(i), Entry{Size: 1, Expiration: uint32(i)})
	}
	var all sync.WaitGroup
	ready := make(chan struct{}, 4)
	var closed atomic.Bool
	for range 4 {
		seed := r.Uint64()
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			for i, after := 0, 0; after < 1000; i++ {
				if i == 1000 {
					ready <- struct{}{}
				}
				if closed.Load() {
					after++
				}
				h := numbered(r.IntN(400_000))
				x.Put(h, Entry{Size: wideSize, Expiration: 7})
				x.Get(h)
				x.Move(h, 0, 1)
				x.Delete(h)
				if i%100 == 0 {
					x.Scan(i/100%Shards, func(Hash, Entry) bool { return true })
					x.AppendShard(nil, i/100%Shards)
					x.Totals(int64(i) * 20)
				}
			}
		})
	}
	for range 4 {
		<-ready
	}
	x.Close()
	closed.Store(true)
	all.Wait()
	x.Close()
	if got := x.Totals(0); got != (Totals{}) || x.Len() != 0 || x.Memory() != 0 {
		t.Fatalf("after Close: %+v, %d entries, %d bytes", got, x.Len(), x.Memory())
	}
	if err := x.LoadShard(0, []byte{0}, unchanged); err != nil {
		t.Fatal(err)
	}
	unused := New()
	unused.Close()
	unused.Put(Hash{}, Entry{})
	if unused.Len() != 0 || unused.Memory() != 0 {
		t.Fatal("a closed index took an entry")
	}
	y := newSmall(t, 64)
	y.Put(Hash{}, Entry{})
	if err := x.LoadShard(0, y.AppendShard(nil, 0), unchanged); err == nil {
		t.Fatal("loaded into a closed index")
	}
}
