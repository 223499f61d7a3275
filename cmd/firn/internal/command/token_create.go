package command

import (
	"github.com/firnkv/firn/cmd/firn/internal/auth"
	"github.com/spf13/cobra"
)

func newTokenCreate(a *app) *cobra.Command {
	var (
		tokens              tokensFlag
		read, write, manage bool
		namespaces          []string
	)
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a token",
		Long: `create prints a new random token, this once, and appends its hash to the file of tokens,
which it makes if it is not there. A server that has the file knows the token within a
second. "firn token delete" ends it; to replace one, create the new one first.

--read allows reads of pairs, --write writes and deletes of pairs, and --manage to list,
create, rename and delete namespaces. Reads and writes are allowed in all namespaces, or
only in those that --namespace names; a title is that of whichever namespace has it at
the time.`,
		Example: `  firn token create app --read --write --namespace sessions --tokens tokens
  firn token create admin --read --write --manage --tokens tokens`,
		Args: positional([]string{"NAME"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := tokens.path(cmd)
			if err != nil {
				return err
			}
			e := auth.Entry{Name: args[0], Namespaces: namespaces}
			for _, scope := range []struct {
				name  string
				given bool
			}{{auth.Read, read}, {auth.Write, write}, {auth.Manage, manage}} {
				if scope.given {
					e.Allow = append(e.Allow, scope.name)
				}
			}
			if len(e.Allow) == 0 {
				return usage(cmd, "the token would allow nothing: give --read, --write or --manage")
			}
			if manage && len(namespaces) > 0 {
				return usage(cmd, "--manage is for all namespaces, so --namespace cannot go with it")
			}
			return a.createToken(file, e)
		},
	}
	flags := cmd.Flags()
	tokens.add(flags)
	flags.BoolVar(&read, "read", false, "allow reads")
	flags.BoolVar(&write, "write", false, "allow writes and deletes")
	flags.BoolVar(&manage, "manage", false, "allow to list, create, rename and delete namespaces")
	flags.StringArrayVarP(&namespaces, "namespace", "n", nil, "`title` or id of a namespace that it is for; may be repeated (default all)")
	return cmd
}

// created is a new token, in JSON.
type created struct {
	Token string `json:"token"`
	auth.Entry
}

func (a *app) createToken(file string, e auth.Entry) error {
	if len(e.Namespaces) == 0 {
		e.Namespaces = []string{auth.AllNamespaces}
	}
	secret, err := auth.Append(file, &e)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(created{secret, e})
	}
	return a.printLine(secret)
}
