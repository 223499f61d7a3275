package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/firnkv/firn/segment"
)

func FuzzRecord(f *testing.F) {
	for _, r := range packedRecords(14) {
		f.Add(segment.AppendRecord(nil, r))
	}
	f.Add(segment.AppendRecord(nil, &segment.Record{
		Seq: math.MaxUint64, Key: []byte("k"), Length: segment.MaxRaw + 1,
		Chunks: []segment.Chunk{{Offset: 64, Stored: 5}, {Offset: 128, Stored: segment.MaxRaw}},
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second, at segment.Record
		n, ok := segment.DecodeRecord(b, &first)
		if got := segment.RecordAt(b, 0, &at); got != ok {
			t.Fatalf("record 0 is there: %v; it decodes: %v", got, ok)
		}
		if !ok {
			return
		}
		if n > len(b) || text(&at) != text(&first) {
			t.Fatalf("%d bytes of %d, %s and %s", n, len(b), text(&first), text(&at))
		}
		again := segment.AppendRecord(nil, &first)
		if len(again) > n {
			t.Fatalf("%d bytes are encoded as %d", n, len(again))
		}
		if m, ok := segment.DecodeRecord(again, &second); !ok || m != len(again) || text(&second) != text(&first) {
			t.Fatalf("%s came back as %s", text(&first), text(&second))
		}
		// Skipping a record and decoding it take the same bytes.
		for ordinal := 1; n < len(b); ordinal++ {
			m, ok := segment.DecodeRecord(b[n:], &second)
			if got := segment.RecordAt(b, ordinal, &at); got != ok {
				t.Fatalf("record %d is there: %v; it decodes: %v", ordinal, got, ok)
			}
			if !ok {
				break
			}
			n += m
		}
	})
}

// FuzzFrame reads arbitrary bytes as a frame, and as the payload of a frame whose
// checksums are right.
func FuzzFrame(f *testing.F) {
	frame := specFrame(testSalt, segment.HeaderSize, 2, 0, 5, []byte("hello"), nil, false)
	f.Add(frame, uint16(0), uint8(0), uint32(5))
	for codec, dictionary := range [][]byte{1: nil, 2: goldenDictionary(f)} {
		raw := bytes.Repeat([]byte(`{"title":"Title_1","genres":["Drama"]}`), 3)
		stored, _, _ := compressor(f, segment.Better, dictionary).Compress(nil, raw)
		f.Add(stored, uint16(codec), uint8(2), uint32(len(raw)))
	}
	base := header(segment.Packed).Append(nil)
	base = append(base, specFrame(testSalt, segment.HeaderSize, 3, 0, len(goldenDictionary(f)), goldenDictionary(f), nil, false)...)
	off := int64(len(base))
	var buf segment.Buffer
	f.Fuzz(func(t *testing.T, b []byte, codec uint16, typ uint8, raw uint32) {
		if len(b) >= 1<<20 || raw >= 1<<20 {
			return
		}
		for _, frame := range [][]byte{b, specFrame(testSalt, off, int(typ&15), int(codec&3), int(raw), b, nil, false)} {
			r := open(t, &memFile{b: append(bytes.Clone(base), frame...)})
			f, p, err := r.ReadFrame(off, int(codec), &buf)
			if err != nil {
				if p != nil || !errors.Is(err, segment.ErrCorrupt) {
					t.Fatalf("%d bytes and %v", len(p), err)
				}
				continue
			}
			if len(p) != f.Raw || f.Raw > segment.MaxRaw || f.Raw != int(raw) {
				t.Fatalf("%d bytes of %+v", len(p), f)
			}
		}
	})
}

// FuzzHeader opens arbitrary bytes, and a packed segment with an arbitrary
// dictionary.
func FuzzHeader(f *testing.F) {
	f.Add(header(segment.Log).Append(nil))
	f.Add(header(segment.Packed).Append(nil))
	f.Add(goldenDictionary(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := segment.DecodeHeader(b)
		if err == nil && !bytes.Equal(h.Append(nil)[:13], b[:13]) {
			t.Fatalf("%x decodes to %+v", b, h)
		}
		if _, err := segment.NewReader(&memFile{b: b}); (err == nil) != (len(b) >= segment.HeaderSize && h.Kind != 0) {
			t.Fatalf("header %+v: %v", h, err)
		} else if err != nil && !errors.Is(err, segment.ErrCorrupt) && !errors.Is(err, segment.ErrVersion) {
			t.Fatal(err)
		}
		if len(b) > segment.MaxRaw {
			return
		}
		file := header(segment.Packed).Append(nil)
		file = append(file, specFrame(testSalt, segment.HeaderSize, 3, 0, len(b), b, nil, false)...)
		off := int64(len(file))
		payload := []byte("(\x01\x00\x12\x34\x56\x78\x9a\xbc\xde\xf0 some bytes for the decoder")
		file = append(file, specFrame(testSalt, off, 1, 2, 1000, payload, nil, false)...)
		var buf segment.Buffer
		if _, _, err := open(t, &memFile{b: file}).ReadFrame(off, 512, &buf); err != nil && !errors.Is(err, segment.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// FuzzScanner scans a file of pieces: some arbitrary bytes, some frames with
// right checksums. Each piece begins with its length and its kind.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("\x05\x00hello\x05\x01hello\x03\x02abc\x08\x0312345678"))
	f.Add(bytes.Repeat([]byte("\x01\x06z"), 10))
	f.Add([]byte{0, 1, 0, 2, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 1, 1, 'k'})
	f.Fuzz(func(t *testing.T, pieces []byte) {
		file := &memFile{b: header(segment.Log).Append(nil)}
		frames := 0
		for len(pieces) >= 2 {
			n, kind := min(int(pieces[0]), len(pieces)-2), pieces[1]
			piece := pieces[2 : 2+n]
			pieces = pieces[2+n:]
			off := int64(len(file.b))
			switch {
			case kind&1 == 0 || off%8 != 0:
				file.b = append(file.b, piece...)
			case kind&2 == 0:
				frames++
				file.b = append(file.b, specFrame(testSalt, off, 1+int(kind>>5), int(kind>>2&1), 300*int(kind>>2&1)+n*int(^kind>>2&1), piece, nil, false)...)
			default:
				frames++
				ext := specExtension(1+uint32(kind>>4&1), off, 1, 1)
				file.b = append(file.b, specFrame(testSalt, off, 1+int(kind>>5), int(kind>>2&1), 300*int(kind>>2&1)+n*int(^kind>>2&1), piece, ext, kind&8 != 0)...)
			}
		}
		limit := int64(len(file.b))
		r := open(t, file)
		for _, from := range []int64{segment.HeaderSize, 0} {
			s := r.Scan(from, limit)
			n := 0
			for last := from - 1; s.Next() || s.Search(s.End()+8); n++ {
				if s.Offset() <= last || s.End() <= s.Offset() || s.End() > limit || s.Offset()%8 != 0 {
					t.Fatalf("the frame behind that at %d is at %d to %d of %d", last, s.Offset(), s.End(), limit)
				}
				last = s.Offset()
				p, err := s.Payload()
				if err != nil && !errors.Is(err, segment.ErrCorrupt) || err == nil && len(p) != s.Frame().Raw {
					t.Fatalf("payload of %d bytes, %v", len(p), err)
				}
			}
			if n > frames {
				t.Fatalf("%d frames found, %d were written", n, frames)
			}
			if err := s.Err(); err != nil && !errors.Is(err, segment.ErrCorrupt) {
				t.Fatal(err)
			}
		}
	})
}

// FuzzFooter reads footers made of arbitrary payloads in frames with right
// checksums. If no sparse index or footer frame is given, one is made that leads
// to the rest, so that changing one part reaches its parser.
func FuzzFooter(f *testing.F) {
	addFooterSeeds(f)
	f.Fuzz(func(t *testing.T, keys, metadata, sparse, filter, footer []byte) {
		for _, p := range [][]byte{keys, metadata, sparse, filter, footer} {
			if len(p) > segment.MaxRaw {
				return
			}
		}
		raw := newRawFooter(t)
		keysAt := raw.frame(t, segment.FrameKeys, keys)
		metadataAt := raw.frame(t, segment.FrameMetadata, metadata)
		if len(sparse) == 0 && len(keys) > 2 {
			n := min(int(keys[1]), len(keys)-2)
			sparse = append(uvarints(uint64(n)), keys[2:2+n]...)
			sparse = append(sparse, uvarints(keysAt[0], keysAt[1], metadataAt[1])...)
		}
		sparseAt := raw.frame(t, segment.FrameSparse, sparse)
		filterAt := raw.frame(t, segment.FrameFilter, filter)
		if len(footer) == 0 {
			footer = append(rawTotals(1), uvarints(1, sparseAt[0], sparseAt[1], 1, filterAt[0], filterAt[1])...)
		}
		file := raw.finish(t, footer)
		ft, err := open(t, file).ReadFooter(int64(len(file.b)))
		if err != nil {
			expectCorrupt(t, err)
			return
		}
		if filter, err := ft.Filter(); err != nil {
			expectCorrupt(t, err)
		} else {
			filter.MayContain(0)
			filter.MayContain(binary.LittleEndian.Uint64([]byte("\xff\xff\xff\xff\xff\xff\xff\xff")))
		}
		bs, err := ft.Blocks()
		if err != nil {
			expectCorrupt(t, err)
			return
		}
		// Blocks do not overlap, and each takes 24 bytes of the file.
		if bs.Memory() > int64(len(file.b))*10+int64(len(sparse)) {
			t.Fatalf("a sparse index of %d bytes takes %d", len(sparse), bs.Memory())
		}
		walkEntries(t, bs, len(keys)+len(metadata)+len(sparse)+len(filter)+len(footer))
	})
}

// addFooterSeeds adds the payloads of a real footer, with and without the parts
// that name places.
func addFooterSeeds(f *testing.F) {
	file := sampleLog(f).file
	payloads := map[segment.FrameType][]byte{}
	s := open(f, file).Scan(segment.HeaderSize, int64(len(file.b)))
	for s.Next() {
		p, err := s.Payload()
		if err != nil {
			f.Fatal(err)
		}
		payloads[s.Frame().Type] = bytes.Clone(p)
	}
	keys, metadata, filter := payloads[segment.FrameKeys], payloads[segment.FrameMetadata], payloads[segment.FrameFilter]
	f.Add(keys, metadata, []byte{}, filter, []byte{})
	f.Add(keys, metadata, payloads[segment.FrameSparse], filter, payloads[segment.FrameFooter])
	f.Add([]byte("\x00\x01k\x01\x00\x10\x00"), []byte{}, []byte{}, make([]byte, 16), []byte{})
	f.Add([]byte{}, []byte{}, bytes.Repeat([]byte{1, 'k', 8, 3, 0}, 100), filter, []byte{})
}

func expectCorrupt(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, segment.ErrCorrupt) {
		t.Fatal(err)
	}
}

// walkEntries goes through an index of size bytes: keys rise, and the end comes.
func walkEntries(t *testing.T, bs *segment.Blocks, size int) {
	t.Helper()
	for _, metadata := range []bool{false, true} {
		it := bs.Iterator(metadata)
		var last []byte
		for n := 0; it.Next(); n++ {
			e := it.Entry()
			if bytes.Compare(e.Key, last) <= 0 || n > size {
				t.Fatalf("entry %d has the key %q behind %q", n, e.Key, last)
			}
			if e.Offset%8 != 0 || e.Offset < segment.HeaderSize || e.Offset >= segment.MaxSize || e.Length < 0 || e.Expiration < 0 {
				t.Fatalf("entry %s", entryText(e))
			}
			if metadata && len(e.Metadata) != e.MetadataLen {
				t.Fatalf("entry %s with %d bytes of metadata", entryText(e), len(e.Metadata))
			}
			last = append(last[:0], e.Key...)
		}
		if err := it.Err(); err != nil {
			expectCorrupt(t, err)
			continue
		}
		if len(last) > 0 {
			if _, ok, err := bs.Lookup(last); !ok || err != nil {
				t.Fatalf("lookup of the last key %q: %v %v", last, ok, err)
			}
		}
	}
}
