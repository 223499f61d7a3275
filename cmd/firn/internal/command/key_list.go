package command

import (
	"bufio"
	"context"

	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine"
	"github.com/spf13/cobra"
)

func newKeyList(a *app) *cobra.Command {
	var opts engine.ListOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List keys with expiration and metadata",
		Long: `list prints a JSON array of {"name", "expiration", "metadata"}, one key a line,
sorted by the bytes of the key; expiration and metadata only where there are
any. With --limit, if keys are left, a note on standard error tells the cursor
that leads to them.`,
		Example: `  firn kv key list --prefix user:
  firn kv key list --limit 100
  firn kv key list --prefix tmp: | firn kv bulk delete -`,
		Args: positional(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("limit") && opts.Limit < 1 {
				return usage(cmd, "--limit %d: it has to be at least 1", opts.Limit)
			}
			return a.list(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Prefix, "prefix", "", "only keys that begin with this `text`")
	flags.IntVar(&opts.Limit, "limit", 0, "at most this `number` of keys (default all)")
	flags.StringVar(&opts.Cursor, "cursor", "", "go on after an earlier list, with the `cursor` it told")
	return cmd
}

const (
	listPage = 1000
	outBytes = 64 << 10
)

func (a *app) list(ctx context.Context, opts engine.ListOptions) (err error) {
	store, err := a.openRead(ctx)
	if err != nil {
		return err
	}
	defer closing(store, &err)
	out := bufio.NewWriterSize(a.out, outBytes)
	array := wire.NewArray(out)
	cursor, err := addPages(ctx, store, opts, array)
	if err != nil {
		return err
	}
	if err := array.Close(); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if cursor != "" {
		a.note("more keys follow: --cursor %s", cursor)
	}
	return nil
}

// addPages adds page after page to array, up to opts.Limit keys in all, or to
// the end if that is 0. It returns the cursor that leads on, empty at the end.
func addPages(ctx context.Context, store reader, opts engine.ListOptions, array *wire.Sequence) (string, error) {
	limited, left := opts.Limit > 0, opts.Limit
	for {
		opts.Limit = listPage
		if limited {
			opts.Limit = min(left, listPage)
		}
		page, err := store.List(ctx, opts)
		if err != nil {
			return "", err
		}
		for _, key := range page.Keys {
			if err := array.Element(wire.Listed(key)); err != nil {
				return "", err
			}
		}
		left -= len(page.Keys)
		opts.Cursor = page.Cursor
		if opts.Cursor == "" || limited && left == 0 {
			return opts.Cursor, nil
		}
	}
}
