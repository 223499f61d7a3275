package segment_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/firnkv/firn/segment"
)

// span is where a frame is, without its padding.
type span struct {
	from, to int64
	name     string // of its observation
	codec    segment.Codec
}

// observer reads everything there is to read in a segment, by all ways.
type observer struct {
	places []place // where there are records
	keys   [][]byte
	seen   map[string]string
	spans  []span
	errs   []error
}

func (o *observer) note(name, what string, args ...any) { o.seen[name] = fmt.Sprintf(what, args...) }

func (o *observer) failed(err error) bool {
	if err != nil {
		o.errs = append(o.errs, err)
	}
	return err != nil
}

func (o *observer) observe(b []byte) {
	o.seen, o.errs, o.spans = map[string]string{}, nil, nil
	r, err := segment.NewReader(&memFile{b: b})
	if o.failed(err) {
		return
	}
	o.note("header", "%v", r.Header())
	for _, p := range o.places {
		o.record(r, p)
	}
	o.footer(r, int64(len(b)))
	o.frames(r, int64(len(b)))
}

func (o *observer) record(r *segment.Reader, p place) {
	var buf segment.Buffer
	var rec segment.Record
	if o.failed(r.ReadRecord(p.off, p.ordinal, 256, &buf, &rec)) {
		return
	}
	o.note(fmt.Sprint("record ", p), "%s", text(&rec))
	for _, c := range rec.Chunks {
		var buf segment.Buffer
		if chunk, err := r.ReadChunk(c, &buf); !o.failed(err) {
			o.note(fmt.Sprint("chunk ", c), "%x", xxhash.Sum64(chunk))
		}
	}
}

func (o *observer) footer(r *segment.Reader, size int64) {
	f, err := r.ReadFooter(size)
	if o.failed(err) {
		return
	}
	o.note("totals", "%v", f.Totals())
	if filter, err := f.Filter(); !o.failed(err) {
		for _, key := range o.keys {
			o.note(fmt.Sprintf("filter %q", key), "%v", filter.MayContain(segment.KeyHash(key)))
		}
	}
	bs, err := f.Blocks()
	if o.failed(err) {
		return
	}
	o.note("memory", "%d", bs.Memory())
	for _, metadata := range []bool{false, true} {
		it := bs.Iterator(metadata)
		for it.Next() {
			e := it.Entry()
			o.note(fmt.Sprintf("entry %v %q", metadata, e.Key), "%s", entryText(e))
			o.record(r, place{e.Offset, e.Ordinal})
		}
		o.failed(it.Err())
	}
	for _, key := range o.keys {
		if e, ok, err := bs.Lookup(key); !o.failed(err) {
			o.note(fmt.Sprintf("lookup %q", key), "%s %v", entryText(&e), ok)
		}
	}
}

func (o *observer) frames(r *segment.Reader, size int64) {
	s := r.Scan(segment.HeaderSize, size)
	for s.Next() || s.Search(s.End()+8) {
		p, err := s.Payload()
		if o.failed(err) {
			continue
		}
		name := fmt.Sprint("frame ", s.Offset())
		o.note(name, "%v %x", *s.Frame(), xxhash.Sum64(p))
		header := int64(16)
		if s.Frame().Extended {
			header = 32
		}
		o.spans = append(o.spans, span{s.Offset(), s.Offset() + header + int64(s.Frame().Stored), name, s.Frame().Codec})
	}
	o.failed(s.Err())
}

// Whatever happens to a segment, nothing is read that was not written in that
// place, and what was not hit is read.
func TestDamage(t *testing.T) {
	rng := newRand(t)
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			whole := wholeSegment(t, s.file)
			b := s.file.b
			for at := range b {
				damaged := bytes.Clone(b)
				damaged[at] ^= byte(1 + rng.IntN(255))
				checkDamage(t, whole, damaged, at, at+1)
			}
			for at := 0; at < len(b); at += 8 {
				damaged := bytes.Clone(b)
				clear(damaged[at:min(at+8, len(b))])
				if !bytes.Equal(b, damaged) {
					checkDamage(t, whole, damaged, at, at+8)
				}
			}
			for at := range b {
				checkDamage(t, whole, b[:at:at], at, len(b))
			}
		})
	}
}

// wholeSegment is what is seen of an undamaged segment.
func wholeSegment(t *testing.T, file *memFile) *observer {
	t.Helper()
	o := &observer{}
	r := open(t, file)
	s := r.Scan(segment.HeaderSize, math.MaxInt64)
	for s.Next() {
		if s.Frame().Type != segment.FrameRecords {
			continue
		}
		p, err := s.Payload()
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; len(p) > 0; i++ {
			var rec segment.Record
			n, _ := segment.DecodeRecord(p, &rec)
			o.places = append(o.places, place{s.Offset(), i})
			o.keys = append(o.keys, bytes.Clone(rec.Key))
			p = p[n:]
		}
	}
	o.observe(file.b)
	for _, err := range o.errs {
		// A value segment has no footer, and the trailer is no frame.
		if r.Header().Kind != segment.Value && err.Error() != fmt.Sprintf("at %d: no valid frame", len(file.b)-16) {
			t.Fatal(err)
		}
	}
	if len(o.seen) < 2*len(o.places) {
		t.Fatalf("of %d records, only %d things are seen", len(o.places), len(o.seen))
	}
	return o
}

// checkDamage reads a segment that is damaged from one offset to another.
func checkDamage(t *testing.T, whole *observer, damaged []byte, from, to int) {
	t.Helper()
	o := &observer{places: whole.places, keys: whole.keys}
	o.observe(damaged)
	for _, err := range o.errs {
		if !errors.Is(err, segment.ErrCorrupt) && !errors.Is(err, segment.ErrVersion) {
			t.Fatalf("damage at %d to %d: error matches neither ErrCorrupt nor ErrVersion: %v", from, to, err)
		}
	}
	for name, got := range o.seen {
		if want, ok := whole.seen[name]; !ok || got != want {
			t.Fatalf("damage at %d to %d: %s is read as\n%s, not\n%s", from, to, name, got, want)
		}
	}
	if from < segment.HeaderSize {
		return
	}
	for _, s := range whole.spans {
		hit := int64(from) < s.to && s.from < int64(to)
		// A scan does not go beyond the end of the file, not even by padding.
		touched := int64(from) < (s.to+7)/8*8 && s.from < int64(to)
		// The dictionary is the first frame of the packed segment.
		lost := s.codec == 2 && int64(from) < whole.spans[0].to
		if _, ok := o.seen[s.name]; !ok && !touched && !lost {
			t.Fatalf("damage at %d to %d: the %s is lost", from, to, s.name)
		} else if ok && hit {
			t.Fatalf("damage at %d to %d: the %s does not notice", from, to, s.name)
		}
	}
}
