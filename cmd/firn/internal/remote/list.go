package remote

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine"
)

// List returns a page of keys.
func (n *Namespace) List(ctx context.Context, opts engine.ListOptions) (*engine.ListPage, error) {
	path := n.path("/keys")
	if path == "" {
		return &engine.ListPage{}, nil
	}
	query := url.Values{}
	if opts.Limit > 0 {
		query.Set("limit", strconv.Itoa(opts.Limit))
	}
	if opts.Prefix != "" {
		query.Set("prefix", opts.Prefix)
	}
	if opts.Cursor != "" {
		query.Set("cursor", opts.Cursor)
	}
	e, err := result[[]engine.KeyInfo](ctx, n.c, &request{method: "GET", path: path, query: query})
	if err != nil {
		return nil, named(n.name, err)
	}
	page := &engine.ListPage{Keys: e.Result, Cursor: e.Info.Cursor}
	if page.Cursor != "" && page.Cursor == opts.Cursor {
		return nil, fmt.Errorf("%s: a page of keys leads to itself", n.c.name)
	}
	for i := range page.Keys {
		page.Keys[i].Metadata = wire.CompactMetadata(page.Keys[i].Metadata)
	}
	return page, nil
}
