package bench

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/firnkv/firn/engine"
)

// Firn is the engine of this module.
var Firn = Engine{
	Name:          "firn",
	Module:        "github.com/firnkv/firn",
	Configuration: "The defaults: zstd, 64 MiB of cache, compaction by itself; values are read into buffers that are used again. SyncAlways where puts are durable, otherwise SyncNever.",
	Open:          openFirn,
}

type firn struct{ s *engine.Store }

func openFirn(dir string, o Options) (Store, error) {
	opts := &engine.Options{
		Sync:       engine.SyncNever,
		CacheBytes: CacheBytes,
		Limits:     engine.Limits{MinTTL: time.Second},
		Logger:     slog.New(slog.DiscardHandler),
	}
	if o.Durable {
		opts.Sync = engine.SyncAlways
	}
	s, err := engine.Open(dir, opts)
	if err != nil {
		return nil, err
	}
	return firn{s}, nil
}

func (f firn) Put(key string, value []byte) error {
	return f.s.Put(context.Background(), key, value, nil)
}

func (f firn) PutTTL(key string, value []byte, ttl time.Duration) error {
	return f.s.Put(context.Background(), key, value, &engine.PutOptions{TTL: ttl})
}

func (f firn) PutStream(key string, r io.Reader) error {
	return f.s.PutReader(context.Background(), key, r, nil)
}

// values are buffers to read into, as callers have who read without allocating.
var values = sync.Pool{New: func() any { return new([]byte) }}

func (f firn) Get(key string) (int, error) {
	buf := values.Get().(*[]byte)
	v, err := f.s.GetAppend(context.Background(), (*buf)[:0], key)
	*buf = v
	values.Put(buf)
	return len(v), err
}

func (f firn) GetTo(key string, w io.Writer) error {
	r, err := f.s.GetReader(context.Background(), key)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

func (f firn) Missing(key string) (bool, error) {
	_, err := f.s.Get(context.Background(), key)
	if errors.Is(err, engine.ErrNotFound) {
		return true, nil
	}
	return false, err
}

func (f firn) List(prefix, cursor string, limit int) (int, string, error) {
	page, err := f.s.List(context.Background(), engine.ListOptions{Prefix: prefix, Limit: limit, Cursor: cursor})
	if err != nil {
		return 0, "", err
	}
	return len(page.Keys), page.Cursor, nil
}

func (f firn) PutMetadata(key string, value, metadata []byte) error {
	return f.s.Put(context.Background(), key, value, &engine.PutOptions{Metadata: metadata})
}

func (f firn) ListMetadata(prefix, cursor string, limit int) (n, metadata int, next string, err error) {
	page, err := f.s.List(context.Background(), engine.ListOptions{Prefix: prefix, Limit: limit, Cursor: cursor})
	if err != nil {
		return 0, 0, "", err
	}
	for i := range page.Keys {
		metadata += len(page.Keys[i].Metadata)
	}
	return len(page.Keys), metadata, page.Cursor, nil
}

func (f firn) Settle() error { return f.s.Compact(context.Background()) }

func (f firn) Sync() error { return f.s.Sync(context.Background()) }

func (f firn) Close() error { return f.s.Close() }
