package command

import "github.com/spf13/cobra"

func newNamespaceCreate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "create TITLE",
		Short:   "Create a namespace",
		Long:    "create makes a namespace and prints its id. The title is 1 to 512 characters long.",
		Example: `  firn kv namespace create sessions`,
		Args:    positional([]string{"TITLE"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			ns, err := a.namespaces().Create(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(listed(ns))
			}
			return a.printLine(ns.ID)
		},
	}
}
