package command

import "github.com/spf13/cobra"

func newToken(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use:     "token",
		Short:   "Work with tokens of a server",
		Long:    "token makes tokens that a server lets in.",
		Example: `  firn token create app --read --write --tokens tokens`,
	},
		newTokenCreate(a),
	)
}
