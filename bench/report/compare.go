package report

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"

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
	Same      Verdict = "same" // no difference that counts
)

// Comparison is what differs between two reports.
type Comparison struct {
	Better  int      `json:"better"` // how many metrics got better
	Worse   int      `json:"worse"`
	Changes []Change `json:"changes"` // of all metrics that are in both
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
	}
	c.Changes = append(c.Changes, ch)
}

// changed compares two metrics of the same kind.
func changed(before, after *Metric, limits Limits) Change {
	ch := Change{
		Metric: after.Name, Unit: after.Unit, Old: before.Median(), New: after.Median(),
		P: byChance(before.Samples, after.Samples), Verdict: Same,
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

// percent returns by how much the new median is above the old one, with its sign.
func (ch *Change) percent() string {
	if ch.Old == ch.New {
		return "0 %"
	}
	return fmt.Sprintf("%+.1f %%", 100*(ch.New/ch.Old-1))
}

// WriteText writes what got better or worse as a table for people.
func (c *Comparison) WriteText(w io.Writer) error {
	for _, note := range c.Notes {
		fmt.Fprintf(w, "Note: %s.\n", note)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(ch *Change) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s → %s\t%s\tp=%.3f\n", ch.Verdict, ch.Workload, ch.Engine, ch.Metric,
			ch.Unit.Format(ch.Old), ch.Unit.Format(ch.New), ch.percent(), ch.P)
	}
	row(&c.Disk)
	for i := range c.Changes {
		if c.Changes[i].Verdict != Same {
			row(&c.Changes[i])
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d better, %d worse, of %d metrics\n", c.Better, c.Worse, len(c.Changes))
	return err
}
