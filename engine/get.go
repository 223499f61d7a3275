package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/engine/internal/cache"
	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// Get returns the value of a key, or an error that matches [ErrNotFound]. The
// value belongs to the caller.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := s.GetAppend(ctx, []byte{}, key) // not nil, even if it is empty
	if err != nil {
		return nil, err
	}
	return value, nil
}

// GetAppend appends the value of a key to b and returns the extended slice, as
// [strconv.AppendInt] and its like do: in b's array if that has room, and in a new
// one otherwise. A caller who passes the slice again, cut to length 0, reads
// without allocating once it has grown as long as the values are. (A record that
// the cache admits is copied for the cache.) A large value is read chunk by chunk
// into its place; [Store.GetReader] is there for those that should not be in memory
// as a whole.
//
// If there is an error, one that matches [ErrNotFound] among them, GetAppend
// returns b as it was; but the room behind its length may have been written to. The
// store does not keep b. The same b must not be given to two calls at once.
func (s *Store) GetAppend(ctx context.Context, b []byte, key string) ([]byte, error) {
	cached, g, err := s.find(ctx, key)
	if err != nil {
		return b, err
	}
	if g == nil {
		return append(b, cached.Value...), nil
	}
	defer g.done()
	return g.appendValue(ctx, b)
}

// GetPair returns a key with everything that belongs to it, or an error that
// matches [ErrNotFound]. The pair belongs to the caller.
func (s *Store) GetPair(ctx context.Context, key string) (*Pair, error) {
	cached, g, err := s.find(ctx, key)
	if err != nil {
		return nil, err
	}
	if g == nil {
		info := infoOf(&cached)
		return &Pair{Key: info.Name, Value: append([]byte{}, cached.Value...), Metadata: info.Metadata, Expiration: info.Expiration}, nil
	}
	defer g.done()
	info := g.info() // reading the chunks of a large value takes its buffer
	value, err := g.appendValue(ctx, []byte{})
	if err != nil {
		return nil, err
	}
	return &Pair{Key: info.Name, Value: value, Metadata: info.Metadata, Expiration: info.Expiration}, nil
}

// GetReader returns a reader of the value of a key, or an error that matches
// [ErrNotFound]. What it reads is the value as it was at the time of the call,
// whatever is written later, also after the store is closed. It takes less than
// 1 MiB of memory, however long the value is. It has to be closed: until then,
// the file that holds the value stays on disk.
func (s *Store) GetReader(ctx context.Context, key string) (*ValueReader, error) {
	cached, g, err := s.find(ctx, key)
	if err != nil {
		return nil, err
	}
	if g == nil {
		n := int64(len(cached.Value))
		return &ValueReader{info: infoOf(&cached), length: n, left: n, chunk: bytes.Clone(cached.Value)}, nil
	}
	defer g.done()
	r := &ValueReader{info: g.info(), length: g.rec.Length}
	if g.rec.Chunks == nil {
		r.chunk = bytes.Clone(g.rec.Value)
		r.left = r.length
		return r, nil
	}
	r.sg, g.sg = g.sg, nil
	r.chunks = g.rec.Chunks
	r.left = r.length
	return r, nil
}

// getter is a get under way. It holds what the record's slices point into.
type getter struct {
	rec segment.Record
	buf segment.Buffer
	sg  *seg // with a reference, if the record was read from it
}

var getters = sync.Pool{New: func() any { return new(getter) }}

// done lets go of what the getter holds, and gives it back.
func (g *getter) done() {
	if g.sg != nil {
		g.sg.release()
		g.sg = nil
	}
	g.rec = segment.Record{}
	getters.Put(g)
}

// find looks the key up and returns its record in the cache. If the cache has none,
// it decodes the record into a getter, which the caller gives back; otherwise there
// is no getter.
func (s *Store) find(ctx context.Context, key string) (cached cache.Record, g *getter, err error) {
	if err := s.check(ctx); err != nil {
		return cached, nil, err
	}
	if err := s.opts.Limits.checkKey(key); err != nil {
		return cached, nil, err
	}
	hash := s.hasher.Sum(key)
	e, err := s.lookup(hash)
	if err != nil {
		return cached, nil, err
	}
	if cached, ok := s.cached(key, e.Location); ok {
		return cached, nil, nil
	}
	g = getters.Get().(*getter)
	if err := g.load(s, key, hash, e); err != nil {
		g.done()
		return cached, nil, err
	}
	return cached, g, nil
}

// cached returns the record of a key that the index says is at loc, if the cache
// has it.
//
// It takes no reference on the segment, which two atomic operations more would be.
// If the segment is removed meanwhile, the record is the one that was asked for all
// the same. And if another has its slot by then, that one is younger than the call,
// and so is every version of the key in it: one that was visible during the call.
func (s *Store) cached(key string, loc index.Location) (cache.Record, bool) {
	sg := s.segs.at(loc.Slot())
	if sg == nil || sg.pending(loc) {
		return cache.Record{}, false
	}
	r, ok := s.cache.Get(cacheID(sg, loc))
	if !ok || string(r.Key) != key {
		return cache.Record{}, false // and reading the record tells what is wrong with the key
	}
	return r, true
}

// lookup returns the entry of a key that is there and has not expired.
func (s *Store) lookup(hash index.Hash) (index.Entry, error) {
	e, ok := s.index.Get(hash)
	if s.closed.Load() {
		return e, ErrClosed // and the index is empty, or will be
	}
	if !ok || e.Expiration != 0 && int64(e.Expiration) <= s.clock.now() {
		return e, ErrNotFound
	}
	return e, nil
}

// load decodes the record of an entry that lookup returned.
//
// The index is asked again if the record is not where it was said to be:
// frames are written and segments replaced meanwhile. A location that stays the
// same across a failure is not at fault.
func (g *getter) load(s *Store, key string, hash index.Hash, e index.Entry) error {
	for {
		failed := g.read(s, key, e)
		if failed == nil {
			return nil
		}
		last := e.Location
		var err error
		if e, err = s.lookup(hash); err != nil {
			return err
		}
		if e.Location == last {
			return failed
		}
	}
}

// read decodes the record that e locates, and checks that it is that of the key.
func (g *getter) read(s *Store, key string, e index.Entry) error {
	loc := e.Location
	if g.sg != nil {
		g.sg.release()
		g.sg = nil
	}
	if sg := s.segs.at(loc.Slot()); sg != nil && sg.pending(loc) {
		f := s.committer.lookup(loc)
		if f == nil || !f.record(int(loc.Ordinal()), &g.rec) {
			return errMoved
		}
		return g.checkKey(key, 0)
	}
	if g.sg = s.segs.get(loc.Slot()); g.sg == nil {
		return errMoved
	}
	off := int64(loc.Unit()) * 8
	err := g.sg.reader.ReadRecord(off, int(loc.Ordinal()), readHint(g.sg, e.Size), &g.buf, &g.rec)
	if err != nil {
		return inFile(g.sg.name(), err)
	}
	if err := g.checkKey(key, off); err != nil {
		return err
	}
	payload := len(g.rec.Key) + len(g.rec.Value) + len(g.rec.Metadata)
	if id := cacheID(g.sg, loc); g.rec.Chunks == nil && s.cache.Admits(id, payload) {
		s.cache.Put(id, cacheRecord(&g.rec))
	}
	return nil
}

// pending reports whether a location in the segment is that of a frame that is not
// written yet.
func (s *seg) pending(loc index.Location) bool {
	return loc.Unit()&pendingUnit != 0 && s.kind == segment.Log
}

// errMoved never leaves load: the index has another location by then.
var errMoved = fmt.Errorf("%w: a record is not where the index says", ErrCorrupt)

// largeHint covers the record of a value of 25 MiB: 200 chunks, a key and
// metadata.
const largeHint = 3 << 10

// readHint returns how many bytes to read for a record of that size.
func readHint(sg *seg, size int64) int {
	switch {
	case sg.kind == segment.Value:
		return largeHint
	case sg.kind == segment.Log:
		return logHint
	case sg.form() == compaction.Young:
		return youngHint
	}
	return int(min(size, segment.MaxInline)) + 256
}

// youngHint covers nearly all frames of a young segment, 8 KiB compressed.
const youngHint = 5 << 10

// logHint covers most frames of a log segment, 16 KiB compressed: reading more
// than a frame has costs less than reading twice.
const logHint = 8 << 10

// checkKey makes sure that the record is that of the key: the last line against
// giving out another key's value.
func (g *getter) checkKey(key string, off int64) error {
	if string(g.rec.Key) == key && !g.rec.Tombstone && g.rec.Pointer == nil {
		return nil
	}
	file := "a frame in memory"
	if g.sg != nil {
		file = g.sg.name()
	}
	return &CorruptError{File: file, Offset: off, Reason: fmt.Sprintf("no value of key %q here, though the index says so", key)}
}

// appendValue appends the value to b, or returns b with an error.
func (g *getter) appendValue(ctx context.Context, b []byte) ([]byte, error) {
	if g.rec.Chunks == nil {
		return append(b, g.rec.Value...), nil
	}
	if g.rec.Length > int64(len(g.rec.Chunks))*segment.MaxRaw {
		return b, &CorruptError{File: g.sg.name(), Reason: "the chunks of a value are fewer than its length needs"}
	}
	value := slices.Grow(b, int(g.rec.Length))
	for _, c := range g.rec.Chunks {
		if err := ctx.Err(); err != nil {
			return b, err
		}
		chunk, err := g.sg.reader.ReadChunk(c, &g.buf)
		if err != nil {
			return b, inFile(g.sg.name(), err)
		}
		value = append(value, chunk...)
	}
	if n := int64(len(value) - len(b)); n != g.rec.Length {
		return b, &CorruptError{File: g.sg.name(), Reason: fmt.Sprintf("a value of %d bytes has chunks of %d", g.rec.Length, n)}
	}
	return value, nil
}

func (g *getter) info() KeyInfo {
	return KeyInfo{Name: string(g.rec.Key), Expiration: g.rec.Expiration, Metadata: cloneMetadata(g.rec.Metadata)}
}

func infoOf(r *cache.Record) KeyInfo {
	return KeyInfo{Name: string(r.Key), Expiration: r.Expiration, Metadata: cloneMetadata(r.Metadata)}
}

// cloneMetadata returns a copy, nil for none.
func cloneMetadata(m []byte) []byte {
	if len(m) == 0 {
		return nil
	}
	return bytes.Clone(m)
}

// cacheRecord is a record for the cache, which copies it.
func cacheRecord(rec *segment.Record) *cache.Record {
	return &cache.Record{Key: rec.Key, Value: rec.Value, Metadata: rec.Metadata, Expiration: rec.Expiration}
}

// ValueReader reads a value. It is not safe for concurrent use.
type ValueReader struct {
	info   KeyInfo
	length int64
	left   int64 // bytes not yet returned, chunk included
	chunk  []byte
	chunks []segment.Chunk
	sg     *seg
	buf    segment.Buffer
	err    error
}

// Info returns the key, its expiration and its metadata.
func (r *ValueReader) Info() KeyInfo { return r.info }

// Len returns the length of the value in bytes.
func (r *ValueReader) Len() int64 { return r.length }

// Read reads the next bytes of the value. An error that matches [ErrCorrupt]
// means that the rest of it is damaged; nothing damaged is returned.
func (r *ValueReader) Read(p []byte) (int, error) {
	for len(r.chunk) == 0 && r.err == nil {
		r.next()
	}
	if len(r.chunk) == 0 {
		return 0, r.err
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	r.left -= int64(n)
	return n, nil
}

// next loads the next chunk.
func (r *ValueReader) next() {
	if len(r.chunks) == 0 {
		r.err = io.EOF
		if r.left > 0 {
			r.err = &CorruptError{File: r.sg.name(), Reason: fmt.Sprintf("a value ends %d bytes too early", r.left)}
		}
		return
	}
	b, err := r.sg.reader.ReadChunk(r.chunks[0], &r.buf)
	if err != nil {
		r.err = inFile(r.sg.name(), err)
		return
	}
	if int64(len(b)) > r.left {
		r.err = &CorruptError{File: r.sg.name(), Offset: r.chunks[0].Offset, Reason: "a value is longer than its record says"}
		return
	}
	r.chunk, r.chunks = b, r.chunks[1:]
}

// Close gives the value's file free.
func (r *ValueReader) Close() error {
	if r.sg != nil {
		r.sg.release()
		r.sg = nil
	}
	r.chunk, r.chunks, r.err = nil, nil, ErrClosed
	return nil
}
