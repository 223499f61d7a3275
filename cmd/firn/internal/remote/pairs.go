package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

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
// until it is written to, which creates it; but not to a token that may not know of it.
func (c *Client) Open(ctx context.Context, name string) (*Namespace, error) {
	ns, err := c.find(ctx, name)
	if errors.Is(err, namespaces.ErrNotExist) && name == namespaces.DefaultTitle {
		err = c.unlisted(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	return &Namespace{c: c, name: name, id: ns.ID}, nil
}

// unlisted returns nil if a namespace with that title is not listed because it is not
// there, and why it is not shown otherwise. Asked for it in the place of an id, Firn
// says first whether the token may know. Other servers list all, and refuse the id.
func (c *Client) unlisted(ctx context.Context, title string) error {
	_, err := result[json.RawMessage](ctx, c, &request{method: "GET", path: namespacePath(title)})
	var answered *Error
	switch {
	case err == nil:
		return fmt.Errorf("%s: %q is the id of a namespace, not a title", c.name, title)
	case errors.As(err, &answered) && (answered.Status == http.StatusNotFound || answered.Status == http.StatusBadRequest):
		return nil
	}
	return err
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
		return valuePayload(value, opts.Metadata)
	})
}

// PutFrom writes a pair with the value that r gives, of size bytes, or -1 if that is
// not known.
func (n *Namespace) PutFrom(ctx context.Context, key string, r io.Reader, size int64, opts *engine.PutOptions) error {
	return n.put(ctx, key, size, opts, func() (payload, error) {
		return streamPayload(&bounded{r: r}, size, opts.Metadata)
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
