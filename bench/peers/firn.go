package peers

import (
	"context"
	"errors"
	"log/slog"

	"github.com/firnkv/firn/engine"
)

type firn struct{ s *engine.Store }

func openFirn(dir string, durable bool) (Store, error) {
	opts := &engine.Options{Sync: engine.SyncNever, CacheBytes: cacheBytes, Logger: slog.New(slog.DiscardHandler)}
	if durable {
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

func (f firn) Get(key string) (int, error) {
	v, err := f.s.Get(context.Background(), key)
	return len(v), err
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

func (f firn) Settle() error { return f.s.Compact(context.Background()) }

func (f firn) Sync() error { return f.s.Sync(context.Background()) }

func (f firn) Close() error { return f.s.Close() }
