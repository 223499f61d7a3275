package command

import (
	"bufio"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/auth"
	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/spf13/cobra"
)

func newTokenList(a *app) *cobra.Command {
	var tokens tokensFlag
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tokens",
		Long: `list prints a line for each token in the file: when it was created, if that is known,
what it allows, its name, and the namespaces that it is for, * meaning all. With --json it
prints an array of {"name", "allow", "namespaces", "created"}. The tokens themselves are not
in the file.`,
		Example: `  firn token list --tokens tokens
  firn token list --tokens tokens --json`,
		Args: positional(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := tokens.path(cmd)
			if err != nil {
				return err
			}
			return a.listTokens(file)
		},
	}
	tokens.add(cmd.Flags())
	return cmd
}

func (a *app) listTokens(file string) error {
	all, err := auth.List(file)
	if err != nil {
		return err
	}
	if a.json {
		return a.printTokens(all)
	}
	if len(all) == 0 {
		a.note("there are no tokens in %s", file)
		return nil
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CREATED\tALLOW\tNAME\tNAMESPACES")
	for _, e := range all {
		created := "-"
		if !e.Created.IsZero() {
			created = e.Created.Format(time.RFC3339)
		}
		var namespaces []string
		for _, name := range e.Namespaces {
			namespaces = append(namespaces, printable(name))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", created, strings.Join(e.Allow, ","), printable(e.Name), strings.Join(namespaces, ", "))
	}
	return table.Flush()
}

// listedToken is a token in JSON.
type listedToken struct {
	Name       string    `json:"name"`
	Allow      []string  `json:"allow"`
	Namespaces []string  `json:"namespaces"`
	Created    time.Time `json:"created,omitzero"`
}

func (a *app) printTokens(all []auth.Entry) error {
	out := bufio.NewWriter(a.out)
	array := wire.NewArray(out)
	for _, e := range all {
		if err := array.Element(listedToken{e.Name, e.Allow, e.Namespaces, e.Created}); err != nil {
			return err
		}
	}
	if err := array.Close(); err != nil {
		return err
	}
	return out.Flush()
}
