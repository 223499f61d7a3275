package command

import "github.com/spf13/cobra"

func newKV(a *app) *cobra.Command {
	kv := group(&cobra.Command{
		Use:   "kv",
		Short: "Read and write pairs and namespaces",
		Long: `kv has the commands of "wrangler kv". They work on a data directory or, with --url, on
a server: "firn serve", or any other that has the REST API of Workers KV. The path of the
URL is /client/v4 if it has none; unix:PATH is a Unix socket of "firn serve". Both do the
same, with the same output and exit status: 0 done, 1 failed or not found, 2 wrong usage.

The token of a server is in a file or in the environment, where nobody sees it in a list of
processes. Of the proxies in the environment, only that for https is used.

Requests that a server is too busy for are tried again. So are puts and deletes whose
connection breaks: they may be done twice then, and the second time undo what somebody else
has written in between.`,
		Example: `  firn kv key put greeting "hello, world"
  firn kv key list --url http://127.0.0.1:8787
  firn kv key list --url unix:/run/firn/socket
  FIRN_URL=https://kv.example.com firn kv key get greeting --token-file token`,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			// Of those of its parents, cobra runs only the next one.
			if err := cmd.Root().PersistentPreRunE(cmd, args); err != nil {
				return err
			}
			return a.connect(cmd)
		},
	},
		newKey(a),
		newBulk(a),
		newNamespace(a),
	)
	a.server.add(kv.PersistentFlags())
	return kv
}

func newKey(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use:     "key",
		Short:   "Work with single pairs",
		Long:    "key writes, reads, deletes and lists single pairs.",
		Example: `  firn kv key get greeting`,
	},
		newKeyPut(a),
		newKeyGet(a),
		newKeyDelete(a),
		newKeyList(a),
	)
}

func newBulk(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use:     "bulk",
		Short:   "Work with many pairs at once",
		Long:    "bulk writes, reads and deletes as many pairs as a file names.",
		Example: `  firn kv bulk put pairs.ndjson.zst`,
	},
		newBulkPut(a),
		newBulkGet(a),
		newBulkDelete(a),
	)
}

func newNamespace(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use:     "namespace",
		Short:   "Work with namespaces",
		Long:    "namespace creates, lists, renames and deletes namespaces.",
		Example: `  firn kv namespace create sessions`,
	},
		newNamespaceCreate(a),
		newNamespaceList(a),
		newNamespaceRename(a),
		newNamespaceDelete(a),
	)
}
