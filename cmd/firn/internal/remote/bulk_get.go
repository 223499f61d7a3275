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

	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine"
)

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
