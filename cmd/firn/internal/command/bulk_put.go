package command

import (
	"io"

	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine"
	"github.com/spf13/cobra"
)

func newBulkPut(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "put FILE|-",
		Short: "Write the pairs of a file",
		Long: `put writes the pairs of a file, or of standard input ("-"): a JSON array or NDJSON,
plain or compressed with gzip or zstd, of objects in the shape of the bulk API:

  {"key", "value", "expiration", "expiration_ttl", "metadata", "base64"}

Key and value are required. Any number of pairs is written, in batches; each
batch is written whole or not at all. At the first bad entry put stops, names it
by its position (from 0) and key, and tells how many pairs before it are written.`,
		Example: `  firn kv bulk put pairs.json
  firn kv bulk put pairs.ndjson.zst --namespace films
  echo '{"key":"a","value":"1","expiration_ttl":3600}' | firn kv bulk put -`,
		Args: positional([]string{"FILE"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			b := bulkFile{app: a, label: "writing", entries: addPuts, result: func(w written) bulkResult {
				return bulkResult{Pairs: &w.entries, Bytes: &w.bytes}
			}}
			return b.run(cmd.Context(), args[0])
		},
	}
}

func addPuts(r io.Reader) (adder, error) {
	pairs, err := wire.NewPairReader(r)
	if err != nil {
		return nil, err
	}
	return func(b batch) error {
		p, err := pairs.Next()
		if err != nil {
			return err
		}
		b.Put(p.Key, p.Value, &engine.PutOptions{Metadata: p.Metadata, TTL: p.TTL, Expiration: p.Expiration})
		return nil
	}, nil
}
