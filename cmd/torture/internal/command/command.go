// Package command is the command line of torture.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/firnkv/firn/cmd/torture/internal/kill"
)

// Run runs one command line, without the name of the program, and returns the exit
// status.
func Run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(errOut, "torture: %v\n", err)
		return 1
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "torture",
		Short:         "Kill, damage and load stores at random, and check what they hold",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("a command is missing; --help lists them")
		},
	}
	root.AddCommand(newKill(), newSoak(), &cobra.Command{
		Use:    kill.ChildArg,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return kill.Child(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	})
	return root
}

// common are the flags of all commands.
type common struct {
	dir  string
	seed uint64
}

func (c *common) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.dir, "dir", "", "`directory` to work in (default that for temporary files)")
	cmd.Flags().Uint64Var(&c.seed, "seed", 0, "`seed` of what happens (default a random one)")
}

// within calls work with a new directory. That is removed, unless there is a
// violation to look at.
func (c *common) within(ctx context.Context, out io.Writer, work func(dir string) error) error {
	if c.seed == 0 {
		c.seed = rand.Uint64()
	}
	if c.dir != "" {
		if err := os.MkdirAll(c.dir, 0o700); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(c.dir, "torture-")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "seed %d, in %s\n", c.seed, dir)
	err = work(dir)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("VIOLATION with seed %d, left in %s:\n%w", c.seed, dir, err)
	}
	if err == nil {
		err = ctx.Err()
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	return errors.Join(err, os.RemoveAll(dir))
}
