package command

import (
	"fmt"

	reports "github.com/firnkv/firn/bench/report"
	"github.com/spf13/cobra"
)

func newBenchCompare(a *app) *cobra.Command {
	limits := reports.DefaultLimits
	percent := limits.Change * 100
	cmd := &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "Say what got faster or slower",
		Long: `compare reads the JSON of two reports and prints what differs between them, with the
probability of a difference like that by chance (Mann-Whitney U test over the rounds).
What is less likely than --alpha and at least --change counts as better or worse. That
takes four rounds in each report; workloads with fewer are named. Those that take long
have half of the rounds: make reports with --rounds 8 to compare them too. Of some
hundred metrics, a few differ by chance.

Exit status: 0 nothing got worse, 1 something did or the reports cannot be read, 2 wrong
usage.`,
		Example: `  firn bench compare before/report.json after/report.json
  firn bench compare old.json new.json --change 10 --json`,
		Args: positional([]string{"OLD", "NEW"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			limits.Change = percent / 100
			if limits.Alpha <= 0 || limits.Alpha >= 1 || limits.Change < 0 {
				return usage(cmd, "--alpha is between 0 and 1, and --change is not negative")
			}
			return a.benchCompare(args[0], args[1], limits)
		},
	}
	cmd.Flags().Float64Var(&limits.Alpha, "alpha", limits.Alpha, "call a difference significant that is less `likely` by chance")
	cmd.Flags().Float64Var(&percent, "change", percent, "and at least so many `percent`")
	return cmd
}

func (a *app) benchCompare(oldPath, newPath string, limits reports.Limits) error {
	before, err := reports.ReadFile(oldPath)
	if err != nil {
		return err
	}
	after, err := reports.ReadFile(newPath)
	if err != nil {
		return err
	}
	c := reports.Compare(before, after, limits)
	if a.json {
		err = a.printJSON(c)
	} else {
		err = c.WriteText(a.out)
	}
	if err == nil && c.Worse > 0 {
		err = fmt.Errorf("%d metrics got worse", c.Worse)
	}
	return err
}
