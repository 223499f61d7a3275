package command

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine"
	"github.com/spf13/cobra"
)

func newStats(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Show what a namespace holds and what it costs",
		Long: `stats shows the live pairs of a namespace, what they take on disk and in memory,
garbage by its cause, and the segments: their form (log as it was written, young or
settled when packed, values for large ones), what is live in them and what is not. Live
and garbage bytes are those of keys, metadata and values before compression.`,
		Example: `  firn stats
  firn stats --namespace sessions --json`,
		Args: positional(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.stats(cmd.Context())
		},
	}
}

func (a *app) stats(ctx context.Context) (err error) {
	store, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	var st engine.Stats
	if store != nil {
		defer closing(store, &err)
		st = store.Stats()
	}
	if a.json {
		return a.printJSON(wire.SnakeCase(st))
	}
	return printStats(a.out, &st)
}

func printStats(w io.Writer, st *engine.Stats) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("live", "%d keys, %s", st.Keys, size(st.Bytes))
	row("on disk", "%s%s", size(st.DiskBytes), times(st.SpaceAmplification, "live bytes"))
	row("overwritten", "%s", count(st.Garbage.Overwritten))
	row("deleted", "%s", count(st.Garbage.Deleted))
	row("expired", "%s", count(st.Garbage.Expired))
	row("tombstones", "%d", st.Tombstones)
	row("index", "%s of memory", size(st.IndexBytes))
	row("key lists", "%s of memory", size(st.KeyLogBytes))
	row("cache", "%s of memory, %d hits, %d misses", size(st.CacheBytes), st.CacheHits, st.CacheMisses)
	if st.WrittenBytes > 0 {
		row("written", "%s%s", size(st.LogBytes), times(st.WriteAmplification, "bytes put"))
	}
	if st.CutBytes > 0 {
		row("torn tail", "%s, not acknowledged", size(st.CutBytes))
	}
	compactionRows(row, &st.Compaction)
	row("segments", "%d", len(st.Segments))
	if err := t.Flush(); err != nil || len(st.Segments) == 0 {
		return err
	}
	fmt.Fprintln(w)
	return printSegments(w, st.Segments)
}

// compactionRows shows what compaction does and has done, if it was open to do
// anything.
func compactionRows(row func(name, format string, args ...any), st *engine.CompactionStats) {
	switch {
	case st.Running != "":
		row("compacting", "%s: %d segments, %s written so far", st.Running, len(st.Victims), size(st.RunningBytes))
	case st.Paused:
		row("compacting", "paused")
	}
	if st.Delayed {
		row("delayed", "writers, until compaction has caught up")
	}
	if len(st.Jobs) > 0 {
		row("compactions", "%s", jobs(st.Jobs))
		row("reclaimed", "%d segments, %s; %s written for it", st.Removed, size(st.FreedBytes), size(st.MadeBytes))
	}
	if st.LastError != "" {
		row("failed", "the last compaction: %s", st.LastError)
	}
}

// jobs lists the number of jobs by reason.
func jobs(byReason map[string]int64) string {
	var list []string
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		list = append(list, fmt.Sprintf("%d %s", byReason[reason], reason))
	}
	return strings.Join(list, ", ")
}

func printSegments(w io.Writer, segments []engine.SegmentStats) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "segment\tform\tstate\tkeys\tlive\toverwritten\tdeleted\texpired\tdeletes\ton disk\t")
	for _, s := range segments {
		g := s.Garbage
		fmt.Fprintf(t, "%d\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%d\t%s\t\n",
			s.ID, s.Form, s.State, s.Live.Records, size(s.Live.Bytes), some(g.Overwritten), some(g.Deleted), some(g.Expired),
			s.Tombstones, size(s.DiskBytes))
	}
	return t.Flush()
}

// some is how many bytes there are, if there are any.
func some(c engine.Count) string {
	if c.Records == 0 {
		return "-"
	}
	return size(c.Bytes)
}

func count(c engine.Count) string { return fmt.Sprintf("%d records, %s", c.Records, size(c.Bytes)) }

func times(ratio float64, of string) string {
	if ratio == 0 {
		return ""
	}
	return fmt.Sprintf(", %.2f times the %s", ratio, of)
}

// size is a number of bytes for people.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	units := "kMGTPE"
	x := float64(n) / 1000
	for x >= 999.95 && len(units) > 1 {
		x, units = x/1000, units[1:]
	}
	return fmt.Sprintf("%.1f %cB", x, units[0])
}
