package command

import (
	"errors"
	"fmt"

	"github.com/firnkv/firn/cmd/firn/internal/auth"
	"github.com/spf13/cobra"
)

func newTokenDelete(a *app) *cobra.Command {
	var tokens tokensFlag
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a token",
		Long: `delete removes a token from the file of tokens, which keeps its mode, its owner and
everything else that is in it. A server that has the file refuses the token within a second.

The file is replaced by a new one. So where a container or a service is to see the change,
give it the directory of the file; the file alone would remain the old one there.`,
		Example: `  firn token delete app --tokens tokens`,
		Args:    positional([]string{"NAME"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := tokens.path(cmd)
			if err != nil {
				return err
			}
			return a.deleteToken(file, args[0])
		},
	}
	tokens.add(cmd.Flags())
	return cmd
}

func (a *app) deleteToken(file, name string) error {
	err := auth.Delete(file, name)
	if errors.Is(err, auth.ErrNoName) {
		return fmt.Errorf("%w%s", err, didYouMeanToken(file, name))
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(deletedToken{name})
	}
	a.note("token %q is deleted", name)
	return nil
}

// deletedToken is a token that was deleted, in JSON.
type deletedToken struct {
	Name string `json:"name"`
}

func didYouMeanToken(file, name string) string {
	all, err := auth.List(file)
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range all {
		names = append(names, e.Name)
	}
	return didYouMean(name, names, "")
}
