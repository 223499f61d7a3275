package command

import (
	"github.com/spf13/cobra"
)

func newRoot(a *app) *cobra.Command {
	cobra.EnableCommandSorting = false
	root := group(&cobra.Command{
		Use:   "firn",
		Short: "An append-only key-value store with the meaning of Workers KV",
		Long: `firn works with a Firn data directory: an append-only, log-structured key-value
store with the meaning of Workers KV. Results go to standard output, everything
else to standard error. Exit status: 0 done, 1 failed or not found, 2 wrong usage.`,
		Example: `  firn kv key put greeting "hello, world" --ttl 3600
  firn kv key get greeting
  firn kv bulk put pairs.json
  firn kv key list --prefix user:`,
		Version:       version().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			return refuseEmpty(cmd, "dir", "namespace")
		},
	},
		newKV(a),
		newServe(a),
		newDev(a),
		newToken(a),
		newStats(a),
		newVerify(a),
		newCompact(a),
		newBackup(a),
		newRestore(a),
		newSalvage(a),
		newBench(a),
		newVersion(a),
	)
	root.SetVersionTemplate("firn {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp())
	root.SetUsageTemplate(usageTemplate)

	flags := root.PersistentFlags()
	flags.StringVar(&a.dir, "dir", "", "data `directory` (default $FIRN_DIR, or else ./firn-data)")
	flags.StringVarP(&a.namespace, "namespace", "n", "", "`title` or id of the namespace (default \"default\", created by its first write)")
	flags.BoolVar(&a.json, "json", false, "print JSON where the default is for people")

	dressCompletion(root)
	return root
}

// refuseEmpty refuses flags that are given but empty, as by a script with an
// unset variable, which must not mean the default.
func refuseEmpty(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
			return usage(cmd, "--%s is empty", name)
		}
	}
	return nil
}
