package command

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/firnkv/firn/cmd/firn/internal/remote"
	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

// directory is what commands do with namespaces: those of a data directory, or those
// of a server.
type directory interface {
	List(ctx context.Context) ([]namespaces.Namespace, error)
	Create(ctx context.Context, title string) (namespaces.Namespace, error)
	Rename(ctx context.Context, name, title string) (namespaces.Namespace, error)
	Delete(ctx context.Context, name string) (namespaces.Namespace, error)
}

// reader is what commands read the pairs of a namespace with.
type reader interface {
	// Pairs iterates over the pairs of at most pairsAtOnce keys, in their order;
	// with engine.ErrNotFound for those that are not there. Any other error ends it.
	Pairs(ctx context.Context, keys []string) iter.Seq2[*engine.Pair, error]
	OpenValue(ctx context.Context, key string) (io.ReadCloser, error)
	List(ctx context.Context, opts engine.ListOptions) (*engine.ListPage, error)
	Close() error
}

// pairsAtOnce is the limit of bulk reads.
const pairsAtOnce = 100

// writer is what commands write the pairs of a namespace with.
type writer interface {
	Put(ctx context.Context, key string, value []byte, opts *engine.PutOptions) error
	// PutFrom puts what r gives: size bytes, or -1 if that is not known.
	PutFrom(ctx context.Context, key string, r io.Reader, size int64, opts *engine.PutOptions) error
	Delete(ctx context.Context, key string) error
	NewBatch() batch
	Close() error
}

// batch is a bulk write, either of puts or of deletes. One that has begun is not called
// off, so that it is known afterwards whether it took place.
type batch interface {
	Put(key string, value []byte, opts *engine.PutOptions)
	Delete(key string)
	Len() int
	Bytes() int64 // of keys, values and metadata
	Write(ctx context.Context) error
}

// local is a namespace of a data directory.
type local struct{ *engine.Store }

func (l local) Pairs(ctx context.Context, keys []string) iter.Seq2[*engine.Pair, error] {
	return func(yield func(*engine.Pair, error) bool) {
		for _, key := range keys {
			if !yield(l.GetPair(ctx, key)) {
				return
			}
		}
	}
}

func (l local) OpenValue(ctx context.Context, key string) (io.ReadCloser, error) {
	value, err := l.GetReader(ctx, key)
	if err != nil {
		return nil, err
	}
	return value, nil
}

func (l local) PutFrom(ctx context.Context, key string, r io.Reader, _ int64, opts *engine.PutOptions) error {
	return l.PutReader(ctx, key, r, opts)
}

func (l local) NewBatch() batch { return &localBatch{store: l.Store} }

type localBatch struct {
	engine.Batch
	store *engine.Store
}

func (b *localBatch) Write(ctx context.Context) error {
	return b.store.Write(context.WithoutCancel(ctx), &b.Batch)
}

// served is a namespace of a server.
type served struct{ *remote.Namespace }

func (s served) NewBatch() batch { return s.Namespace.NewBatch() }

// empty reads as a namespace that nobody has written to.
type empty struct{}

func (empty) Pairs(_ context.Context, keys []string) iter.Seq2[*engine.Pair, error] {
	return func(yield func(*engine.Pair, error) bool) {
		for range keys {
			if !yield(nil, engine.ErrNotFound) {
				return
			}
		}
	}
}

func (empty) OpenValue(context.Context, string) (io.ReadCloser, error) {
	return nil, engine.ErrNotFound
}

func (empty) List(context.Context, engine.ListOptions) (*engine.ListPage, error) {
	return &engine.ListPage{}, nil
}

func (empty) Close() error { return nil }

// closing adds the error of closing a store to the one that *err already is.
func closing(store io.Closer, err *error) {
	if failed := store.Close(); failed != nil && *err == nil {
		*err = fmt.Errorf("closing the store: %w", failed)
	}
}
