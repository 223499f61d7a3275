package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/firnkv/firn/cmd/torture/internal/kill"
)

func newKill() *cobra.Command {
	var c common
	var rounds int
	cmd := &cobra.Command{
		Use:   "kill",
		Short: "Kill a process that writes, over and over, and check what it leaves",
		Long: `kill starts a process that writes to a store, with 1 or 16 writers, while it is
compacted and backed up, and kills it at a random moment. Every write that it
acknowledged has to be there then, and what it was about to acknowledge as a whole or not
at all; nothing that was deleted or overwritten may be. The same store is used for all
rounds. Exit status 1 means that there was a violation.

The seed says what is written and when to kill; it does not make the operating system do
the same twice.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.within(cmd.Context(), cmd.OutOrStdout(), func(dir string) error {
				return runKill(cmd.Context(), cmd.OutOrStdout(), kill.New(dir, c.seed), rounds)
			})
		},
	}
	c.bind(cmd)
	cmd.Flags().IntVar(&rounds, "rounds", 200, "how many `times` to kill")
	return cmd
}

// linesEvery is how many rounds there are to a line.
const linesEvery = 10

func runKill(ctx context.Context, out io.Writer, run *kill.Run, rounds int) error {
	for i := range rounds {
		if err := run.Round(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintf(out, "%v\n1 violation\n", run.Counts)
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if (i+1)%linesEvery == 0 && i+1 < rounds {
			fmt.Fprintln(out, run.Counts)
		}
	}
	fmt.Fprintf(out, "%v\n0 violations\n", run.Counts)
	return nil
}
