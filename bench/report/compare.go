package report

import (
	"math"

	"github.com/aclements/go-moremath/stats"
)

// Limits says which differences count.
type Limits struct {
	// Alpha is how likely by chance a difference has to be less than.
	Alpha float64
	// Change is the least difference of medians, as a share of the old one.
	Change float64
}

// DefaultLimits calls a difference significant as is the custom, and leaves out what
// is too small to matter.
var DefaultLimits = Limits{Alpha: 0.05, Change: 0.05}

// Verdict says what became of a metric.
type Verdict string

// The verdicts.
const (
	GotBetter Verdict = "better"
	GotWorse  Verdict = "worse"
	Same      Verdict = "same"           // no difference that counts
	TooFew    Verdict = "too few rounds" // even the greatest difference could be chance
)

// Comparison is what differs between two reports.
type Comparison struct {
	Better  int      `json:"better"` // how many metrics got better
	Worse   int      `json:"worse"`
	TooFew  int      `json:"too_few"`
	Changes []Change `json:"changes"` // of all metrics that are in both
	// Needed is how many rounds in each report are enough to tell.
	Needed int `json:"needed_rounds"`
	// Disk is how the rate of syncs differs: no merit or fault of the engines.
	Disk  Change   `json:"disk"`
	Notes []string `json:"notes"`
}

// Change is what became of a metric.
type Change struct {
	Workload string  `json:"workload"`
	Engine   string  `json:"engine"`
	Metric   string  `json:"metric"`
	Unit     Unit    `json:"unit"`
	Old      float64 `json:"old"` // medians
	New      float64 `json:"new"`
	// OldRounds and NewRounds are how often it was measured.
	OldRounds int `json:"old_rounds"`
	NewRounds int `json:"new_rounds"`
	// P is the probability of samples that differ as much if nothing has
	// changed.
	P       float64 `json:"p"`
	Verdict Verdict `json:"verdict"`
}

// Compare compares all metrics that both reports have, in the order of the newer.
func Compare(before, after *Report, limits Limits) *Comparison {
	c := &Comparison{
		Changes: []Change{},
		Disk:    changed(&before.DiskSyncs, &after.DiskSyncs, limits),
		Notes:   differences(before, after),
		Needed:  neededRounds(limits.Alpha),
	}
	for i := range after.Results {
		res := &after.Results[i]
		old := before.Result(res.Workload, res.Engine)
		if old == nil {
			continue
		}
		for k := range res.Metrics {
			if m := old.Metric(res.Metrics[k].Name); m != nil {
				ch := changed(m, &res.Metrics[k], limits)
				ch.Workload, ch.Engine = res.Workload, res.Engine
				c.add(ch)
			}
		}
	}
	return c
}

// differences says what makes two reports hard to compare.
func differences(before, after *Report) []string {
	notes := []string{}
	if before.Machine != after.Machine {
		notes = append(notes, "the reports are not of the same machine, or it has changed")
	}
	if before.Settings.Data != after.Settings.Data || before.Settings.RawBytes != after.Settings.RawBytes {
		notes = append(notes, "the data was not the same")
	}
	if before.Settings.RoundSeconds != after.Settings.RoundSeconds || before.Settings.WarmUpSeconds != after.Settings.WarmUpSeconds {
		notes = append(notes, "the rounds were not equally long")
	}
	return notes
}

func (c *Comparison) add(ch Change) {
	switch ch.Verdict {
	case GotBetter:
		c.Better++
	case GotWorse:
		c.Worse++
	case TooFew:
		c.TooFew++
	}
	c.Changes = append(c.Changes, ch)
}

// changed compares two metrics of the same kind.
func changed(before, after *Metric, limits Limits) Change {
	ch := Change{
		Metric: after.Name, Unit: after.Unit, Old: before.Median(), New: after.Median(),
		OldRounds: len(before.Samples), NewRounds: len(after.Samples),
		P: byChance(before.Samples, after.Samples), Verdict: Same,
	}
	if leastP(ch.OldRounds, ch.NewRounds) >= limits.Alpha {
		ch.Verdict = TooFew
		return ch
	}
	if ch.P >= limits.Alpha || math.Abs(ch.New-ch.Old) < limits.Change*math.Abs(ch.Old) {
		return ch
	}
	ch.Verdict = GotBetter
	if (ch.New > ch.Old) != (after.Better == Higher) {
		ch.Verdict = GotWorse
	}
	return ch
}

// byChance returns the probability that two sets of samples differ as much as these
// or more if they come from the same distribution: the two-sided Mann-Whitney U
// test. It assumes nothing of the distribution.
func byChance(a, b []float64) float64 {
	res, err := stats.MannWhitneyUTest(a, b, stats.LocationDiffers)
	if err != nil { // all are equal, or there are none: nothing differs
		return 1
	}
	return res.P
}

// leastP returns what [byChance] says of sets of n and m samples all of which differ
// in the same direction: two of the ways to choose n of n+m are as extreme.
func leastP(n, m int) float64 {
	p := 2.0
	for k := 1; k <= n; k++ {
		p *= float64(k) / float64(m+k)
	}
	return p
}

// neededRounds returns how many samples are enough in both sets, so that they can be
// called different.
func neededRounds(alpha float64) int {
	n := 1
	for leastP(n, n) >= alpha {
		n++
	}
	return n
}
