package segment_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/firnkv/firn/segment"
)

// memFile is a segment in memory that counts what is read.
type memFile struct {
	b     []byte
	reads int
	read  int64
	fail  error // of every read, if set
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.reads++
	if f.fail != nil {
		return 0, f.fail
	}
	if off < 0 {
		return 0, fmt.Errorf("read at %d", off)
	}
	if off >= int64(len(f.b)) {
		return 0, io.EOF
	}
	n := copy(p, f.b[off:])
	f.read += int64(n)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(f.b) {
		f.b = append(f.b, make([]byte, end-len(f.b))...)
	}
	return copy(f.b[off:], p), nil
}

// newRand returns a generator whose seed the failing test prints; FIRN_SEED sets
// it.
func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("FIRN_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FIRN_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

const testSalt = 0x0123456789ABCDEF

func header(kind segment.Kind) segment.Header {
	return segment.Header{Kind: kind, StoreID: [16]byte{1, 2, 3, 15: 16}, ID: 7, Salt: testSalt}
}

func open(t testing.TB, file io.ReaderAt) *segment.Reader {
	t.Helper()
	r, err := segment.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func compressor(t testing.TB, level segment.Level, dictionary []byte) *segment.Compressor {
	t.Helper()
	c, err := segment.NewCompressor(level, dictionary)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// plain is a compressor without a dictionary; making one is slow.
var plain = sync.OnceValue(func() *segment.Compressor {
	c, err := segment.NewCompressor(segment.Fast, nil)
	if err != nil {
		panic(err)
	}
	return c
})

// place is where a record is.
type place struct {
	off     int64
	ordinal int
}

// logBuilder builds a log segment the way the store does.
type logBuilder struct {
	b           []byte
	comp        *segment.Compressor // nil: all frames raw
	incarnation uint32
	time        int64
	newest      map[string]*segment.Entry
	keys        []string
	totals      segment.Totals
}

func newLog(comp *segment.Compressor) *logBuilder {
	return &logBuilder{
		b: header(segment.Log).Append(nil), comp: comp, incarnation: 1, time: 1_700_000_000,
		newest: map[string]*segment.Entry{}, totals: segment.Totals{MinSeq: 1},
	}
}

// frame appends a frame of records and returns its offset.
func (l *logBuilder) frame(more bool, records ...*segment.Record) int64 {
	off := int64(len(l.b))
	var raw []byte
	for i, r := range records {
		raw = segment.AppendRecord(raw, r)
		l.note(off, i, r)
	}
	stored, codec := raw, segment.Codec(0)
	if l.comp != nil {
		stored, _, codec = l.comp.Compress(nil, raw)
	}
	l.b = segment.AppendFrame(l.b, testSalt, off, segment.Frame{
		Type: segment.FrameRecords, Codec: codec, More: more, Extended: true, Raw: len(raw),
		Incarnation: l.incarnation, Durable: off, Time: l.time, Records: len(records),
	}, stored)
	l.totals.DataEnd = int64(len(l.b))
	l.totals.MaxTime = l.time
	l.time++
	return off
}

func (l *logBuilder) note(off int64, ordinal int, r *segment.Record) {
	e := &segment.Entry{
		Key: r.Key, Seq: r.Seq, Expiration: r.Expiration, Tombstone: r.Tombstone,
		MetadataLen: len(r.Metadata), Metadata: r.Metadata, Length: r.Length, Offset: off, Ordinal: ordinal,
		Deletes: r.Tombstone,
	}
	if r.Pointer != nil {
		e.HasPointer, e.Pointer = true, *r.Pointer
	}
	if old := l.newest[string(r.Key)]; old != nil {
		e.Deletes = old.Deletes
	} else {
		l.keys = append(l.keys, string(r.Key))
	}
	l.newest[string(r.Key)] = e
	l.totals.Count(e)
}

// put is a record with an inline value.
func put(seq uint64, key, value string) *segment.Record {
	return &segment.Record{Seq: seq, Key: []byte(key), Value: []byte(value), Length: int64(len(value))}
}

func tombstone(seq uint64, key string) *segment.Record {
	return &segment.Record{Seq: seq, Key: []byte(key), Tombstone: true}
}

// text is a record for people: it is how tests compare and dump records.
func text(r *segment.Record) string {
	s := fmt.Sprintf("seq=%d key=%q", r.Seq, r.Key)
	if r.Tombstone {
		s += " tombstone"
	}
	if r.Expiration != 0 {
		s += fmt.Sprintf(" expiration=%d", r.Expiration)
	}
	if len(r.Metadata) > 0 {
		s += fmt.Sprintf(" metadata=%q", r.Metadata)
	}
	switch {
	case r.Tombstone:
	case r.Pointer != nil:
		s += fmt.Sprintf(" length=%d pointer=%d:%d", r.Length, r.Pointer.Segment, r.Pointer.Offset)
	case r.Chunks != nil:
		s += fmt.Sprintf(" length=%d chunks=%v", r.Length, r.Chunks)
	default:
		s += fmt.Sprintf(" value=%q", r.Value)
	}
	return s
}

func entryText(e *segment.Entry) string {
	s := fmt.Sprintf("seq=%d key=%q at=%d#%d", e.Seq, e.Key, e.Offset, e.Ordinal)
	if e.Tombstone {
		s += " tombstone"
	}
	if e.Deletes {
		s += " deletes"
	}
	if e.Expiration != 0 {
		s += fmt.Sprintf(" expiration=%d", e.Expiration)
	}
	if e.MetadataLen > 0 {
		s += fmt.Sprintf(" metadata=%d", e.MetadataLen)
	}
	if e.Metadata != nil {
		s += fmt.Sprintf(":%q", e.Metadata)
	}
	if !e.Tombstone {
		s += fmt.Sprintf(" length=%d", e.Length)
	}
	if e.HasPointer {
		s += fmt.Sprintf(" pointer=%d:%d", e.Pointer.Segment, e.Pointer.Offset)
	}
	return s
}
