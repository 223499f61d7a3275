package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

// Namespace has the pairs of one namespace. It is safe for concurrent use.
type Namespace struct {
	c    *Client
	name string

	mu sync.Mutex
	id string // empty: the default namespace, which nobody has written to yet
}

// Open returns the namespace of an id or a title. The default namespace reads as empty
// until it is written to, which creates it.
func (c *Client) Open(ctx context.Context, name string) (*Namespace, error) {
	ns, err := c.find(ctx, name)
	if errors.Is(err, namespaces.ErrNotExist) && name == namespaces.DefaultTitle {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return &Namespace{c: c, name: name, id: ns.ID}, nil
}

// Close does nothing.
func (n *Namespace) Close() error { return nil }

// path returns the path of what belongs to the namespace. It is empty if there is no
// namespace yet.
func (n *Namespace) path(below string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.id == "" {
		return ""
	}
	return namespacePath(n.id) + below
}

// create makes the default namespace if it is not there.
func (n *Namespace) create(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.id != "" {
		return nil
	}
	ns, err := n.c.Create(ctx, n.name)
	if errors.Is(err, namespaces.ErrTitleInUse) { // somebody was faster
		ns, err = n.c.find(ctx, n.name)
	}
	n.id = ns.ID
	return err
}

func valuePath(key string) string { return "/values/" + url.PathEscape(key) }

// Put writes a pair.
func (n *Namespace) Put(ctx context.Context, key string, value []byte, opts *engine.PutOptions) error {
	return n.put(ctx, key, int64(len(value)), opts, func() (payload, error) {
		p, err := valuePayload(nil, 0, opts.Metadata)
		p.gather(value)
		return p, err
	})
}

// PutFrom writes a pair with the value that r gives, of size bytes, or -1 if that is
// not known.
func (n *Namespace) PutFrom(ctx context.Context, key string, r io.Reader, size int64, opts *engine.PutOptions) error {
	return n.put(ctx, key, size, opts, func() (payload, error) {
		return valuePayload(&bounded{r: r}, size, opts.Metadata)
	})
}

func (n *Namespace) put(ctx context.Context, key string, size int64, opts *engine.PutOptions, body func() (payload, error)) error {
	if err := checkPut(key, size, opts); err != nil {
		return err
	}
	p, err := body()
	if err == nil {
		err = n.create(ctx)
	}
	if err != nil {
		return err
	}
	return n.change(ctx, &request{
		method: "PUT", path: n.path(valuePath(key)), query: lifetime(opts), payload: p, changes: true,
	})
}

// Delete deletes a key. An absent one is no error.
func (n *Namespace) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	path := n.path(valuePath(key))
	if path == "" {
		return nil
	}
	return n.change(ctx, &request{method: "DELETE", path: path, changes: true})
}

func (n *Namespace) change(ctx context.Context, r *request) error {
	_, err := result[json.RawMessage](ctx, n.c, r)
	return named(n.name, err)
}

// OpenValue returns a reader of a value.
func (n *Namespace) OpenValue(ctx context.Context, key string) (io.ReadCloser, error) {
	resp, err := n.value(ctx, key)
	if err != nil {
		return nil, err
	}
	return &valueReader{n.c, resp.Body}, nil
}

func (n *Namespace) value(ctx context.Context, key string) (*http.Response, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	path := n.path(valuePath(key))
	if path == "" {
		return nil, engine.ErrNotFound
	}
	resp, err := n.c.send(ctx, &request{method: "GET", path: path})
	return resp, named(n.name, err)
}

// valueReader says in its errors that it is the answer that breaks off.
type valueReader struct {
	c *Client
	io.ReadCloser
}

func (r *valueReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !errors.Is(err, context.Canceled) {
		err = r.c.unanswered(brokenOff(err))
	}
	return n, err
}

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

// bulkPair is a pair as a bulk read gives it.
type bulkPair struct {
	Value      string          `json:"value"`
	Metadata   json.RawMessage `json:"metadata"`
	Expiration int64           `json:"expiration"`
}

// Pairs iterates over the pairs of at most 100 keys, in their order; with
// [engine.ErrNotFound] for those that are not there. Any other error ends it.
func (n *Namespace) Pairs(ctx context.Context, keys []string) iter.Seq2[*engine.Pair, error] {
	return func(yield func(*engine.Pair, error) bool) {
		var bad error
		for i, key := range keys {
			if bad = checkKey(key); bad != nil {
				keys = keys[:i]
				break
			}
		}
		if n.pairs(ctx, keys, yield) && bad != nil {
			yield(nil, bad)
		}
	}
}

// pairs yields the pairs of keys that are valid, and reports whether to go on. If the
// values are too many bytes for one answer, it asks for one half after the other.
func (n *Namespace) pairs(ctx context.Context, keys []string, yield func(*engine.Pair, error) bool) bool {
	if len(keys) == 0 {
		return true
	}
	found, err := n.bulk(ctx, keys)
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusRequestEntityTooLarge && len(keys) > 1 {
		half := len(keys) / 2
		return n.pairs(ctx, keys[:half], yield) && n.pairs(ctx, keys[half:], yield)
	}
	if err != nil {
		yield(nil, err)
		return false
	}
	for _, key := range keys {
		p, err := n.exact(ctx, key, found[key])
		if !yield(p, err) || err != nil && !errors.Is(err, engine.ErrNotFound) {
			return false
		}
	}
	return true
}

// bulk asks for pairs. Those that are not there are nil.
func (n *Namespace) bulk(ctx context.Context, keys []string) (map[string]*bulkPair, error) {
	path := n.path("/bulk/get")
	if path == "" {
		return nil, nil
	}
	p, err := jsonPayload(struct {
		Keys         []string `json:"keys"`
		Type         string   `json:"type"`
		WithMetadata bool     `json:"withMetadata"`
	}{keys, "text", true})
	if err != nil {
		return nil, err
	}
	type values struct {
		Values map[string]*bulkPair `json:"values"`
	}
	e, err := result[values](ctx, n.c, &request{method: "POST", path: path, payload: p})
	if err != nil {
		return nil, named(n.name, err)
	}
	for _, key := range keys {
		if _, ok := e.Result.Values[key]; !ok {
			return nil, fmt.Errorf("%s: the answer lacks the key %q", n.c.name, key)
		}
	}
	return e.Result.Values, nil
}

// changesPatience is how often a pair is read again that changes meanwhile.
const changesPatience = 10

// exact returns the pair that a bulk read gave. A value that may not be text is read
// by itself; what it was read with belongs to it if that was the same before and after.
func (n *Namespace) exact(ctx context.Context, key string, p *bulkPair) (*engine.Pair, error) {
	if p == nil {
		return nil, engine.ErrNotFound
	}
	metadata := wire.CompactMetadata(p.Metadata)
	if !strings.Contains(p.Value, "\ufffd") {
		return &engine.Pair{Key: key, Value: []byte(p.Value), Metadata: metadata, Expiration: p.Expiration}, nil
	}
	for range changesPatience {
		value, expiration, err := n.raw(ctx, key)
		if err != nil {
			return nil, err
		}
		after, err := n.metadata(ctx, key)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(metadata, after) {
			return &engine.Pair{Key: key, Value: value, Metadata: metadata, Expiration: expiration}, nil
		}
		metadata = after
	}
	return nil, errors.New("it changes all the time")
}

// raw returns a value, and when it expires.
func (n *Namespace) raw(ctx context.Context, key string) ([]byte, int64, error) {
	resp, err := n.value(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	value, err := io.ReadAll(&bounded{r: &valueReader{n.c, resp.Body}})
	if err != nil {
		return nil, 0, err
	}
	text := resp.Header.Get("Expiration")
	if text == "" {
		return value, 0, nil
	}
	expiration, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		err = fmt.Errorf("%s: the pair expires at %q", n.c.name, text)
	}
	return value, expiration, err
}

func (n *Namespace) metadata(ctx context.Context, key string) (json.RawMessage, error) {
	e, err := result[json.RawMessage](ctx, n.c, &request{
		method: "GET", path: n.path("/metadata/" + url.PathEscape(key)),
	})
	if err != nil {
		return nil, named(n.name, err)
	}
	return wire.CompactMetadata(e.Result), nil
}
