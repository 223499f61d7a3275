package index

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// model is a map that does what an Index should.
type model struct {
	t       *testing.T
	r       *rand.Rand
	x       *Index
	entries map[Hash]Entry
	hashes  []Hash // candidates
	now     int64
}

func TestModel(t *testing.T) {
	steps := effort(400_000)
	for _, slots := range []int{8, 64, 2 * pageSlots, 5 * pageSlots, regionSlots} {
		t.Run(fmt.Sprintf("slots=%d", slots), func(t *testing.T) {
			m := &model{t: t, r: random(t), x: newSmall(t, slots), entries: map[Hash]Entry{}}
			m.candidates(20_000)
			for done := 0; done < steps; {
				// Phases of growing and of shrinking: in a mixture the number of keys would hover.
				deletes, n := m.r.IntN(101), m.r.IntN(40_000)
				if m.r.IntN(3) == 0 {
					m.fill()
					m.verify()
				}
				for range n {
					m.step(deletes)
				}
				done += n
				m.verify()
			}
		})
	}
}

// candidates chooses few shards, so that these have many tables, and some hashes that share their high half.
func (m *model) candidates(n int) {
	for len(m.hashes) < n {
		h := Hash{m.r.Uint64(), m.r.Uint64()&^0xff | uint64(m.r.IntN(2)*255)}
		switch m.r.IntN(100) {
		case 0:
			h.Hi = math.MaxUint64
		case 1:
			h.Hi = 0
		case 2, 3:
			h.Hi = 0x123456789abcdef0
		case 4:
			h.Hi = h.Hi >> 40 << 20
		}
		m.hashes = append(m.hashes, h)
	}
}

// canonical is what Scan returns for a hash.
func canonical(h Hash) Hash { return joinHash(h.parts()) }

func (m *model) entry() Entry {
	e := Entry{Location: Location(m.r.Uint64() >> (64 - locationBits)), Size: int64(m.r.IntN(1000))}
	switch m.r.IntN(20) {
	case 0:
		e.Size = wideSize - 2 + int64(m.r.IntN(4))
	case 1:
		e.Size = m.r.Int64N(1 << 50)
	case 2:
		e.Location = 0
	}
	switch m.r.IntN(4) {
	case 0:
		e.Expiration = uint32(max(1, m.now-window+int64(m.r.IntN(4*window))))
	case 1:
		e.Expiration = m.r.Uint32()
	case 2:
		if m.r.IntN(10) == 0 {
			e.Expiration = math.MaxUint32
		}
	}
	return e
}

func (m *model) step(deletes int) {
	h := m.hashes[m.r.IntN(len(m.hashes))]
	key := canonical(h)
	old, had := m.entries[key]
	at := old.Location
	if m.r.IntN(4) == 0 {
		at ^= 1
	}
	switch k := m.r.IntN(200); {
	case k == 0:
		m.clock()
	case k < 20:
		if got, ok := m.x.Get(h); ok != had || got != old {
			m.t.Fatalf("Get: %+v, %v, want %+v, %v", got, ok, old, had)
		}
	case k < 50:
		to := m.entry().Location
		moved := m.x.Move(h, at, to)
		if moved != (had && at == old.Location) {
			m.t.Fatalf("Move: %v, from %x, is at %x", moved, at, old.Location)
		}
		if moved {
			old.Location = to
			m.entries[key] = old
		}
	case k%100 < deletes && k < 100:
		if got, ok := m.x.Delete(h); ok != had || got != old {
			m.t.Fatalf("Delete: %+v, %v, want %+v, %v", got, ok, old, had)
		}
		delete(m.entries, key)
	case k%100 < deletes:
		got, ok := m.x.DeleteAt(h, at)
		if ok != (had && at == old.Location) || ok && got != old {
			m.t.Fatalf("DeleteAt: %+v, %v at %x, want %+v", got, ok, at, old)
		}
		if ok {
			delete(m.entries, key)
		}
	default:
		e := m.entry()
		if m.r.IntN(10) == 0 {
			e.Size, e.Expiration = old.Size, old.Expiration
		}
		if got, ok := m.x.Put(h, e); ok != had || got != old {
			m.t.Fatalf("Put: %+v, %v, want %+v, %v", got, ok, old, had)
		}
		m.entries[key] = e
	}
}

// fill puts many keys through a Filler, new ones and others.
func (m *model) fill() {
	f := m.x.NewFillers(1, m.r.IntN(100_000))[0]
	f.limit = 1 + m.r.IntN(10_000)
	put := map[Hash]bool{}
	for range m.r.IntN(20_000) {
		h := m.hashes[m.r.IntN(len(m.hashes))]
		key := canonical(h)
		e := m.entry()
		if put[key] {
			e = m.entries[key] // any of the two counts
		}
		put[key] = true
		f.Put(h, e)
		m.entries[key] = e
	}
	f.Flush()
}

// clock lets time pass, by seconds mostly, and compares the totals.
func (m *model) clock() {
	switch m.r.IntN(20) {
	case 0:
		m.now += m.r.Int64N(1 << 26)
	case 1:
		m.now += m.r.Int64N(3 * window)
	case 2:
		m.now += window - 1 + m.r.Int64N(3)
	case 3, 4, 5, 6:
		m.now += m.r.Int64N(window / 2)
	default:
		m.now += m.r.Int64N(3)
	}
	want := recount(m.entries, m.now)
	if got := m.x.Totals(m.now); got != want {
		m.t.Fatalf("Totals at %d: %+v, want %+v", m.now, got, want)
	}
	if got := m.x.Totals(m.now - m.r.Int64N(1<<32)); got != want {
		m.t.Fatalf("Totals at a time before %d: %+v, want %+v", m.now, got, want)
	}
	if n := len(m.x.ledger.ahead); n > window {
		m.t.Fatalf("%d seconds are counted one by one", n)
	}
}

// verify compares everything, by looking inside, by scans, and by saving and loading.
func (m *model) verify() {
	m.t.Helper()
	m.clock()
	if got := check(m.t, m.x); !maps.Equal(got, m.entries) {
		m.t.Fatal("content differs")
	}
	y := newSmall(m.t, m.x.maxSlots)
	if m.r.IntN(2) == 0 {
		y.Totals(m.now) // Loading has to count what a sweep would have.
	}
	for i := range Shards {
		var hashes []Hash
		m.x.Scan(i, func(h Hash, e Entry) bool {
			if m.entries[h] != e {
				m.t.Fatalf("Scan: %x is %+v, want %+v", h, e, m.entries[h])
			}
			hashes = append(hashes, h)
			return true
		})
		if !slices.IsSortedFunc(hashes, compareHashes) {
			m.t.Fatal("Scan is not in the order of hashes")
		}
		s := m.x.shards[i].Load()
		if s != nil && len(hashes) != s.count || s == nil && len(hashes) > 0 {
			m.t.Fatalf("Scan gave %d entries", len(hashes))
		}
		data := m.x.AppendShard([]byte("before"), i)
		data, ok := bytes.CutPrefix(data, []byte("before"))
		if !ok {
			m.t.Fatal("AppendShard does not append")
		}
		if err := y.LoadShard(i, data, unchanged); err != nil {
			m.t.Fatal(err)
		}
		if !bytes.Equal(y.AppendShard(nil, i), data) {
			m.t.Fatal("a shard is saved differently after loading")
		}
	}
	if got := check(m.t, y); !maps.Equal(got, m.entries) {
		m.t.Fatal("loaded content differs")
	}
	if got, want := y.Totals(m.now), recount(m.entries, m.now); got != want {
		m.t.Fatalf("loaded: Totals at %d: %+v, want %+v", m.now, got, want)
	}
	y.Close()
}

func unchanged(e Entry) (Location, bool) { return e.Location, true }

func compareHashes(a, b Hash) int {
	switch {
	case a == b:
		return 0
	case a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo:
		return -1
	}
	return 1
}
