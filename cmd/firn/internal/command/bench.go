package command

import (
	"context"
	"errors"
	"flag"
	"os"

	"github.com/firnkv/firn/bench"
	"github.com/firnkv/firn/cmd/firn/internal/progress"
	"github.com/spf13/cobra"
)

func newBench(a *app) *cobra.Command {
	var (
		chosen bench.Choice
		out    string
	)
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
			config, err := benchConfig(cmd, &chosen)
			if err != nil {
				return err
			}
			return a.bench(cmd.Context(), config, out)
		},
	}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	chosen.Flags(flags)
	cmd.Flags().AddGoFlagSet(flags)
	cmd.Flags().StringVar(&out, "out", "", "write the report to `directory` too, as JSON, Markdown and HTML, with plots as SVG")
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

// benchConfig returns the settings of the flags.
func benchConfig(cmd *cobra.Command, chosen *bench.Choice) (bench.Config, error) {
	c, err := chosen.Config()
	if err != nil {
		return c, usage(cmd, "%v", err)
	}
	self, err := os.Executable()
	c.Engines, c.Child = benchEngines, []string{self, "bench", "child"}
	return c, err
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
