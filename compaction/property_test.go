package compaction

import (
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
)

// testSeed returns the seed of a run: FIRN_SEED, or another one each time.
func testSeed(t *testing.T) uint64 {
	seed := rand.Uint64()
	if v := os.Getenv("FIRN_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("FIRN_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("FIRN_SEED=%d", seed)
	return seed
}

// TestPickProperties looks at the jobs for random states: they are sound, and
// applied one after the other they come to an end, with little garbage left.
func TestPickProperties(t *testing.T) {
	seed := testSeed(t)
	states := 1500
	if testing.Short() {
		states = 500
	}
	for i := range states {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		st := randomState(rng)
		checkPressure(t, st)
		reasons := map[Reason]int{}
		for n := 0; ; n++ {
			before := clone(st)
			job, ok := Pick(st)
			if !reflect.DeepEqual(before, st) {
				t.Fatalf("state %d: Pick changed it", i)
			}
			rng.Shuffle(len(st.Segments), func(a, b int) { st.Segments[a], st.Segments[b] = st.Segments[b], st.Segments[a] })
			if again, _ := Pick(st); !reflect.DeepEqual(job, again) {
				t.Fatalf("state %d: %v, but %v in another order", i, job, again)
			}
			if !ok {
				break
			}
			checkJob(t, i, st, job)
			apply(rng, st, job)
			reasons[job.Reason]++
			if n > 4*len(before.Segments)+1000 {
				t.Fatalf("state %d: no end after %d jobs: %v", i, n, reasons)
			}
		}
		checkEnd(t, i, st)
	}
}

func clone(st *State) *State {
	c := *st
	c.Segments = slices.Clone(st.Segments)
	return &c
}

func randomState(rng *rand.Rand) *State {
	st := &State{Now: testNow, Free: -1, Target: 1.1 + rng.Float64(), Fixed: rng.Int64N(100 << 20)}
	st.FixedLive = rng.Int64N(st.Fixed + 1)
	if rng.IntN(2) == 0 {
		st.Quiet = rng.ExpFloat64() * 10
	}
	size := int64(1) << (10 + rng.IntN(17))
	tombstones, values, garbage := rng.IntN(3) == 0, rng.IntN(3) == 0, rng.Float64()
	even := rng.IntN(4) == 0
	for id := range uint64(rng.IntN(150)) {
		s := Segment{ID: 1 + id*uint64(1+rng.IntN(3))*200, Form: Form(rng.IntN(3)), Newest: testNow - int64(rng.ExpFloat64()*86400)}
		s.ID += id
		if values && (even || rng.IntN(3) == 0) {
			s.Form = Values
		}
		s.Puts = 1 + rng.Int64N(size)
		s.Live = int64(float64(s.Puts) * (1 - garbage*rng.Float64()))
		switch {
		case even:
			s.Live = int64(float64(s.Puts) * (1 - garbage))
		case rng.IntN(8) == 0:
			s.Live = 0
		}
		s.Disk = 1 + int64(float64(s.Puts)*(0.2+rng.Float64()))
		if rng.IntN(3) == 0 {
			s.Expires = testNow + int64(rng.ExpFloat64()*float64(int64(1)<<rng.IntN(22))) - 100
		}
		if tombstones && s.Form != Values {
			s.Tombstones = rng.Int64N(size/100 + 1)
			s.Pointers = rng.Int64N(size/1000 + 1)
			s.Kept = s.Form != Log && rng.IntN(2) == 0
			if rng.IntN(3) == 0 {
				s.Puts, s.Live, s.Disk, s.Expires = 0, 0, 0, 0
			}
			s.Disk += (s.Tombstones + s.Pointers) * tombstoneSize
		}
		st.Segments = append(st.Segments, s)
	}
	if rng.IntN(3) == 0 {
		st.Free = int64(rng.ExpFloat64() * 0.1 * float64(newView(st).total))
	}
	return st
}

// checkPressure checks that nobody is delayed for nothing.
func checkPressure(t *testing.T, st *State) {
	t.Helper()
	free := clone(st)
	free.Free = -1
	p := Pressure(free)
	if p < 0 || p > 1 {
		t.Fatalf("pressure %v", p)
	}
	if _, ok := Pick(free); p > 0 && !ok {
		t.Fatalf("pressure %v, but nothing to do: %+v", p, free)
	}
}

func checkJob(t *testing.T, i int, st *State, job Job) {
	t.Helper()
	if len(job.Victims) == 0 || len(job.Victims) > maxVictims || !slices.IsSorted(job.Victims) ||
		len(slices.Compact(slices.Clone(job.Victims))) != len(job.Victims) {
		t.Fatalf("state %d: victims of %v", i, job)
	}
	v := newView(st)
	var outputs, taken int64 // live puts; needed tombstones
	values := 0
	for _, id := range job.Victims {
		n := slices.IndexFunc(st.Segments, func(s Segment) bool { return s.ID == id })
		if n < 0 {
			t.Fatalf("state %d: no segment %d for %v", i, id, job)
		}
		s := &st.Segments[n]
		if s.Form == Values {
			values++
		}
		if s.needed() {
			taken += s.Disk
			continue
		}
		if job.Reason == Dead {
			if s.Live > 0 && (s.Expires == 0 || s.Expires > st.Now) {
				t.Fatalf("state %d: %+v is not dead", i, s)
			}
			continue
		}
		live := s.Live
		if s.Form != Log || !v.measured {
			live = int64(float64(s.Disk-s.markers()) * float64(live) / float64(max(s.Puts, 1)))
		} else {
			live = int64(float64(live) * v.ratio)
		}
		outputs += live
	}
	if st.Free >= 0 && outputs+taken > st.Free {
		t.Fatalf("state %d: outputs of %d bytes, %d are free: %v", i, outputs+taken, st.Free, job)
	}
	if (job.Form == Values) != (values == len(job.Victims)) || values > 0 && job.Form != Values && job.Reason != Dead {
		t.Fatalf("state %d: %d value segments among the victims: %v", i, values, job)
	}
	if job.Form == Log {
		t.Fatalf("state %d: %v", i, job)
	}
}

// apply replaces the victims by ideal outputs.
func apply(rng *rand.Rand, st *State, job Job) {
	v := newView(st)
	type group struct{ from, to int64 }
	outputs := map[group]*Segment{}
	output := func(expires, newest int64) *Segment {
		var g group
		g.from, g.to = Bucket(expires, st.Now)
		o := outputs[g]
		if o == nil {
			o = &Segment{Form: job.Form, Expires: expires}
			outputs[g] = o
		}
		o.Newest, o.Expires = max(o.Newest, newest), max(o.Expires, expires)
		return o
	}
	gone := false
	next := uint64(0)
	var rest []Segment
	for i := range st.Segments {
		s := &st.Segments[i]
		next = max(next, s.ID+1)
		if !slices.Contains(job.Victims, s.ID) {
			rest = append(rest, *s)
			continue
		}
		st.Free += s.Disk
		gone = gone || s.Puts > s.Live
		if v.expired(s) {
			continue
		}
		if s.Live > 0 {
			o := output(s.Expires, s.Newest)
			o.Puts += s.Live
			o.Live += s.Live
			o.Disk += v.livePuts(s)
		}
		if n := s.Tombstones; n > 0 {
			if !s.needed() || rng.IntN(2) == 0 {
				n = rng.Int64N(n + 1)
			}
			o := output(0, s.Newest)
			o.Tombstones += n
			o.Disk += n * tombstoneSize
			o.Kept = true
		}
		if s.Pointers > 0 {
			o := output(s.Expires, s.Newest)
			o.Pointers += s.Pointers
			o.Disk += s.Pointers * tombstoneSize
			o.Kept = true
		}
	}
	for i := range rest {
		rest[i].Kept = rest[i].Kept && !gone
	}
	groups := make([]group, 0, len(outputs))
	for g := range outputs {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b group) int { return int(a.from - b.from) })
	for _, g := range groups {
		o := outputs[g]
		if o.Puts+o.Tombstones+o.Pointers == 0 {
			continue
		}
		n := 1 + (o.Disk-1)/v.unit // outputs are cut at a unit
		for range n {
			cut := *o
			cut.ID = next
			next++
			cut.Puts, cut.Disk = o.Puts/n, o.Disk/n
			cut.Live = cut.Puts
			cut.Tombstones, cut.Pointers = o.Tombstones/n, o.Pointers/n
			st.Free -= cut.Disk
			rest = append(rest, cut)
		}
	}
	if v.Free < 0 {
		st.Free = -1
	}
	st.Segments = rest
}

// checkEnd checks what is left when there is nothing to do.
func checkEnd(t *testing.T, i int, st *State) {
	t.Helper()
	v := newView(st)
	for j := range st.Segments {
		s := &st.Segments[j]
		if v.dead(s) {
			t.Fatalf("state %d: %+v is dead, but not removed", i, s)
		}
		if st.Free < 0 && st.Quiet >= settleAfter && (s.Form == Log || s.Form == Young) && !v.dying(s, soon) {
			t.Fatalf("state %d: %+v is not settled", i, s)
		}
	}
	if st.Free >= 0 {
		return
	}
	start := busyStart
	if st.Quiet >= settleAfter {
		start = quietStart
	}
	if float64(v.waste) <= max(v.allowed(start), smallWaste) {
		return
	}
	for j := range st.Segments {
		if s := &st.Segments[j]; v.worth(s) {
			t.Fatalf("state %d: too much garbage, but %+v stays", i, s)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			st := &State{Now: testNow, Free: -1, Target: 1.3}
			rng := rand.New(rand.NewPCG(1, 1))
			for id := range uint64(n) {
				live := 120<<20 + rng.Int64N(10<<20)
				st.Segments = append(st.Segments, Segment{ID: id, Form: Settled, Disk: 60 << 20, Puts: 130 << 20, Live: live})
			}
			b.ReportAllocs()
			for b.Loop() {
				Pick(st)
			}
		})
	}
}
