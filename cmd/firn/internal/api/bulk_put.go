package api

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/firnkv/firn/engine"
)

// bulkCall answers what is about many pairs.
func (x *exchange) bulkCall(id string) error {
	switch x.r.Method {
	case http.MethodPut:
		return x.bulkPut(id)
	case http.MethodDelete:
		return x.bulkDelete(id)
	}
	return notAllowed("PUT, DELETE")
}

func (x *exchange) bulkDeleteCall(id string) error {
	if x.r.Method != http.MethodPost {
		return notAllowed("POST")
	}
	return x.bulkDelete(id)
}

func (x *exchange) bulkPut(id string) error {
	x.operation = "bulk_put"
	return x.bulkWrite(id, putting, readPairs)
}

func (x *exchange) bulkDelete(id string) error {
	x.operation = "bulk_delete"
	return x.bulkWrite(id, deleting, readKeys)
}

// bulkWrite reads a batch and writes it: all of it or, if anything about it is not
// right, nothing.
func (x *exchange) bulkWrite(id string, a access, read func(*jsonReader, *engine.Batch, time.Time) error) error {
	if x.r.ContentLength >= maxBody {
		return bodyTooLarge(maxBody)
	}
	if err := x.may(id, a); err != nil {
		return err
	}
	var b engine.Batch
	j := newJSONReader(&limited{r: &bulkBody{x: x}, most: maxBody})
	defer j.close()
	err := read(j, &b, x.start)
	if err == nil {
		err = j.finish()
	}
	if err != nil {
		return err
	}
	store, err := x.open(id, a)
	if err != nil {
		return err
	}
	if err := store.Write(x.ctx, &b); err != nil {
		return err
	}
	out := []byte(resultBegin + `{"successful_key_count":`)
	out = appendInt(out, b.Len())
	x.reply(http.StatusOK, typeJSON, append(out, `,"unsuccessful_keys":[]}`+resultEnd...))
	return nil
}

// bulkBody reads a bulk write into memory, for which it takes a place when so much
// has come.
type bulkBody struct{ x *exchange }

func (b *bulkBody) Read(p []byte) (int, error) {
	if err := b.x.take(b.x.h.bulks.of(b.x.body.n)); err != nil {
		return 0, err
	}
	if b.x.place != nil {
		b.x.body.hurry()
	}
	return b.x.body.Read(p)
}

// limited refuses a body of most bytes or more.
type limited struct {
	r       io.Reader
	n, most int64
}

func (l *limited) Read(p []byte) (int, error) {
	p = p[:min(int64(len(p)), l.most-l.n)]
	n, err := l.r.Read(p)
	if l.n += int64(n); l.n >= l.most {
		return 0, bodyTooLarge(l.most)
	}
	return n, err
}

func bodyTooLarge(most int64) error {
	return over("The request has to stay under %d bytes.", most)
}

// readPairs reads the pairs of a bulk write.
func readPairs(j *jsonReader, b *engine.Batch, now time.Time) error {
	r := pairReader{j: j, now: now}
	return j.array(func() error {
		if b.Len() == maxBulkPairs {
			return bad("A bulk write has at most %d pairs.", maxBulkPairs)
		}
		p := pair{}
		if err := r.read(&p); err != nil {
			return inPair(err, b.Len(), p.key)
		}
		b.Put(p.key, p.value, &p.opts)
		return nil
	})
}

// inPair says in which pair of a bulk write something is wrong.
func inPair(err error, i int, key string) error {
	var f *failure
	if !errors.As(err, &f) {
		return err
	}
	g := *f
	g.text = fmt.Sprintf("pair %d: %s", i, f.text)
	if key != "" {
		g.text = fmt.Sprintf("pair %d, key %q: %s", i, key, f.text)
	}
	return &g
}

type pair struct {
	key   string
	value []byte
	opts  engine.PutOptions
}

// pairReader reads pairs. It decodes values into buffers that several small ones
// share.
type pairReader struct {
	j     *jsonReader
	now   time.Time
	text  []byte // of a value, for another use
	block []byte // with room for small values
}

const (
	// maxText is the longest text that a value may have: in base64, with line
	// breaks.
	maxText = maxValue/3*4 + maxValue/32

	// largeText is the length from which on a value keeps the buffer that its
	// text was read into.
	largeText = 64 << 10

	blockBytes = 256 << 10
)

// pairFields is what was found of a pair.
type pairFields struct {
	key, value, base64 bool
	keyLength, length  int64
	life               lifetime
}

func (r *pairReader) read(p *pair) error {
	var f pairFields
	if err := r.j.object(func(name string) error { return r.member(name, p, &f) }); err != nil {
		return err
	}
	switch {
	case !f.key:
		return bad(`"key" is missing`)
	case f.keyLength > maxKey:
		p.key = ""
		return keyTooLong(f.keyLength)
	case !f.value:
		return bad(`"value" is missing`)
	}
	if err := checkKey(p.key); err != nil {
		return err
	}
	if err := f.life.set(&p.opts, r.now); err != nil {
		return err
	}
	return r.setValue(p, &f)
}

// member reads a member of a pair. null is the same as none.
func (r *pairReader) member(name string, p *pair, f *pairFields) error {
	switch name {
	case "key", "value", "base64", "expiration", "expiration_ttl", "metadata":
	default:
		return r.j.skip()
	}
	if null, err := r.j.null(); null || err != nil {
		return err
	}
	var err error
	switch name {
	case "key":
		f.key = true
		p.key, f.keyLength, err = r.j.string(maxKey)
	case "value":
		f.value = true
		r.text, f.length, err = r.j.appendText(r.text[:0], maxText)
	case "base64":
		f.base64, err = r.j.bool()
	case "expiration":
		f.life.hasExpiration = true
		f.life.expiration, err = r.j.number()
	case "expiration_ttl":
		f.life.hasTTL = true
		f.life.ttl, err = r.j.number()
	case "metadata":
		p.opts.Metadata, err = r.metadata()
	}
	return err
}

func (r *pairReader) metadata() ([]byte, error) {
	m, n, err := r.j.raw(nil, maxMetadata)
	if err == nil && n > maxMetadata {
		err = metadataTooLarge(n)
	}
	return m, err
}

func (r *pairReader) setValue(p *pair, f *pairFields) error {
	if !f.base64 {
		if f.length > maxValue {
			return valueTooLarge(f.length)
		}
		p.value = r.keep(r.text)
		return nil
	}
	if f.length > int64(len(r.text)) {
		return valueTooLarge(f.length / 4 * 3)
	}
	n, err := base64.StdEncoding.Decode(r.text, r.text)
	if err != nil {
		return bad(`"value" is not base64`)
	}
	if n > maxValue {
		return valueTooLarge(int64(n))
	}
	p.value = r.keep(r.text[:n])
	return nil
}

// keep returns a slice of the same bytes that stays as it is.
func (r *pairReader) keep(text []byte) []byte {
	if len(text) >= largeText {
		r.text = nil
		return text
	}
	if len(text) > cap(r.block)-len(r.block) {
		r.block = make([]byte, 0, blockBytes)
	}
	from := len(r.block)
	r.block = append(r.block, text...)
	return r.block[from:len(r.block):len(r.block)]
}

// readKeys reads the keys of a bulk delete.
func readKeys(j *jsonReader, b *engine.Batch, _ time.Time) error {
	return j.array(func() error {
		if b.Len() == maxBulkPairs {
			return bad("A bulk delete has at most %d keys.", maxBulkPairs)
		}
		key, n, err := j.string(maxKey)
		switch {
		case err != nil:
			return err
		case n > maxKey:
			return inPair(keyTooLong(n), b.Len(), "")
		}
		if err := checkKey(key); err != nil {
			return inPair(err, b.Len(), key)
		}
		b.Delete(key)
		return nil
	})
}
