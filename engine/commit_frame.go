package engine

import (
	"sync"

	"github.com/firnkv/firn/engine/internal/cache"
	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

const (
	// frameRaw is how many bytes of records a frame gathers: on JSON records
	// of 600 B, frames of 64 KiB would be 9 % smaller but take three times
	// as long to read one record from.
	frameRaw = 16 << 10

	// compressFrom is the least payload worth compressing on the way of a
	// commit: below it the ratio is poor, and a sync takes hardly longer.
	compressFrom = 4 << 10
)

// write is one put or delete on its way to the log.
type write struct {
	rec  segment.Record // all but the sequence number
	hash index.Hash
	at   index.Location // of a large value's record; it has been written there
	ttl  int64          // seconds from the end of the value; 0: the expiration is absolute
}

// frame gathers records for a frame of the log. The committer's lock guards it
// until it is closed; after that it belongs to who writes it.
type frame struct {
	seg   *seg
	id    uint32 // that the index knows it by while it is not written
	raw   []byte // grows within its capacity and never moves
	mem   []byte // all of that capacity, for readers of published records
	recs  []frameRecord
	more  bool // the commit goes on in the next frame
	ready chan struct{}

	codec   segment.Codec
	payload []byte // as it is stored
	buf     *[]byte
	off     int64
	err     error // why it was not written
}

// frameRecord is what publishing needs to know of a record.
type frameRecord struct {
	hash       index.Hash
	start      uint32 // in raw
	tombstone  bool
	hot        bool           // the version it replaced was in the cache, or seen by it
	expiration uint32         // as the index has it
	size       int64          // as the index has it
	at         index.Location // of a large value's record, or 0
}

// pendingUnit marks the unit of a location that names a frame not yet written,
// by its id. Log segments stay below that offset: 256 MiB.
const pendingUnit = 1 << 25

func pendingLocation(f *frame, ordinal int) index.Location {
	return index.MakeLocation(f.seg.slot, pendingUnit|f.id, uint8(ordinal))
}

// newFrame returns an empty frame for at least need bytes of records, and for recs
// of them without growing.
func newFrame(sg *seg, id uint32, need, recs int) *frame {
	raw := make([]byte, 0, max(frameRaw, need))
	return &frame{seg: sg, id: id % pendingUnit, raw: raw, mem: raw[:cap(raw)],
		recs: make([]frameRecord, 0, recs), ready: make(chan struct{})}
}

// reuse makes f ready for other records.
func (f *frame) reuse(sg *seg) {
	*f = frame{seg: sg, raw: f.raw[:0], mem: f.mem, recs: f.recs[:0], ready: make(chan struct{})}
}

// fits reports whether the frame takes another record of need bytes.
func (f *frame) fits(need int) bool {
	return len(f.recs) < segment.MaxRecords && len(f.raw)+need <= cap(f.raw)
}

func (f *frame) add(w *write) {
	f.recs = append(f.recs, frameRecord{
		hash:       w.hash,
		start:      uint32(len(f.raw)),
		tombstone:  w.rec.Tombstone,
		expiration: indexExpiration(w.rec.Expiration),
		size:       w.rec.Size(),
		at:         w.at,
	})
	f.raw = segment.AppendRecord(f.raw, &w.rec)
}

// record decodes the record with the given ordinal. It works for published
// records while others are still being added.
func (f *frame) record(ordinal int, rec *segment.Record) bool {
	return segment.RecordAt(f.mem, ordinal, rec)
}

// compressBuffers are the buffers that payloads are compressed into.
var compressBuffers = sync.Pool{New: func() any { return new([]byte) }}

// compress makes the payload ready.
func (f *frame) compress(comp *segment.Compressor) {
	if len(f.raw) < compressFrom {
		f.store()
		return
	}
	f.buf = compressBuffers.Get().(*[]byte)
	f.payload, *f.buf, f.codec = comp.Compress(*f.buf, f.raw)
	close(f.ready)
}

// store makes the payload ready as it is.
func (f *frame) store() {
	f.payload = f.raw
	close(f.ready)
}

// written gives the compression buffer back.
func (f *frame) written() {
	f.payload = nil
	if f.buf != nil {
		compressBuffers.Put(f.buf)
		f.buf = nil
	}
}

// cacheID names a record in the cache by its place on disk.
func cacheID(sg *seg, loc index.Location) cache.ID {
	return cache.ID{Segment: sg.id, Place: uint64(loc.Unit())<<8 | uint64(loc.Ordinal())}
}
