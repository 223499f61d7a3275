package command

import "github.com/spf13/cobra"

func newNamespaceRename(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "rename TITLE-OR-ID NEW-TITLE",
		Short:   "Give a namespace another title",
		Long:    "rename gives a namespace another title. Its id and its pairs stay.",
		Example: `  firn kv namespace rename sessions old-sessions`,
		Args:    positional([]string{"TITLE-OR-ID", "NEW-TITLE"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			ns, err := a.namespaces().Rename(cmd.Context(), args[0], args[1])
			if err != nil {
				return a.hinted(cmd.Context(), args[0], err)
			}
			if a.json {
				return a.printJSON(listed(ns))
			}
			a.note("namespace %s is %q now", ns.ID, ns.Title)
			return nil
		},
	}
}
