package command

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newToken(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use:   "token",
		Short: "Work with tokens of a server",
		Long: `token makes, lists and deletes tokens that a server lets in. A server that has the file
of tokens takes up a change within a second.`,
		Example: `  firn token create app --read --write --tokens tokens`,
	},
		newTokenCreate(a),
		newTokenList(a),
		newTokenDelete(a),
	)
}

// tokensFlag is the file that the commands of token work on.
type tokensFlag string

func (f *tokensFlag) add(flags *pflag.FlagSet) {
	flags.StringVar((*string)(f), "tokens", "", "`FILE` of tokens")
}

// path returns the path of the file.
func (f tokensFlag) path(cmd *cobra.Command) (string, error) {
	if f == "" {
		return "", usage(cmd, "--tokens is missing")
	}
	return string(f), nil
}
