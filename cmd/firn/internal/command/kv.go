package command

import "github.com/spf13/cobra"

func newKV(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use:     "kv",
		Short:   "Read and write pairs and namespaces",
		Long:    "kv has the commands of \"wrangler kv\".",
		Example: `  firn kv key put greeting "hello, world"`,
	},
		newKey(a),
		newBulk(a),
		newNamespace(a),
	)
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
