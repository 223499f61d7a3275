package segment_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/firnkv/firn/segment"
)

// specRecord encodes a record straight from the specification.
func specRecord(r *segment.Record) []byte {
	var flags byte
	if r.Tombstone {
		flags |= 1
	}
	if r.Expiration != 0 {
		flags |= 2
	}
	if len(r.Metadata) > 0 {
		flags |= 4
	}
	if r.Pointer != nil {
		flags |= 8
	}
	if r.Chunks != nil {
		flags |= 16
	}
	b := []byte{flags}
	u := func(v uint64) { b = binary.AppendUvarint(b, v) }
	u(r.Seq)
	u(uint64(len(r.Key)))
	if flags&2 != 0 {
		u(uint64(r.Expiration))
	}
	if flags&4 != 0 {
		u(uint64(len(r.Metadata)))
	}
	if flags&1 == 0 {
		u(uint64(r.Length))
	}
	b = append(append(b, r.Key...), r.Metadata...)
	switch {
	case flags&8 != 0:
		u(r.Pointer.Segment)
		u(uint64(r.Pointer.Offset) / 8)
	case flags&16 != 0:
		u(uint64(len(r.Chunks)))
		end := int64(0)
		for _, c := range r.Chunks {
			u(uint64(c.Offset-end) / 8)
			u(uint64(c.Stored))
			end = (c.Offset + 16 + int64(c.Stored) + 7) / 8 * 8
		}
	case flags&1 == 0:
		b = append(b, r.Value...)
	}
	return b
}

// randomRecord returns a record with any combination of what a record can have.
func randomRecord(rng *rand.Rand) *segment.Record {
	length := func(limit int) int {
		return []int{0, 1, 127, 128, rng.IntN(300), rng.IntN(limit + 1), limit}[rng.IntN(7)]
	}
	r := &segment.Record{
		Seq: rng.Uint64() >> rng.IntN(64),
		Key: randomBytes(rng, max(1, length(segment.MaxKey))),
	}
	if rng.IntN(5) == 0 {
		r.Tombstone = true
		return r
	}
	if rng.IntN(2) == 0 {
		r.Expiration = rng.Int64() >> rng.IntN(63)
	}
	if rng.IntN(2) == 0 {
		r.Metadata = randomBytes(rng, length(segment.MaxMetadata))
	}
	switch rng.IntN(4) {
	case 0:
		r.Length = rng.Int64() >> rng.IntN(63)
		r.Pointer = &segment.Pointer{Segment: rng.Uint64() >> rng.IntN(64), Offset: rng.Int64N(segment.MaxSize/8) * 8}
	case 1:
		r.Length = rng.Int64N(30 * segment.MaxRaw)
		r.Chunks = []segment.Chunk{}
		off := int64(segment.HeaderSize)
		for range (r.Length + segment.MaxRaw - 1) / segment.MaxRaw {
			c := segment.Chunk{Offset: off + rng.Int64N(1000)*8, Stored: 1 + rng.IntN(segment.MaxRaw)}
			r.Chunks = append(r.Chunks, c)
			off = (c.Offset + 16 + int64(c.Stored) + 7) / 8 * 8
		}
	default:
		r.Value = randomBytes(rng, length(segment.MaxInline))
		r.Length = int64(len(r.Value))
	}
	return r
}

func TestRecordRoundTrip(t *testing.T) {
	rng := newRand(t)
	for range 500 {
		want := randomRecord(rng)
		b := segment.AppendRecord([]byte("before"), want)[6:]
		if spec := specRecord(want); !bytes.Equal(b, spec) {
			t.Fatalf("%s is encoded as\n%x, not\n%x", text(want), b, spec)
		}
		if want.Chunks == nil && len(b) > want.MaxEncoded() {
			t.Fatalf("%d bytes, at most %d were announced", len(b), want.MaxEncoded())
		}
		// What follows a record is none of its business.
		tail := randomBytes(rng, rng.IntN(20))
		var got segment.Record
		n, ok := segment.DecodeRecord(append(b, tail...), &got)
		if !ok || n != len(b) || text(&got) != text(want) || got.Size() != want.Size() {
			t.Fatalf("%s came back as %s, %d bytes of %d, %v", text(want), text(&got), n, len(b), ok)
		}
		cut := rng.IntN(len(b))
		if _, ok := segment.DecodeRecord(b[:cut], &got); ok {
			t.Fatalf("%s decodes from %d bytes of %d", text(want), cut, len(b))
		}
	}
}

func TestRecordLimits(t *testing.T) {
	long := bytes.Repeat([]byte("k"), 1<<16)
	for _, r := range []*segment.Record{
		{Key: []byte("k")},
		{
			Seq: math.MaxUint64, Expiration: math.MaxInt64, Length: segment.MaxInline,
			Key: long[:segment.MaxKey], Metadata: long[:segment.MaxMetadata], Value: long[:segment.MaxInline],
		},
		{Key: []byte("k"), Length: math.MaxInt64, Pointer: &segment.Pointer{Segment: math.MaxUint64, Offset: segment.MaxSize}},
		{Key: []byte("k"), Chunks: []segment.Chunk{}},
		{Key: []byte("k"), Length: segment.MaxRaw, Chunks: []segment.Chunk{{Offset: 64, Stored: segment.MaxRaw}}},
	} {
		var got segment.Record
		b := segment.AppendRecord(nil, r)
		if n, ok := segment.DecodeRecord(b, &got); !ok || n != len(b) || text(&got) != text(r) || got.Length != r.Length {
			t.Errorf("%.100s came back as %.100s", text(r), text(&got))
		}
	}
}

func TestRecordRefused(t *testing.T) {
	record := func(flags byte, v ...uint64) []byte { return append([]byte{flags}, uvarints(v...)...) }
	long := make([]byte, 1<<17)
	for name, b := range map[string][]byte{
		"nothing":                     {},
		"no key":                      append(record(0, 1, 0, 1), 'v'),
		"key too long":                append(record(1, 1, segment.MaxKey+1), long...),
		"metadata too long":           append(record(4, 1, 1, segment.MaxMetadata+1, 1), long...),
		"value too long":              append(record(0, 1, 1, segment.MaxInline+1), long...),
		"expiration of 64 bits":       append(record(2, 1, 1, 1<<63, 1), "kv"...),
		"length of 64 bits":           append(append(record(8, 1, 1, 1<<63), 'k'), 1, 1),
		"uvarint of 11 bytes":         append([]byte{1}, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01k"...),
		"uvarint too large":           append([]byte{1}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01k"...),
		"tombstone with expiration":   append(record(3, 1, 1, 5), 'k'),
		"tombstone with metadata":     append(record(5, 1, 1, 1), "km"...),
		"tombstone with pointer":      append(append(record(9, 1, 1), 'k'), 1, 1),
		"unknown flag":                append(record(32, 1, 1, 1), "kv"...),
		"pointer and chunks":          append(append(record(24, 1, 1, 1), 'k'), 1, 1, 1, 1),
		"pointer beyond any segment":  append(append(record(8, 1, 1, 1), 'k'), uvarints(1, segment.MaxSize/8+1)...),
		"fewer chunks than length":    append(append(record(16, 1, 1, segment.MaxRaw+1), 'k'), 1, 8, 1),
		"more chunks than length":     append(append(record(16, 1, 1, segment.MaxRaw), 'k'), 2, 8, 1, 8, 1),
		"chunks of nothing":           append(append(record(16, 1, 1, 0), 'k'), 1, 8, 1),
		"more chunks than bytes":      append(append(record(16, 1, 1, math.MaxInt64), 'k'), uvarints(1<<46)...),
		"length of chunks overflows":  append(append(record(16, 1, 1, math.MaxInt64), 'k'), 1, 8, 1),
		"chunk beyond any segment":    append(append(record(16, 1, 1, 1), 'k'), uvarints(1, segment.MaxSize/8, 1)...),
		"chunk too long":              append(append(record(16, 1, 1, 1), 'k'), uvarints(1, 8, segment.MaxRaw+1)...),
		"chunks where value would be": append(record(16, 1, 1, 1), "k"...),
	} {
		var r segment.Record
		if n, ok := segment.DecodeRecord(b, &r); ok {
			t.Errorf("%s: %d bytes decode to %.100s", name, n, text(&r))
		}
		// A record behind one that is refused is refused too.
		if segment.RecordAt(append(bytes.Clone(b), segment.AppendRecord(nil, put(1, "k", "v"))...), 1, &r) {
			t.Errorf("%s: skipped to %.100s", name, text(&r))
		}
	}
}

func TestRecordAt(t *testing.T) {
	rng := newRand(t)
	var payload []byte
	var want []*segment.Record
	for range segment.MaxRecords {
		r := randomRecord(rng)
		want = append(want, r)
		payload = segment.AppendRecord(payload, r)
	}
	var got segment.Record
	for i, w := range want {
		if !segment.RecordAt(payload, i, &got) || text(&got) != text(w) {
			t.Fatalf("record %d is %.100s, not %.100s", i, text(&got), text(w))
		}
	}
	if segment.RecordAt(payload, len(want), &got) || segment.RecordAt(payload, math.MaxInt, &got) {
		t.Error("there is a record behind the last")
	}
}

// Size and the encoding agree on the length of a value that the caller set
// without Length.
func TestRecordSize(t *testing.T) {
	for _, tc := range []struct {
		r    segment.Record
		want int64
	}{
		{segment.Record{Key: []byte("key"), Metadata: []byte("md"), Value: []byte("value")}, 10},
		{segment.Record{Key: []byte("key"), Tombstone: true}, 3},
		{segment.Record{Key: []byte("key"), Length: 1000, Pointer: &segment.Pointer{}}, 1003},
		{segment.Record{Key: []byte("key"), Length: 1000, Chunks: []segment.Chunk{{Offset: 64, Stored: 5}}}, 1003},
	} {
		if got := tc.r.Size(); got != tc.want {
			t.Errorf("%s: size %d, not %d", text(&tc.r), got, tc.want)
		}
		var back segment.Record
		if _, ok := segment.DecodeRecord(segment.AppendRecord(nil, &tc.r), &back); !ok || back.Size() != tc.want {
			t.Errorf("%s: size %d after decoding", text(&tc.r), back.Size())
		}
	}
}
