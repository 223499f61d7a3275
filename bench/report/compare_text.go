package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

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
		if v := c.Changes[i].Verdict; v == GotBetter || v == GotWorse {
			row(&c.Changes[i])
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, group := range c.tooFew() {
		fmt.Fprintln(w, group)
	}
	_, err := fmt.Fprintf(w, "%d better, %d worse, %d not to be told, of %d metrics\n", c.Better, c.Worse, c.TooFew, len(c.Changes))
	return err
}

// tooFew names the workloads about which nothing can be said, by their rounds.
func (c *Comparison) tooFew() []string {
	type rounds struct{ before, after int }
	var order []rounds
	workloads := map[rounds][]string{}
	for i := range c.Changes {
		ch := &c.Changes[i]
		if ch.Verdict != TooFew {
			continue
		}
		r := rounds{ch.OldRounds, ch.NewRounds}
		if workloads[r] == nil {
			order = append(order, r)
		}
		if !slices.Contains(workloads[r], ch.Workload) {
			workloads[r] = append(workloads[r], ch.Workload)
		}
	}
	var groups []string
	for _, r := range order {
		groups = append(groups, fmt.Sprintf("Too few rounds to tell, %d and %d, where %d in each report are enough: %s.",
			r.before, r.after, c.Needed, strings.Join(workloads[r], ", ")))
	}
	return groups
}
