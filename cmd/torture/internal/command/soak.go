package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/firnkv/firn/cmd/torture/internal/soak"
)

type soakOptions struct {
	common
	time  time.Duration
	steps int
	json  bool
}

func newSoak() *cobra.Command {
	var o soakOptions
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Do everything at random for some time, and compare with a model",
		Long: `soak does at random, for as long as it is told: load with writers, readers, streams,
listings, full compactions, pauses, backups and a clock that moves ahead; reopening after
a clean close, and without one; restores; bytes damaged in copies; kills as the command
kill does. All that is read is compared with a model. At the end it prints what it did on
standard output. Exit status 1 means that there was a violation.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.within(cmd.Context(), cmd.ErrOrStderr(), func(dir string) error {
				return o.run(cmd.Context(), dir, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	o.bind(cmd)
	cmd.Flags().DurationVar(&o.time, "for", time.Hour, "`time` to go on")
	cmd.Flags().IntVar(&o.steps, "steps", 0, "`steps` after which to end, if the time is not over before (default no limit)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON instead of a table")
	return cmd
}

// lineEvery is the time between lines that say how far it is.
const lineEvery = time.Minute

func (o *soakOptions) run(ctx context.Context, dir string, out, errOut io.Writer) error {
	begin := time.Now()
	run, err := soak.New(dir, o.seed)
	if err != nil {
		return err
	}
	said := begin
	n := 0
	for ; err == nil && ctx.Err() == nil && time.Since(begin) < o.time && (o.steps == 0 || n < o.steps); n++ {
		err = run.Step(ctx)
		if time.Since(said) >= lineEvery {
			said = time.Now()
			fmt.Fprintf(errOut, "%v: %d steps\n", said.Sub(begin).Round(time.Second), n+1)
		}
	}
	rep := run.Report()
	rep.Seconds = time.Since(begin).Seconds()
	if err != nil && ctx.Err() == nil {
		rep.Violations = 1
	}
	return errors.Join(err, run.Close(), o.print(out, rep))
}

func (o *soakOptions) print(out io.Writer, rep soak.Report) error {
	if o.json {
		return json.NewEncoder(out).Encode(rep)
	}
	return rep.Print(out)
}
