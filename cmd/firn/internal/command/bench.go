package command

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/firnkv/firn/bench"
	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/cmd/firn/internal/progress"
	"github.com/spf13/cobra"
)

func newBench(a *app) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast this machine is with Firn",
		Long: `bench measures stores that it makes for that, and prints a report: how fast, how big,
and how steady. It takes some minutes, with --quick half a minute, and does not touch
the data directory. What it makes, it removes.

Figures drift from machine to machine and from minute to minute. "firn bench compare"
says what differs between two reports, with significance. The module bench/peers of
the source compares Firn with other stores in one run.`,
		Example: `  firn bench --quick
  firn bench --out report                       # report.json, report.md, report.html, plots as SVG
  firn bench --keys 1000000 --only '^get/' --scratch /mnt/disk
  firn bench --data pairs.ndjson.zst --json >report.json
  firn bench compare before/report.json after/report.json`,
		Args:        benchArgs,
		Annotations: map[string]string{"alone": "it is a command, and not only a group"},
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := o.config(cmd)
			if err != nil {
				return err
			}
			return a.bench(cmd.Context(), config, o.out)
		},
	}
	o.bind(cmd)
	cmd.AddCommand(newBenchCompare(a), newBenchChild(a))
	return cmd
}

// benchArgs refuses arguments: the nearest command may have been meant.
func benchArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	return nil
}

// benchOptions are the flags of bench.
type benchOptions struct {
	quick   bool
	keys    int
	rounds  int
	only    string
	data    string
	random  bool
	scratch string
	out     string
}

func (o *benchOptions) bind(cmd *cobra.Command) {
	full, quick := bench.Full(), bench.Quick()
	flags := cmd.Flags()
	flags.BoolVar(&o.quick, "quick", false, fmt.Sprintf("smaller stores and shorter rounds: %d keys, %d rounds", quick.Data.Keys, quick.Rounds))
	flags.IntVar(&o.keys, "keys", 0, fmt.Sprintf("`number` of pairs in a store (default %d)", full.Data.Keys))
	flags.IntVar(&o.rounds, "rounds", 0, fmt.Sprintf("`number` of rounds of each workload (default %d)", full.Rounds))
	flags.StringVar(&o.only, "only", "", "run the workloads whose names match `regexp`")
	flags.StringVar(&o.data, "data", "", "take the pairs from `file`: lines of JSON with \"key\" and \"value\", plain or zstd")
	flags.BoolVar(&o.random, "random", false, "take values that cannot be compressed (default JSON documents)")
	flags.StringVar(&o.scratch, "scratch", "", "make the stores in `directory`, to measure its disk (default that for temporary files)")
	flags.StringVar(&o.out, "out", "", "write the report to `directory` too, as JSON, Markdown and HTML")
}

// config returns what the flags say.
func (o *benchOptions) config(cmd *cobra.Command) (bench.Config, error) {
	c := bench.Full()
	if o.quick {
		c = bench.Quick()
	}
	flags := cmd.Flags()
	switch {
	case flags.Changed("keys") && o.keys < 1:
		return c, usage(cmd, "--keys is less than 1")
	case flags.Changed("rounds") && o.rounds < 1:
		return c, usage(cmd, "--rounds is less than 1")
	case o.data != "" && o.random:
		return c, usage(cmd, "--data and --random exclude each other")
	}
	if o.keys > 0 {
		c.Data.Keys = o.keys
	}
	if o.rounds > 0 {
		c.Rounds = o.rounds
	}
	switch {
	case o.data != "":
		c.Data.Kind, c.Data.File = dataset.Pairs, o.data
	case o.random:
		c.Data.Kind = dataset.Random
	}
	var err error
	if c.Workloads, err = bench.Select(c.Workloads, o.only); err != nil {
		return c, usage(cmd, "--only: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		return c, err
	}
	c.Engines, c.Dir, c.Child = benchEngines, o.scratch, []string{self, "bench", "child"}
	return c, nil
}

var benchEngines = []bench.Engine{bench.Firn}

// bench measures, and reports also if something failed.
func (a *app) bench(ctx context.Context, c bench.Config, dir string) error {
	bar := progress.New(a.err, "measuring")
	c.Progress = func(step string) { bar.Set(0, 0, step) }
	r, err := bench.Run(ctx, c)
	bar.Clear()
	if r == nil {
		return err
	}
	if dir != "" {
		err = errors.Join(err, r.WriteFiles(dir))
	}
	if a.json {
		return errors.Join(err, r.WriteJSON(a.out))
	}
	return errors.Join(err, r.WriteMarkdown(a.out))
}

// newBenchChild is what bench runs in processes of its own.
func newBenchChild(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "child",
		Hidden: true,
		Args:   positional(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			return bench.Child(cmd.Context(), benchEngines, a.in, a.out)
		},
	}
}
