package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func newNamespaceDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete TITLE-OR-ID",
		Short: "Delete a namespace and all its pairs",
		Long: `delete removes a namespace and everything in it, for good. On a terminal it asks
before; elsewhere it needs --yes.`,
		Example: `  firn kv namespace delete old-sessions
  firn kv namespace delete old-sessions --yes`,
		Args: positional([]string{"TITLE-OR-ID"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes && !isTerminal(a.in) {
				return usage(cmd, "without a terminal to ask on, deleting a namespace needs --yes")
			}
			return a.deleteNamespace(cmd.Context(), args[0], yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) deleteNamespace(ctx context.Context, name string, sure bool) error {
	if !sure {
		question := fmt.Sprintf("Delete namespace %q and everything in it? [y/N] ", name)
		if err := a.confirm(ctx, question); err != nil {
			return err
		}
	}
	ns, err := a.namespaces().Delete(ctx, name)
	if err != nil {
		return a.hinted(ctx, name, err)
	}
	if a.json {
		return a.printJSON(listed(ns))
	}
	a.note("namespace %q, %s, is deleted", ns.Title, ns.ID)
	return nil
}

// confirm returns an error unless the user says yes.
func (a *app) confirm(ctx context.Context, question string) error {
	fmt.Fprint(a.err, question)
	answer := make(chan string, 1)
	// A read of a terminal cannot be called off: after an interrupt the
	// goroutine ends with the process.
	go func() {
		line, err := bufio.NewReader(a.in).ReadString('\n')
		if err != nil && err != io.EOF {
			line = ""
		}
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case line := <-answer:
		if line == "y" || line == "yes" {
			return nil
		}
		return errors.New("not deleted")
	}
}

func isTerminal(r io.Reader) bool {
	file, ok := r.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
