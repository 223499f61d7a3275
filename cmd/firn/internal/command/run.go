package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const (
	statusDone   = 0
	statusFailed = 1
	statusUsage  = 2
)

// Run runs one command line, without the name of the program, and returns the
// exit status.
func Run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From the first signal on, a second one has its default effect, for when
	// stopping takes too long.
	context.AfterFunc(ctx, stop)

	root := newRoot(&app{in: in, out: out, err: errOut})
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	return report(errOut, root.ExecuteContext(ctx))
}

func report(errOut io.Writer, err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return statusDone
	case errors.As(err, &usage):
		fmt.Fprintf(errOut, "firn: %s\nRun \"%s --help\" for usage.\n", usage.message, usage.command)
		return statusUsage
	case errors.Is(err, errHelpShown):
		return statusUsage
	}
	fmt.Fprintf(errOut, "firn: %s\n", inWords(err))
	return statusFailed
}

// inWords returns the text of an error. The cause of a cancelled context is
// always a signal.
func inWords(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return err.Error()
}
