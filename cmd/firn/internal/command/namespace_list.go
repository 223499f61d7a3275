package command

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine/namespaces"
	"github.com/spf13/cobra"
)

func newNamespaceList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the namespaces",
		Long: `list prints a line for each namespace: id, time of creation, and title. With --json
it prints an array of {"id", "title", "created"}. A server does not tell the time.`,
		Example: `  firn kv namespace list
  firn kv namespace list --json`,
		Args: positional(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.listNamespaces(cmd.Context())
		},
	}
}

func (a *app) listNamespaces(ctx context.Context) error {
	all, err := a.namespaces().List(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.printNamespaces(all)
	}
	if len(all) == 0 {
		a.note("there are no namespaces yet")
		return nil
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tCREATED\tTITLE")
	for _, ns := range all {
		created := "-"
		if !ns.Created.IsZero() {
			created = ns.Created.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", ns.ID, created, printable(ns.Title))
	}
	return table.Flush()
}

// listed is a namespace in JSON. Servers do not tell when it was created.
type listed struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Created time.Time `json:"created,omitzero"`
}

func (a *app) printNamespaces(all []namespaces.Namespace) error {
	out := bufio.NewWriter(a.out)
	array := wire.NewArray(out)
	for _, ns := range all {
		if err := array.Element(listed(ns)); err != nil {
			return err
		}
	}
	if err := array.Close(); err != nil {
		return err
	}
	return out.Flush()
}

// printable quotes a title that would disturb a table or a terminal.
func printable(title string) string {
	if quoted := strconv.Quote(title); quoted[1:len(quoted)-1] != title || strings.TrimSpace(title) != title {
		return quoted
	}
	return title
}
