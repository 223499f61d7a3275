package compaction

import (
	"bytes"
	"fmt"
	"io"

	"github.com/firnkv/firn/segment"
)

// Victim is a segment whose live records are to be written to others. It is only
// read: by way of File what is gone through in order, by way of Blocks the
// footer.
type Victim struct {
	ID     uint64
	File   io.ReaderAt
	Reader *segment.Reader
	Blocks *segment.Blocks
	Totals segment.Totals
}

// alone reports whether each record has a frame of its own, which can be taken as
// it is.
func (v *Victim) alone() bool {
	return v.Reader.Header().Kind == segment.Packed && v.Totals.FrameRecords == 1
}

// read is a record on its way from a victim to an output: encoded, or as stored in
// the frame that it has alone.
type read struct {
	encoded    []byte
	asStored   bool
	frame      segment.Frame
	stored     []byte
	dictionary int
}

// input gives what a victim holds in the order of the keys, for the pass that
// writes.
type input interface {
	segment.Entries
	// verdict is what becomes of the current entry, a put.
	verdict() Verdict
	// record reads that of the current entry, which is live.
	record(into *read) error
}

// packedInput reads a packed segment, whose records are in the order of the keys
// too.
type packedInput struct {
	*segment.Iterator
	host       Host
	v          *Victim
	reader     *segment.Reader
	asStored   bool // frames are taken as they are
	dictionary int
	buf        segment.Buffer
	payload    []byte
	at         int64 // offset of the frame of payload
	hint       int
}

func newPackedInput(host Host, v *Victim) *packedInput {
	hint := 512
	if !v.alone() {
		hint = youngFrame
	}
	return &packedInput{
		Iterator: v.Blocks.Iterator(true), host: host, v: v, hint: hint,
		reader: v.Reader.Through(&window{file: v.File}),
	}
}

func (in *packedInput) verdict() Verdict { return in.host.Judge(in.v, in.Entry()) }

func (in *packedInput) record(into *read) (err error) {
	e := in.Entry()
	into.asStored, into.dictionary = in.asStored, in.dictionary
	if in.asStored {
		f, stored, err := in.reader.ReadStored(e.Offset, in.hint, &in.buf)
		into.frame, into.stored = f, append(into.stored[:0], stored...)
		return err
	}
	if in.at != e.Offset {
		in.at = 0
		if in.payload, err = in.reader.ReadRecords(e.Offset, in.hint, &in.buf); err != nil {
			return err
		}
		in.at = e.Offset
	}
	cur := cursor{payload: in.payload}
	b, err := cur.record(e.Offset, e.Ordinal)
	if err != nil {
		return err
	}
	into.encoded = append(into.encoded[:0], b...)
	return check(b, e)
}

// cursor goes through the records of a frame.
type cursor struct {
	payload []byte // from the record with the number ordinal on
	ordinal int
}

// record returns the encoded record with a number that is not below that of the
// last call, of the frame at offset.
func (c *cursor) record(offset int64, ordinal int) ([]byte, error) {
	for ; ; c.ordinal++ {
		n, ok := segment.SkipRecord(c.payload)
		if !ok || c.ordinal > ordinal {
			return nil, &segment.CorruptError{Offset: offset, Reason: fmt.Sprintf("there is no record %d", ordinal)}
		}
		if c.ordinal == ordinal {
			return c.payload[:n], nil
		}
		c.payload = c.payload[n:]
	}
}

// check makes sure that a record is the one that the entry names: what is copied
// under a wrong key would be lost.
func check(record []byte, e *segment.Entry) error {
	var rec segment.Record
	if _, ok := segment.DecodeRecord(record, &rec); !ok || rec.Seq != e.Seq || !bytes.Equal(rec.Key, e.Key) {
		return &segment.CorruptError{Offset: e.Offset, Reason: fmt.Sprintf("record %d is not that of key %q", e.Ordinal, e.Key)}
	}
	return nil
}
