package report

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// sampled is a report of one throughput and one latency.
func sampled(rates, times []float64) *Report {
	return &Report{
		Version:   Version,
		DiskSyncs: Metric{Kind{"disk syncs", PerSecond, Higher}, []float64{1, 2, 2, 3}},
		Results: []Result{{Workload: "get", Engine: "firn", Metrics: []Metric{
			{Kind{"throughput", PerSecond, Higher}, rates},
			{Kind{"p50", Seconds, Lower}, times},
		}}},
	}
}

func TestCompare(t *testing.T) {
	low, high := []float64{100, 101, 102, 103, 104}, []float64{120, 121, 122, 123, 124}
	slightly := []float64{105, 105.5, 106, 106.5, 107} // significant, but little
	for name, c := range map[string]struct {
		before, after *Report
		rate, time    Verdict
	}{
		"same":       {sampled(low, low), sampled(low, low), Same, Same},
		"higher":     {sampled(low, low), sampled(high, high), GotBetter, GotWorse},
		"lower":      {sampled(high, high), sampled(low, low), GotWorse, GotBetter},
		"little":     {sampled(low, low), sampled(slightly, slightly), Same, Same},
		"few rounds": {sampled(low[:3], low[:3]), sampled(high[:3], high[:3]), TooFew, TooFew},
		"enough":     {sampled(low[:4], low[:4]), sampled(high[:4], high[:4]), GotBetter, GotWorse},
		"few once":   {sampled(low[:2], low), sampled(high, high), TooFew, GotWorse},
		"none":       {sampled(nil, nil), sampled(high, high), TooFew, TooFew},
		"zeros":      {sampled(make([]float64, 5), make([]float64, 5)), sampled(make([]float64, 5), make([]float64, 5)), Same, Same},
	} {
		got := Compare(c.before, c.after, DefaultLimits)
		if len(got.Changes) != 2 || got.Changes[0].Verdict != c.rate || got.Changes[1].Verdict != c.time {
			t.Errorf("%s: got %+v", name, got.Changes)
		}
		better, worse, few := 0, 0, 0
		for _, v := range []Verdict{c.rate, c.time} {
			if v == GotBetter {
				better++
			}
			if v == GotWorse {
				worse++
			}
			if v == TooFew {
				few++
			}
		}
		if got.Better != better || got.Worse != worse || got.TooFew != few {
			t.Errorf("%s: %d better, %d worse, %d too few", name, got.Better, got.Worse, got.TooFew)
		}
	}
}

// Values of the exact distribution of U: 2/C(10, 5) for two sets of five that do not
// overlap, and 2·(1+1)/C(10, 5) if one pair of them does.
func TestByChance(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252},
		{[]float64{1, 2, 3, 4, 6}, []float64{5, 7, 8, 9, 10}, 4.0 / 252},
		{[]float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2.0 / 70},
		{[]float64{1, 1, 1}, []float64{1, 1, 1}, 1},
		{nil, []float64{1}, 1},
	} {
		if got := byChance(c.a, c.b); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v and %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// The least that the test can say is what it says of sets that do not overlap.
func TestLeastP(t *testing.T) {
	for n := 1; n < 9; n++ {
		for m := 1; m < 9; m++ {
			a, b := make([]float64, n), make([]float64, m)
			for i := range a {
				a[i] = float64(i)
			}
			for i := range b {
				b[i] = float64(100 + i)
			}
			if got, want := leastP(n, m), byChance(a, b); math.Abs(got-want) > 1e-9 {
				t.Errorf("%d and %d: %v, want %v", n, m, got, want)
			}
		}
	}
	for alpha, want := range map[float64]int{0.5: 2, 0.05: 4, 0.01: 5, 0.001: 7} {
		if got := neededRounds(alpha); got != want {
			t.Errorf("%d rounds for %v, want %d", got, alpha, want)
		}
	}
}

// With nothing changed, a share of about alpha is called significant, whatever the
// distribution; with a shift of three standard deviations nearly everything is.
func TestCompareKnownDistributions(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const trials = 2000
	draw := func(shift float64) []float64 {
		s := make([]float64, 10)
		for i := range s {
			s[i] = 10 + shift + rng.NormFloat64()
		}
		return s
	}
	significant := func(shift float64) (share float64) {
		for range trials {
			if byChance(draw(0), draw(shift)) < 0.05 {
				share += 1.0 / trials
			}
		}
		return share
	}
	if got := significant(0); got < 0.025 || got > 0.06 {
		t.Errorf("%.3f of equal samples are called different", got)
	}
	if got := significant(3); got < 0.99 {
		t.Errorf("%.3f of different samples are called different", got)
	}
}

func TestCompareText(t *testing.T) {
	before := sampled([]float64{100, 101, 102, 103, 104}, []float64{1e-6, 1e-6, 1e-6, 1e-6, 1e-6})
	after := sampled([]float64{200, 201, 202, 203, 204}, []float64{1e-6, 1e-6, 1e-6, 1e-6, 1e-6})
	after.Settings.RawBytes = 1
	var out strings.Builder
	if err := Compare(before, after, DefaultLimits).WriteText(&out); err != nil {
		t.Fatal(err)
	}
	want := `Note: the data was not the same.
same               disk syncs  2/s → 2/s      0 %      p=1.000
better  get  firn  throughput  102/s → 202/s  +98.0 %  p=0.008
1 better, 0 worse, 0 not to be told, of 2 metrics
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// Of workloads with few rounds it says how many there are and have to be.
func TestCompareTextTooFew(t *testing.T) {
	few := func(workload string, rounds int) Result {
		m := Metric{Kind{"time", Seconds, Lower}, []float64{1, 2, 3, 4, 5}[:rounds]}
		return Result{Workload: workload, Engine: "firn", Metrics: []Metric{m, m}}
	}
	five := []float64{100, 101, 102, 103, 104}
	before, after := sampled(five, five), sampled(five, five)
	before.DiskSyncs.Samples, after.DiskSyncs.Samples = five, five
	before.Results = append(before.Results, few("open/clean", 2), few("open/crash", 2), few("memory", 1), few("fill", 3))
	after.Results = append(after.Results, few("open/clean", 2), few("open/crash", 2), few("memory", 2), few("fill", 5))
	var out strings.Builder
	if err := Compare(before, after, DefaultLimits).WriteText(&out); err != nil {
		t.Fatal(err)
	}
	want := `same      disk syncs  102/s → 102/s  0 %  p=1.000
Too few rounds to tell, 2 and 2, where 4 in each report are enough: open/clean, open/crash.
Too few rounds to tell, 1 and 2, where 4 in each report are enough: memory.
0 better, 0 worse, 6 not to be told, of 10 metrics
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestCompareNewResult(t *testing.T) {
	after := sampled([]float64{1}, []float64{1})
	after.Results = append(after.Results, Result{Workload: "scan", Engine: "firn", Metrics: []Metric{{Kind{"keys", PerSecond, Higher}, []float64{1}}}})
	if c := Compare(sampled([]float64{1}, []float64{1}), after, DefaultLimits); len(c.Changes) != 2 {
		t.Errorf("got %+v", c.Changes)
	}
}
