package command

import (
	"io"

	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/spf13/cobra"
)

func newBulkDelete(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "delete FILE|-",
		Short: "Delete the keys of a file",
		Long: `delete deletes the keys of a file, or of standard input ("-"): a JSON array or
NDJSON, plain or compressed with gzip or zstd, of strings, or of objects with a
"name", as "firn kv key list" prints them. An absent key is no error.`,
		Example: `  firn kv bulk delete keys.json
  firn kv key list --prefix tmp: | firn kv bulk delete -`,
		Args: positional([]string{"FILE"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			b := bulkFile{app: a, label: "deleting", entries: addDeletes, result: func(w written) bulkResult {
				return bulkResult{Keys: &w.entries}
			}}
			return b.run(cmd.Context(), args[0])
		},
	}
}

func addDeletes(r io.Reader) (adder, error) {
	keys, err := wire.NewKeyReader(r)
	if err != nil {
		return nil, err
	}
	return func(b batch) error {
		key, err := keys.Next()
		if err == nil {
			b.Delete(key)
		}
		return err
	}, nil
}
