package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// Entry is what a footer says about the newest version of a key in its segment.
type Entry struct {
	Key         []byte
	Seq         uint64
	Expiration  int64 // Unix seconds; 0: none
	Tombstone   bool
	MetadataLen int
	Length      int64 // of the value in bytes
	Offset      int64 // of the frame in this segment
	Ordinal     int   // of the record in the frame
	HasPointer  bool  // the value is in a value segment, at Pointer
	Pointer     Pointer
	Deletes     bool   // the key's oldest version in the segment is a tombstone
	Metadata    []byte // nil unless asked for; MetadataLen bytes
}

// Size is what the version counts for in the usage of a store.
func (e *Entry) Size() int64 {
	return int64(len(e.Key)) + int64(e.MetadataLen) + e.Length
}

func (e *Entry) flags() byte {
	var flags byte
	if e.Tombstone {
		flags |= flagTombstone
	}
	if e.Expiration != 0 {
		flags |= flagExpiration
	}
	if e.MetadataLen > 0 {
		flags |= flagMetadata
	}
	if e.HasPointer {
		flags |= flagPointer
	}
	if e.Deletes {
		flags |= flagDeletes
	}
	return flags
}

// Superseded counts versions in a segment that a newer version in the same
// segment replaced, with their bytes of key, metadata and value.
type Superseded struct {
	Segment          uint64 // that holds the values; 0: the one with the footer
	OverwrittenCount int64
	OverwrittenBytes int64
	DeletedCount     int64
	DeletedBytes     int64
}

// Totals is what a footer says about its segment as a whole.
type Totals struct {
	DataEnd    int64 // where the records frames end
	Puts       int64 // all versions whose value is in the segment
	Tombstones int64
	Pointers   int64 // puts whose value is in a value segment
	Bytes      int64 // key, metadata and value of Puts
	MinSeq     uint64
	MaxSeq     uint64
	MaxTime    int64 // Unix seconds

	// Expires is the second in which the last of the puts and pointers
	// expires; 0 if one of them never does, or if there are none.
	Expires int64
	// FrameRecords is the most records that a frame holds.
	FrameRecords int

	Superseded []Superseded

	Entries       int64 // filled in by the writer
	MetadataBytes int64 // filled in by the writer
}

// Count adds one version to all totals but DataEnd, MinSeq, MaxTime and
// Superseded.
func (t *Totals) Count(e *Entry) {
	if !e.Tombstone {
		switch first := t.Puts+t.Pointers == 0; {
		case first:
			t.Expires = e.Expiration
		case e.Expiration == 0:
			t.Expires = 0
		case t.Expires != 0:
			t.Expires = max(t.Expires, e.Expiration)
		}
	}
	t.FrameRecords = max(t.FrameRecords, e.Ordinal+1)
	switch {
	case e.Tombstone:
		t.Tombstones++
	case e.HasPointer:
		t.Pointers++
	default:
		t.Puts++
		t.Bytes += e.Size()
	}
	t.MaxSeq = max(t.MaxSeq, e.Seq)
}

// TrailerSize is how many bytes at the end of a sealed segment are no frames.
const TrailerSize = 16

const (
	// A page of 1,000 keys costs some 8 blocks of this size, 10 µs each.
	blockEntries  = 128
	blockKeys     = 8 << 10
	blockMetadata = 64 << 10
	sparseBytes   = 64 << 10
)

// KeyHash is the hash that a footer's filter is made of.
func KeyHash(key []byte) uint64 { return xxhash.Sum64(key) }

// place is where a frame is, as the footer lists it.
type place struct{ offset, size int64 }

func appendPlaces(dst []byte, places []place) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(places)))
	for _, p := range places {
		dst = binary.AppendUvarint(dst, uint64(p.offset/8))
		dst = binary.AppendUvarint(dst, uint64(p.size/8))
	}
	return dst
}

// places takes places that follow each other, as the writer leaves them: a list
// that names one frame many times would make a small file fill the memory.
func (d *decoder) places() []place {
	n := d.uvarint()
	if n > uint64(len(d.b)/2) {
		d.fail()
		return nil
	}
	places := make([]place, 0, n)
	var end int64
	for range n {
		p := place{d.offset(), d.offset()}
		if p.offset < max(end, HeaderSize) || p.size == 0 {
			d.fail()
			return nil
		}
		places = append(places, p)
		end = p.offset + p.size
	}
	return places
}

func (t *Totals) append(dst []byte, sparse, filter []place) []byte {
	for _, v := range []uint64{
		uint64(t.DataEnd / 8), uint64(t.Puts), uint64(t.Tombstones), uint64(t.Pointers), uint64(t.Bytes),
		t.MinSeq, t.MaxSeq, uint64(t.MaxTime), uint64(t.Expires), uint64(t.FrameRecords),
		uint64(t.Entries), uint64(t.MetadataBytes), uint64(len(t.Superseded)),
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	for _, s := range t.Superseded {
		dst = binary.AppendUvarint(dst, s.Segment)
		for _, v := range []int64{s.OverwrittenCount, s.OverwrittenBytes, s.DeletedCount, s.DeletedBytes} {
			dst = binary.AppendUvarint(dst, uint64(v))
		}
	}
	return appendPlaces(appendPlaces(dst, sparse), filter)
}

func (t *Totals) decode(b []byte) (sparse, filter []place, ok bool) {
	d := decoder{b: b, ok: true}
	t.DataEnd = d.offset()
	t.Puts, t.Tombstones, t.Pointers, t.Bytes = d.int63(), d.int63(), d.int63(), d.int63()
	t.MinSeq, t.MaxSeq, t.MaxTime = d.uvarint(), d.uvarint(), d.int63()
	t.Expires, t.FrameRecords = d.int63(), d.length(MaxRecords)
	t.Entries, t.MetadataBytes = d.int63(), d.int63()
	n := d.uvarint()
	if n > uint64(len(d.b)/5) {
		return nil, nil, false
	}
	for range n {
		t.Superseded = append(t.Superseded, Superseded{
			Segment:          d.uvarint(),
			OverwrittenCount: d.int63(), OverwrittenBytes: d.int63(),
			DeletedCount: d.int63(), DeletedBytes: d.int63(),
		})
	}
	sparse, filter = d.places(), d.places()
	return sparse, filter, d.ok && len(d.b) == 0
}

// Footer reads the footer of a sealed segment. It is safe for concurrent use.
type Footer struct {
	r      *Reader
	end    int64 // offset of the footer frame, behind all else
	totals Totals
	sparse []place
	filter []place
}

// ReadFooter reads the footer of the segment, which is size bytes long.
func (r *Reader) ReadFooter(size int64) (*Footer, error) {
	var trailer [TrailerSize]byte
	at := size - TrailerSize
	if at < HeaderSize {
		return nil, corrupt(max(at, 0), "no footer: segment cut short")
	}
	if _, err := r.file.ReadAt(trailer[:], at); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read trailer at %d: %w", at, err)
	}
	if sum(r.header.Salt, trailer[:8]) != binary.LittleEndian.Uint64(trailer[8:]) {
		return nil, corrupt(at, "trailer: checksum mismatch")
	}
	f := &Footer{r: r}
	off := int64(binary.LittleEndian.Uint64(trailer[:]))
	if off < HeaderSize || off >= at || off%8 != 0 {
		return nil, corrupt(at, "trailer: footer out of range")
	}
	var buf Buffer
	payload, err := r.readTyped(off, int(min(at-off, maxFrameSize)), FrameFooter, &buf)
	if err != nil {
		return nil, err
	}
	var ok bool
	if f.sparse, f.filter, ok = f.totals.decode(payload); !ok {
		return nil, corrupt(off, "footer: does not parse")
	}
	f.end = off
	return f, nil
}

// Totals returns what the footer says about the segment as a whole. The caller
// must not change its slices.
func (f *Footer) Totals() Totals { return f.totals }

// block is an entry of the sparse index. The writer leaves the blocks in the
// order of their keys and of their places; metadata follows keys.
type block struct {
	first    []byte
	keys     place
	metadata place
}

// Blocks is the sparse index of a footer, held in memory: 56 bytes and one key
// for each 128 keys. It is safe for concurrent use.
type Blocks struct {
	f      *Footer
	blocks []block
}

// Blocks reads the sparse index.
func (f *Footer) Blocks() (*Blocks, error) {
	bs := &Blocks{f: f}
	last := block{metadata: place{offset: HeaderSize}}
	var buf Buffer
	for _, p := range f.sparse {
		payload, err := f.r.readTyped(p.offset, int(p.size), FrameSparse, &buf)
		if err != nil {
			return nil, err
		}
		d := decoder{b: payload, ok: true}
		for d.ok && len(d.b) > 0 {
			var b block
			b.first = append([]byte(nil), d.bytes(d.length(MaxKey))...)
			b.keys = place{d.offset(), d.offset()}
			b.metadata = place{b.keys.offset + b.keys.size, d.offset()}
			if !b.follows(&last, f.end) {
				d.fail()
				break
			}
			bs.blocks = append(bs.blocks, b)
			last = b
		}
		if !d.ok {
			return nil, corrupt(p.offset, "sparse index: does not parse")
		}
	}
	return bs, nil
}

// follows tells whether b stands behind last, in keys and in the file, and
// before end.
func (b *block) follows(last *block, end int64) bool {
	return bytes.Compare(b.first, last.first) > 0 && b.keys.size > 0 &&
		b.keys.offset >= last.metadata.offset+last.metadata.size &&
		b.metadata.offset+b.metadata.size <= end
}

// Firsts yields the first key of each block, in order. The caller must not change
// them.
func (bs *Blocks) Firsts(yield func(key []byte) bool) {
	for i := range bs.blocks {
		if !yield(bs.blocks[i].first) {
			return
		}
	}
}

// Memory returns the bytes that the sparse index takes.
func (bs *Blocks) Memory() int64 {
	n := int64(cap(bs.blocks)) * 64
	for i := range bs.blocks {
		n += int64(len(bs.blocks[i].first))
	}
	return n
}
