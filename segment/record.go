package segment

import (
	"encoding/binary"
)

// The flags of a record.
const (
	flagTombstone  = 1
	flagExpiration = 2
	flagMetadata   = 4
	flagPointer    = 8
	flagChunks     = 16

	flagDeletes = 16 // in footers
)

// Limits of the format, in bytes. The store's own limits are lower.
const (
	MaxKey      = 1<<15 - 1
	MaxMetadata = 1<<15 - 1
	MaxInline   = 1<<16 - 1 // of a value that stands in the record
)

// Record is one version of a key.
//
// A decoded record's slices point into the payload that it was decoded from.
type Record struct {
	Seq        uint64
	Expiration int64 // Unix seconds; 0: none
	Tombstone  bool
	Pointer    *Pointer // the value is in a value segment
	Chunks     []Chunk  // the value is in these chunks of this value segment
	Length     int64    // of the value in bytes, wherever it is
	Key        []byte
	Metadata   []byte
	Value      []byte // if neither Pointer nor Chunks
}

// Pointer is the place of a record in a value segment.
type Pointer struct {
	Segment uint64
	Offset  int64
}

// Chunk is the place of a chunk frame.
type Chunk struct {
	Offset int64
	Stored int
}

// Size is what the record counts for in the usage of a store: bytes of key,
// metadata and value; of a tombstone, the key.
func (r *Record) Size() int64 {
	return int64(len(r.Key)) + int64(len(r.Metadata)) + r.length()
}

// length is Length, also if the caller left that to AppendRecord.
func (r *Record) length() int64 {
	switch {
	case r.Tombstone:
		return 0
	case r.Pointer != nil || r.Chunks != nil:
		return r.Length
	}
	return int64(len(r.Value))
}

func (r *Record) flags() byte {
	var flags byte
	if r.Tombstone {
		flags |= flagTombstone
	}
	if r.Expiration != 0 {
		flags |= flagExpiration
	}
	if len(r.Metadata) > 0 {
		flags |= flagMetadata
	}
	if r.Pointer != nil {
		flags |= flagPointer
	}
	if r.Chunks != nil {
		flags |= flagChunks
	}
	return flags
}

// recordOverhead is the most bytes a record takes beside key, metadata and an
// inline value: flags, five uvarints, a pointer.
const recordOverhead = 1 + 5*binary.MaxVarintLen64 + 2*binary.MaxVarintLen64

// MaxEncoded bounds the bytes that [AppendRecord] appends for a record without
// chunks.
func (r *Record) MaxEncoded() int {
	return recordOverhead + len(r.Key) + len(r.Metadata) + len(r.Value)
}

// AppendRecord appends the encoded record to dst. Length is taken from Value
// unless the value is elsewhere.
func AppendRecord(dst []byte, r *Record) []byte {
	dst = append(dst, r.flags())
	dst = binary.AppendUvarint(dst, r.Seq)
	dst = binary.AppendUvarint(dst, uint64(len(r.Key)))
	if r.Expiration != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Expiration))
	}
	if len(r.Metadata) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Metadata)))
	}
	if !r.Tombstone {
		dst = binary.AppendUvarint(dst, uint64(r.length()))
	}
	dst = append(dst, r.Key...)
	dst = append(dst, r.Metadata...)
	switch {
	case r.Tombstone:
	case r.Pointer != nil:
		dst = binary.AppendUvarint(dst, r.Pointer.Segment)
		dst = binary.AppendUvarint(dst, uint64(r.Pointer.Offset/8))
	case r.Chunks != nil:
		dst = appendChunks(dst, r.Chunks)
	default:
		dst = append(dst, r.Value...)
	}
	return dst
}

func appendChunks(dst []byte, chunks []Chunk) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(chunks)))
	var end int64
	for _, c := range chunks {
		dst = binary.AppendUvarint(dst, uint64(c.Offset-end)/8)
		dst = binary.AppendUvarint(dst, uint64(c.Stored))
		end = c.End()
	}
	return dst
}

// End returns where the frame of the chunk ends, padding included.
func (c Chunk) End() int64 { return c.Offset + align(int64(frameHeaderSize+c.Stored)) }

// DecodeRecord decodes the record at the start of b into r and returns the
// bytes it takes. ok is false if b does not start with a record.
func DecodeRecord(b []byte, r *Record) (n int, ok bool) {
	d := decoder{b: b, ok: true}
	flags := d.byte()
	if !validFlags(flags) {
		return 0, false
	}
	*r = Record{Tombstone: flags&flagTombstone != 0}
	r.Seq = d.uvarint()
	keyLen := d.length(MaxKey)
	if flags&flagExpiration != 0 {
		r.Expiration = d.int63()
	}
	metadataLen := 0
	if flags&flagMetadata != 0 {
		metadataLen = d.length(MaxMetadata)
	}
	if !r.Tombstone {
		r.Length = d.int63()
	}
	r.Key = d.bytes(keyLen)
	r.Metadata = d.bytes(metadataLen)
	switch {
	case r.Tombstone:
	case flags&flagPointer != 0:
		r.Pointer = &Pointer{Segment: d.uvarint(), Offset: d.offset()}
	case flags&flagChunks != 0:
		r.Chunks = d.chunks(r.Length)
	case r.Length > MaxInline:
		return 0, false
	default:
		r.Value = d.bytes(int(r.Length))
	}
	if !d.ok || keyLen == 0 {
		return 0, false
	}
	return len(b) - len(d.b), true
}

// validFlags tells whether a record can have these flags: a tombstone has no
// other, and a value is in one place.
func validFlags(flags byte) bool {
	if flags&flagTombstone != 0 {
		return flags == flagTombstone
	}
	return flags < flagChunks<<1 && flags&(flagPointer|flagChunks) != flagPointer|flagChunks
}

// RecordAt decodes the record with the given ordinal of the payload of a
// records frame into r.
func RecordAt(payload []byte, ordinal int, r *Record) bool {
	for ; ordinal > 0; ordinal-- {
		n, ok := SkipRecord(payload)
		if !ok {
			return false
		}
		payload = payload[n:]
	}
	_, ok := DecodeRecord(payload, r)
	return ok
}

// SkipRecord returns the length of the encoded record at the start of b, of which
// it decodes as little as that takes.
func SkipRecord(b []byte) (n int, ok bool) {
	d := decoder{b: b, ok: true}
	flags := d.byte()
	if !validFlags(flags) {
		return 0, false
	}
	if flags&(flagPointer|flagChunks) != 0 {
		var r Record
		return DecodeRecord(b, &r)
	}
	d.uvarint()
	keyLen := d.length(MaxKey)
	n = keyLen
	if flags&flagExpiration != 0 {
		d.int63()
	}
	if flags&flagMetadata != 0 {
		n += d.length(MaxMetadata)
	}
	if flags&flagTombstone == 0 {
		n += d.length(MaxInline)
	}
	d.bytes(n)
	return len(b) - len(d.b), d.ok && keyLen > 0
}

// decoder takes fields off the front of b. Once a field does not fit, ok is
// false and everything after it is zero.
type decoder struct {
	b  []byte
	ok bool
}

func (d *decoder) fail() { d.b, d.ok = nil, false }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		v := uint64(d.b[0])
		d.b = d.b[1:]
		return v
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// int63 takes a uvarint that has to fit an int64.
func (d *decoder) int63() int64 {
	v := d.uvarint()
	if v > 1<<63-1 {
		d.fail()
		return 0
	}
	return int64(v)
}

func (d *decoder) length(limit int) int {
	v := d.uvarint()
	if v > uint64(limit) {
		d.fail()
		return 0
	}
	return int(v)
}

// offset takes an offset in units of 8 bytes.
func (d *decoder) offset() int64 {
	v := d.uvarint()
	if v > MaxSize/8 {
		d.fail()
		return 0
	}
	return int64(v) * 8
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// chunks takes the list of the chunks of a value of the given length. Their
// number follows from it: all but the last hold MaxRaw bytes.
func (d *decoder) chunks(length int64) []Chunk {
	n := d.uvarint()
	full := length / MaxRaw
	if length%MaxRaw != 0 {
		full++
	}
	if n > uint64(len(d.b)/2) || int64(n) != full {
		d.fail()
		return nil
	}
	chunks := make([]Chunk, 0, n)
	var end int64
	for range n {
		c := Chunk{Offset: end + d.offset()}
		c.Stored = d.length(MaxRaw)
		if !d.ok || c.End() > MaxSize {
			d.fail()
			return nil
		}
		chunks = append(chunks, c)
		end = c.End()
	}
	return chunks
}
