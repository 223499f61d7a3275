package command

import (
	"context"
	"fmt"

	"github.com/firnkv/firn/engine"
)

// reader is the part of a store that commands read with.
type reader interface {
	GetPair(ctx context.Context, key string) (*engine.Pair, error)
	GetReader(ctx context.Context, key string) (*engine.ValueReader, error)
	List(ctx context.Context, opts engine.ListOptions) (*engine.ListPage, error)
	Stats() engine.Stats
	Close() error
}

// empty reads as a namespace that nobody has written to.
type empty struct{}

func (empty) GetPair(context.Context, string) (*engine.Pair, error) {
	return nil, engine.ErrNotFound
}

func (empty) GetReader(context.Context, string) (*engine.ValueReader, error) {
	return nil, engine.ErrNotFound
}

func (empty) List(context.Context, engine.ListOptions) (*engine.ListPage, error) {
	return &engine.ListPage{}, nil
}

func (empty) Stats() engine.Stats { return engine.Stats{} }

func (empty) Close() error { return nil }

// closing adds the error of closing a store to the one that *err already is.
func closing(store interface{ Close() error }, err *error) {
	if failed := store.Close(); failed != nil && *err == nil {
		*err = fmt.Errorf("closing the store: %w", failed)
	}
}
