package compaction

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

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
	b, err := cur.record(e)
	into.encoded = append(into.encoded[:0], b...)
	return err
}

// cursor goes through the records of a frame.
type cursor struct {
	payload []byte // from the record with the number ordinal on
	ordinal int
}

// record returns the encoded record that the entry names, which is not before
// that of the last call. It makes sure that it is the right one: what is copied
// under a wrong key would be lost.
func (c *cursor) record(e *segment.Entry) ([]byte, error) {
	for ; ; c.ordinal++ {
		n, ok := segment.SkipRecord(c.payload)
		if !ok || c.ordinal > e.Ordinal {
			return nil, notThere(e)
		}
		if c.ordinal == e.Ordinal {
			b := c.payload[:n]
			var rec segment.Record
			if _, ok := segment.DecodeRecord(b, &rec); !ok || rec.Seq != e.Seq || !bytes.Equal(rec.Key, e.Key) {
				return nil, notThere(e)
			}
			return b, nil
		}
		c.payload = c.payload[n:]
	}
}

func notThere(e *segment.Entry) error {
	return &segment.CorruptError{Offset: e.Offset, Reason: fmt.Sprintf("record %d is not that of key %q", e.Ordinal, e.Key)}
}

// logInput reads a log segment, whose records are in the order of their writing.
// It reads ahead as many entries, in the order of the keys, as the memory for
// their records allows, and fetches these in the order of their places: each
// frame is decoded once for each time the memory is filled.
type logInput struct {
	it       *segment.Iterator
	host     Host
	v        *Victim
	memory   int
	fetchers []*fetcher

	items []logItem
	next  int
	keys  []byte // keys and metadata of items
	order []int32
	err   error
}

type logItem struct {
	entry   segment.Entry
	verdict Verdict
	record  []byte // encoded, if it is live; part of a fetcher's memory
}

// leastMemory is what a log segment gets for its records, however few are live.
const leastMemory = 256 << 10

func newLogInput(host Host, v *Victim, memory, workers int) *logInput {
	in := &logInput{it: v.Blocks.Iterator(true), host: host, v: v, memory: max(memory, leastMemory)}
	for range max(workers, 1) {
		in.fetchers = append(in.fetchers, &fetcher{reader: v.Reader.Through(&window{file: v.File})})
	}
	return in
}

func (in *logInput) Seek([]byte) bool      { panic("compaction: a log is read from its start") }
func (in *logInput) Entry() *segment.Entry { return &in.items[in.next-1].entry }
func (in *logInput) verdict() Verdict      { return in.items[in.next-1].verdict }
func (in *logInput) Err() error            { return in.err }

func (in *logInput) record(into *read) error {
	into.asStored, into.encoded = false, append(into.encoded[:0], in.items[in.next-1].record...)
	return nil
}

func (in *logInput) Next() bool {
	if in.next == len(in.items) && !in.fill() {
		return false
	}
	in.next++
	return true
}

// entryBytes is about what an item takes beside its record.
const entryBytes = 160

func (in *logInput) fill() bool {
	in.items, in.next = in.items[:0], 0
	in.keys = in.keys[:0]
	if in.err != nil {
		return false
	}
	for bytes := 0; bytes < in.memory && in.it.Next(); {
		if len(in.items)%checkEvery == 0 {
			if in.err = in.host.Yield(); in.err != nil {
				return false
			}
		}
		e := in.it.Entry()
		item := logItem{entry: *e}
		n := len(in.keys)
		in.keys = append(append(in.keys, e.Key...), e.Metadata...)
		item.entry.Key = in.keys[n : n+len(e.Key)]
		item.entry.Metadata = in.keys[n+len(e.Key):]
		bytes += entryBytes + len(e.Key) + len(e.Metadata)
		if !e.Tombstone {
			item.verdict = in.host.Judge(in.v, e)
		}
		if item.verdict == Live && !e.HasPointer {
			bytes += int(e.Size())
		}
		in.items = append(in.items, item)
	}
	if in.err = in.it.Err(); in.err == nil {
		in.err = in.fetch()
	}
	return in.err == nil && len(in.items) > 0
}

// fetch reads the records of the live items, frame by frame, each fetcher those of
// a part of the segment.
func (in *logInput) fetch() error {
	in.order = in.order[:0]
	for i := range in.items {
		if item := &in.items[i]; item.verdict == Live && !item.entry.HasPointer {
			in.order = append(in.order, int32(i))
		}
	}
	slices.SortFunc(in.order, func(a, b int32) int {
		x, y := &in.items[a].entry, &in.items[b].entry
		return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.Ordinal, y.Ordinal))
	})
	var group sync.WaitGroup
	parts := len(in.fetchers)
	for i, f := range in.fetchers[1:] {
		part := in.order[len(in.order)*(i+1)/parts : len(in.order)*(i+2)/parts]
		group.Go(func() {
			f.err = f.fetch(in.items, part, func() error { runtime.Gosched(); return nil })
		})
	}
	first := in.fetchers[0]
	first.err = first.fetch(in.items, in.order[:len(in.order)/parts], in.host.Yield)
	group.Wait()
	for _, f := range in.fetchers {
		if f.err != nil {
			return f.err
		}
	}
	return nil
}

// fetcher reads records in the order of their places.
type fetcher struct {
	reader  *segment.Reader
	records []byte
	buf     segment.Buffer
	err     error
}

// fetch fills in the records of the items that order lists.
func (f *fetcher) fetch(items []logItem, order []int32, yield func() error) error {
	f.records = f.records[:0]
	at := int64(0)
	var cur cursor
	for _, i := range order {
		item := &items[i]
		if item.entry.Offset != at {
			if err := yield(); err != nil {
				return err
			}
			payload, err := f.reader.ReadRecords(item.entry.Offset, 8<<10, &f.buf)
			if err != nil {
				return err
			}
			at, cur = item.entry.Offset, cursor{payload: payload}
		}
		b, err := cur.record(&item.entry)
		if err != nil {
			return err
		}
		// If the memory grows, what was returned stays in the old one.
		n := len(f.records)
		f.records = append(f.records, b...)
		item.record = f.records[n:]
	}
	return nil
}
