package api

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/firnkv/firn/engine"
)

// smallBody is the length up to which a value is read into a buffer and put from
// there, and the size of the pieces in which longer values are sent.
const smallBody = 64 << 10

var buffers = sync.Pool{New: func() any { return new([smallBody]byte) }}

// setKey sets the key of the request.
func (x *exchange) setKey(escaped string) error {
	key, err := decodeKey(escaped)
	x.key = key
	return err
}

// setLifetime sets when the pair of a put is to expire.
func (x *exchange) setLifetime() error {
	if x.r.URL.RawQuery == "" {
		return nil
	}
	l, err := putQuery(x.r.URL.RawQuery)
	if err != nil {
		return err
	}
	return l.set(&x.opts, x.start)
}

// sendValue answers a get. The first bytes are read before the header is written, so
// that damage in a short value is told.
func (x *exchange) sendValue(store *engine.Store) error {
	v, err := store.GetReader(x.ctx, x.key)
	if err != nil {
		return err
	}
	defer v.Close()
	buffer := buffers.Get().(*[smallBody]byte)
	defer buffers.Put(buffer)
	n := v.Len()
	first := buffer[:min(n, smallBody)]
	if _, err := io.ReadFull(v, first); err != nil {
		return err
	}
	x.valueHeader(v.Info(), n)
	if n > smallBody {
		x.leave() // from here on it waits for the client, with little in memory
	}
	x.head(http.StatusOK)
	for piece := first; ; {
		if _, err := x.Write(piece); err != nil {
			return nil // the client has gone
		}
		if n -= int64(len(piece)); n == 0 {
			return nil
		}
		piece = buffer[:min(n, smallBody)]
		if _, err := io.ReadFull(v, piece); err != nil {
			return err
		}
	}
}

// valueHeader sets the header of the response to a get. Names that are not in Go's
// canonical form go out as they are.
func (x *exchange) valueHeader(info engine.KeyInfo, length int64) {
	h := x.w.Header()
	h["Content-Type"] = typeBytes
	if length >= autoLength {
		h["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	if info.Expiration != 0 {
		name := "expiration"
		if x.binding {
			name = "CF-Expiration"
		}
		h[name] = []string{strconv.FormatInt(info.Expiration, 10)}
	}
	if x.binding && info.Metadata != nil {
		h["CF-KV-Metadata"] = []string{headerJSON(info.Metadata)}
	}
}

// putBody puts the body of the request as the value.
func (x *exchange) putBody(store *engine.Store) error {
	n := x.r.ContentLength
	if n > maxValue {
		return valueTooLarge(n)
	}
	if n < 0 || n > smallBody {
		return x.putStream(store, &x.body, func() int64 {
			x.drain()
			return x.body.n
		})
	}
	buffer := buffers.Get().(*[smallBody]byte)
	defer buffers.Put(buffer)
	if _, err := io.ReadFull(&x.body, buffer[:n]); err != nil {
		return err
	}
	return store.Put(x.ctx, x.key, buffer[:n], &x.opts)
}

// putStream puts what r gives as the value. If that is too much, length reads on to
// its end and says how much it was.
func (x *exchange) putStream(store *engine.Store, r io.Reader, length func() int64) error {
	err := store.PutReader(x.ctx, x.key, r, &x.opts)
	if errors.Is(err, engine.ErrValueTooLarge) {
		return valueTooLarge(length())
	}
	return err
}

// deleteKey deletes the key of the request.
func (x *exchange) deleteKey(namespace string) error {
	store, err := x.open(namespace, deleting)
	if err != nil || store == nil {
		return err
	}
	return store.Delete(x.ctx, x.key)
}
