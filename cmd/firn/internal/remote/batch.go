package remote

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/firnkv/firn/engine"
)

// Batch is a bulk write: either puts or deletes, at most 10,000. It is not safe for
// concurrent use.
type Batch struct {
	n     *Namespace
	put   bool
	body  bytes.Buffer
	enc   *json.Encoder
	keys  []string
	bytes int64
	bad   error // about the first entry that is not valid
}

// NewBatch returns an empty batch.
func (n *Namespace) NewBatch() *Batch {
	b := &Batch{n: n}
	b.enc = json.NewEncoder(&b.body)
	b.enc.SetEscapeHTML(false)
	return b
}

// Len returns the number of writes in the batch.
func (b *Batch) Len() int { return len(b.keys) }

// Bytes returns the bytes of keys, values and metadata in the batch.
func (b *Batch) Bytes() int64 { return b.bytes }

// bulkPut is a pair as a bulk write has it.
type bulkPut struct {
	Key        string          `json:"key"`
	Value      string          `json:"value"`
	Base64     bool            `json:"base64,omitempty"`
	Expiration int64           `json:"expiration,omitempty"`
	TTL        int64           `json:"expiration_ttl,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
}

// Put adds a put. The value is not kept.
func (b *Batch) Put(key string, value []byte, opts *engine.PutOptions) {
	b.put = true
	p := bulkPut{Key: key, Metadata: opts.Metadata, TTL: ttl(opts)}
	if p.TTL == 0 {
		p.Expiration = opts.Expiration
	}
	if p.Base64 = !fitsText(value); p.Base64 {
		p.Value = base64.StdEncoding.EncodeToString(value)
	} else {
		p.Value = string(value)
	}
	b.add(key, p, checkPut(key, int64(len(value)), opts))
	b.bytes += int64(len(value)) + int64(len(opts.Metadata))
}

// Delete adds a delete.
func (b *Batch) Delete(key string) { b.add(key, key, checkKey(key)) }

func (b *Batch) add(key string, entry any, err error) {
	if len(b.keys) == 0 {
		b.body.WriteByte('[')
	} else {
		b.body.WriteByte(',')
	}
	if err == nil {
		err = b.enc.Encode(entry)
	}
	if err != nil && b.bad == nil {
		b.bad = &engine.PairError{Index: len(b.keys), Key: key, Err: err}
	}
	b.keys = append(b.keys, key)
	b.bytes += int64(len(key))
}

// fitsText reports whether a value is no longer in JSON as text than it is as base64. So
// it is a third longer at most, and a request stays under its limit.
func fitsText(value []byte) bool {
	if !utf8.Valid(value) {
		return false
	}
	extra := 3 * (bytes.Count(value, []byte("\u2028")) + bytes.Count(value, []byte("\u2029")))
	for _, c := range value {
		switch {
		case c < ' ':
			extra += 5
		case c == '"' || c == '\\':
			extra++
		}
	}
	return extra <= len(value)/3
}

// Write writes the batch. An entry that is refused is named in an [engine.PairError].
// Once begun, it is not called off.
func (b *Batch) Write(ctx context.Context) error {
	if b.bad != nil {
		return b.bad
	}
	r := &request{method: "POST", changes: true, settles: true}
	below := "/bulk/delete"
	if b.put {
		r.method, below = "PUT", "/bulk"
		if err := b.n.create(ctx); err != nil {
			return err
		}
	}
	if r.path = b.n.path(below); r.path == "" {
		return nil
	}
	r.payload = payload{contentType: "application/json", bytes: append(b.body.Bytes(), ']')}
	type report struct {
		Successful   *int     `json:"successful_key_count"` // nil: it does not say
		Unsuccessful []string `json:"unsuccessful_keys"`
	}
	e, err := result[report](ctx, b.n.c, r)
	if err != nil {
		return named(b.n.name, b.located(err))
	}
	bad, among := e.Result.Unsuccessful, ""
	undone := len(bad)
	if undone > 0 {
		among = fmt.Sprintf(", among them %q", bad[0])
	}
	if done := e.Result.Successful; done != nil && *done < len(b.keys) {
		undone = max(undone, b.distinct()-*done)
	}
	if undone == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d of %d keys of a request are not done%s; %w", b.n.c.name, undone, len(b.keys), among, ErrUncertain)
}

// distinct returns the number of keys, of which a server may count each only once.
func (b *Batch) distinct() int {
	keys := slices.Clone(b.keys)
	slices.Sort(keys)
	return len(slices.Compact(keys))
}

// refusedPair is how Firn begins the message about one pair of a bulk write.
var refusedPair = regexp.MustCompile(`^pair (\d+)(?:, key "(?:[^"\\]|\\.)*")?: `)

// located names the entry that the server says it has refused.
func (b *Batch) located(err error) error {
	var refused *Error
	if !errors.As(err, &refused) {
		return err
	}
	match := refusedPair.FindStringSubmatch(refused.Message)
	if match == nil {
		return err
	}
	i, atoi := strconv.Atoi(match[1])
	if atoi != nil || i >= len(b.keys) {
		return err
	}
	refused.Message = strings.TrimPrefix(refused.Message, match[0])
	return &engine.PairError{Index: i, Key: b.keys[i], Err: err}
}
