package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/firnkv/firn/cmd/firn/internal/progress"
	"github.com/firnkv/firn/cmd/firn/internal/source"
	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine"
	"github.com/spf13/cobra"
)

type bulkGet struct {
	*app
	withMetadata bool
}

func newBulkGet(a *app) *cobra.Command {
	get := bulkGet{app: a}
	cmd := &cobra.Command{
		Use:   "get FILE|-",
		Short: "Print the values of the keys of a file",
		Long: `get reads keys from a file, or from standard input ("-"): a JSON array or NDJSON,
plain or compressed with gzip or zstd, of strings, or of objects with a "name",
as "firn kv key list" prints them.

It prints a JSON object with a member for each key, in the order of the input:
the value as a string, {"value", "base64": true} if it is not UTF-8, or null if
there is no such key. With --with-metadata each value is an object with "value",
"metadata" and, if there is one, "expiration". A key that is asked for twice is
answered twice.`,
		Example: `  echo '["greeting","farewell"]' | firn kv bulk get -
  firn kv bulk get keys.json --with-metadata
  firn kv key list --prefix user: | firn kv bulk get -`,
		Args: positional([]string{"FILE"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			return get.run(cmd.Context(), args[0])
		},
	}
	cmd.Flags().BoolVar(&get.withMetadata, "with-metadata", false, "print metadata and expiration with each value")
	return cmd
}

func (g *bulkGet) run(ctx context.Context, path string) (err error) {
	src, err := source.Open(ctx, path, g.in)
	if err != nil {
		return err
	}
	defer src.Close()
	plain, err := source.Decompress(src)
	if err != nil {
		return fmt.Errorf("%s: %w", src.Name(), err)
	}
	defer plain.Close()
	keys, err := wire.NewKeyReader(plain)
	if err != nil {
		return fmt.Errorf("%s: %w", src.Name(), err)
	}
	store, err := g.openRead(ctx)
	if err != nil {
		return err
	}
	defer closing(store, &err)
	return g.print(ctx, store, keys, src)
}

func (g *bulkGet) print(ctx context.Context, store reader, keys *wire.KeyReader, src *source.Source) error {
	out := bufio.NewWriterSize(g.out, outBytes)
	object := wire.NewObject(out)
	bar := progress.New(g.err, "reading")
	defer bar.Clear()
	for n := 0; ; {
		some, err := nextKeys(keys)
		if err != nil {
			return fmt.Errorf("%s: %w", src.Name(), err)
		}
		if len(some) == 0 {
			break
		}
		if err := g.printSome(ctx, store, some, object); err != nil {
			var bad *wire.EntryError
			if errors.As(err, &bad) {
				bad.Index += n
				return fmt.Errorf("%s: %w", src.Name(), err)
			}
			return err
		}
		n += len(some)
		bar.Set(src.Done(), src.Size(), fmt.Sprintf("%d keys", n))
	}
	if err := object.Close(); err != nil {
		return err
	}
	return out.Flush()
}

// nextKeys returns as many keys as are read at once, none at the end.
func nextKeys(keys *wire.KeyReader) (some []string, err error) {
	for len(some) < pairsAtOnce {
		key, err := keys.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		some = append(some, key)
	}
	return some, nil
}

// printSome prints the values of keys. An error about one of them is a
// [*wire.EntryError] with its position among them.
func (g *bulkGet) printSome(ctx context.Context, store reader, keys []string, object *wire.Sequence) error {
	i := 0
	for pair, err := range store.Pairs(ctx, keys) {
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return &wire.EntryError{Index: i, Key: keys[i], Err: err}
		}
		if err := object.Member(keys[i], g.value(pair)); err != nil {
			return err
		}
		i++
	}
	return nil
}

// value returns what is printed for a pair, which is nil if it is not there.
func (g *bulkGet) value(pair *engine.Pair) any {
	switch {
	case pair == nil:
		return nil
	case g.withMetadata:
		return wire.NewValue(pair.Value, pair.Metadata, pair.Expiration)
	}
	return wire.PlainValue(pair.Value)
}
