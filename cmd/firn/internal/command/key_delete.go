package command

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

func newKeyDelete(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "delete KEY...",
		Short: "Delete keys",
		Long:  "delete deletes keys with all that belongs to them. An absent key is no error.",
		Example: `  firn kv key delete greeting
  firn kv key delete session:17 session:18`,
		Args: positional([]string{"KEY..."}),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.deleteKeys(cmd.Context(), args)
		},
	}
}

func (a *app) deleteKeys(ctx context.Context, keys []string) (err error) {
	store, err := a.openWrite(ctx)
	if err != nil {
		return err
	}
	defer closing(store, &err)
	if len(keys) == 1 {
		return aboutKey("delete", keys[0], store.Delete(ctx, keys[0]))
	}
	_, err = writeAll(ctx, func() {}, store, addKeys(keys), nil)
	return err
}

func addKeys(keys []string) adder {
	return func(b batch) error {
		if len(keys) == 0 {
			return io.EOF
		}
		b.Delete(keys[0])
		keys = keys[1:]
		return nil
	}
}
