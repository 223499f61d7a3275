package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"strings"

	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// examineFactor bounds the candidates that a page looks at, live or dead, to so
// many times its limit, and examineLeast at least. A candidate costs some 200 ns.
const (
	examineFactor = 8
	examineLeast  = 4096
)

// List returns a page of keys in byte order, with expiration and metadata. A
// page looks at a bounded number of candidates, dead ones among them, so it may
// have fewer keys than the limit, even none, and not be the last: that is the one
// without a cursor.
//
// Keys that are put or deleted while pages are being read may or may not be seen,
// depending on the side of the cursor that they are on. A cursor stays valid for
// ever, and across restarts.
func (s *Store) List(ctx context.Context, opts ListOptions) (*ListPage, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	l := &lister{s: s, prefix: opts.Prefix, limit: opts.Limit}
	if err := l.prepare(opts.Cursor); err != nil {
		return nil, err
	}
	if s.committer.async {
		// What was put before has to be in a segment.
		if err := s.committer.flushAll(); err != nil {
			return nil, err
		}
	}
	segs := s.acquireAll()
	defer releaseAll(segs)
	page, err := l.page(ctx, segs)
	if s.closed.Load() {
		return nil, ErrClosed // the index was being emptied
	}
	return page, err
}

// Keys returns the live keys with the prefix in byte order, as pages of
// [Store.List] do, with expiration and metadata. An error ends the sequence.
func (s *Store) Keys(ctx context.Context, prefix string) iter.Seq2[KeyInfo, error] {
	return func(yield func(KeyInfo, error) bool) {
		opts := ListOptions{Prefix: prefix}
		for {
			page, err := s.List(ctx, opts)
			if err != nil {
				yield(KeyInfo{}, err)
				return
			}
			for _, k := range page.Keys {
				if !yield(k, nil) {
					return
				}
			}
			if page.Cursor == "" {
				return
			}
			opts.Cursor = page.Cursor
		}
	}
}

// acquireAll returns all segments, with a reference taken to each.
func (s *Store) acquireAll() []*seg {
	for {
		segs := s.segs.all()
		n := 0
		for n < len(segs) && segs[n].acquire() {
			n++
		}
		if n == len(segs) || s.closed.Load() {
			return segs[:n]
		}
		// One of them was replaced meanwhile, by segments that are not in
		// this set.
		releaseAll(segs[:n])
	}
}

func releaseAll(segs []*seg) {
	for _, sg := range segs {
		sg.release()
	}
}

// lister makes a page.
type lister struct {
	s        *Store
	prefix   string
	limit    int
	from     []byte // the first key that may be on the page
	now      int64
	result   ListPage
	current  candidate
	examined int
}

// candidate is a key that is being looked at, across its versions.
type candidate struct {
	key  []byte
	live bool // and not on the page yet
	at   index.Location
}

// cursors hold the last key that was examined.
var cursorEncoding = base64.RawURLEncoding

func (l *lister) prepare(cursor string) error {
	limits := &l.s.opts.Limits
	if len(l.prefix) > limits.KeyBytes {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrPrefixTooLong, len(l.prefix), limits.KeyBytes)
	}
	if l.limit == 0 {
		l.limit = limits.ListKeys
	}
	if l.limit < 0 || l.limit > limits.ListKeys {
		return fmt.Errorf("%w: %d is not in 1 to %d", ErrListLimit, l.limit, limits.ListKeys)
	}
	l.from = []byte(l.prefix)
	if cursor == "" {
		return nil
	}
	last, err := cursorEncoding.DecodeString(cursor)
	if err != nil || len(last) == 0 || len(last) > segment.MaxKey {
		return fmt.Errorf("%w: %q", ErrCursor, cursor)
	}
	if after := append(last, 0); bytes.Compare(after, l.from) > 0 {
		l.from = after
	}
	return nil
}

func (l *lister) page(ctx context.Context, segs []*seg) (*ListPage, error) {
	var all []*source
	for _, sg := range segs {
		sources, err := sg.sources(true)
		if err != nil {
			return nil, err
		}
		all = append(all, sources...)
	}
	l.now = l.s.clock.now()
	most := max(examineFactor*l.limit, examineLeast)
	m := newMerger(all, l.from)
	for m.Next() {
		e := m.Entry()
		if !bytes.Equal(e.Key, l.current.key) {
			if err := l.settle(ctx); err != nil {
				return nil, err
			}
			if !strings.HasPrefix(string(e.Key), l.prefix) {
				return &l.result, m.err()
			}
			if len(l.result.Keys) == l.limit || l.examined >= most {
				l.result.Cursor = cursorEncoding.EncodeToString(l.current.key)
				return &l.result, m.err()
			}
			l.begin(e.Key)
		}
		l.examined++
		l.version(m.seg(), e)
	}
	if m.err() != nil {
		return nil, m.err()
	}
	return &l.result, l.settle(ctx)
}

// begin turns to the next key.
func (l *lister) begin(key []byte) {
	e, ok := l.s.index.Get(l.s.hasher.Sum(string(key)))
	l.current = candidate{
		key:  append(l.current.key[:0], key...),
		live: ok && (e.Expiration == 0 || int64(e.Expiration) > l.now),
		at:   e.Location,
	}
}

// version puts the current key on the page if this version is the live one.
func (l *lister) version(sg *seg, e *segment.Entry) {
	if !l.current.live || e.Tombstone {
		return
	}
	if loc, _, err := l.s.locate(sg, e); err != nil || loc != l.current.at {
		return
	}
	l.current.live = false
	l.result.Keys = append(l.result.Keys, KeyInfo{
		Name: string(e.Key), Expiration: e.Expiration, Metadata: cloneMetadata(e.Metadata),
	})
}

// settle puts the current key on the page if it is live but none of its versions
// was the one that the index knows: it was moved or written meanwhile.
func (l *lister) settle(ctx context.Context) error {
	if !l.current.live {
		return nil
	}
	l.current.live = false
	cached, g, err := l.s.find(ctx, string(l.current.key))
	switch {
	case err == ErrNotFound:
		return nil
	case err != nil:
		return err
	case g == nil:
		l.result.Keys = append(l.result.Keys, infoOf(&cached))
	default:
		l.result.Keys = append(l.result.Keys, g.info())
		g.done()
	}
	return nil
}
