package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine"
	"github.com/spf13/cobra"
)

func newKeyGet(a *app) *cobra.Command {
	var withMetadata bool
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key",
		Long: `get prints the value of a key as it is, byte for byte. If there is no such key,
it prints nothing there, and the exit status is 1.

With --with-metadata it prints a JSON object with "value", "metadata" (null if
there is none) and "expiration" (if there is one). A value that is not UTF-8 is
given in base64 then, and "base64" is true.`,
		Example: `  firn kv key get greeting
  firn kv key get logo >logo.png
  firn kv key get session:17 --with-metadata`,
		Args: positional([]string{"KEY"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if withMetadata {
				return a.getPair(cmd.Context(), args[0])
			}
			return a.getValue(cmd.Context(), args[0])
		},
	}
	cmd.Flags().BoolVar(&withMetadata, "with-metadata", false, "print a JSON object with value, metadata and expiration")
	return cmd
}

func (a *app) getValue(ctx context.Context, key string) (err error) {
	store, err := a.openRead(ctx)
	if err != nil {
		return err
	}
	defer closing(store, &err)
	value, err := store.OpenValue(ctx, key)
	if err != nil {
		return a.notRead(key, err)
	}
	defer value.Close()
	_, err = io.Copy(a.out, value)
	return aboutKey("get", key, err)
}

func (a *app) getPair(ctx context.Context, key string) (err error) {
	store, err := a.openRead(ctx)
	if err != nil {
		return err
	}
	defer closing(store, &err)
	for pair, err := range store.Pairs(ctx, []string{key}) {
		if err != nil {
			return a.notRead(key, err)
		}
		return a.printJSON(wire.NewValue(pair.Value, pair.Metadata, pair.Expiration))
	}
	return nil
}

func (a *app) notRead(key string, err error) error {
	if errors.Is(err, engine.ErrNotFound) {
		return fmt.Errorf("key %q is not in namespace %q", key, a.namespaceName())
	}
	return aboutKey("get", key, err)
}

// aboutKey says in an error what was being done with which key.
func aboutKey(verb, key string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s %q: %w", verb, key, err)
}

// printJSON prints a result on one line.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
