package segment_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/firnkv/firn/segment"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is a small segment of one kind, and the records that it holds in the
// order of the file.
type sample struct {
	name    string
	file    *memFile
	records []string
}

func samples(t testing.TB) []sample {
	return []sample{sampleLog(t), samplePacked(t), sampleValue(t)}
}

// goldenDictionary is kept in a file because training is not deterministic.
func goldenDictionary(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join("testdata", "dictionary")
	if *update {
		if _, err := os.Stat(path); os.IsNotExist(err) {
			writeGolden(t, path, segment.BuildDictionary(jsonRecords(rand.New(rand.NewPCG(1, 1)), 12), segment.DictionarySize))
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeGolden(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// sampleLog is a sealed log with commits of one and of two frames, two
// incarnations, and every kind of record.
func sampleLog(t testing.TB) sample {
	t.Helper()
	withAll := put(7, "Jq3/ü", `{"x":1}`)
	withAll.Expiration, withAll.Metadata = 1_900_000_000, []byte(`["meta"]`)
	pointer := &segment.Record{
		Seq: 8, Key: []byte("large"), Metadata: []byte{0, 255}, Length: 300_000,
		Pointer: &segment.Pointer{Segment: 1 << 40, Offset: 4096},
	}
	commits := [][][]*segment.Record{
		{{put(5, "Zx9", "overwritten")}},
		{{put(6, "Zx9", ""), withAll}, {pointer, tombstone(9, "gone")}},
		{{tombstone(10, "W~w"), put(11, "W~w", strings.Repeat("compressed ", 9))}},
		{{put(20, string([]byte{0, 0xFF, 0x80}), "\x00")}},
	}
	l := newLog(nil)
	l.totals.MinSeq = 5
	l.totals.Superseded = []segment.Superseded{{OverwrittenCount: 1, OverwrittenBytes: 14}, {Segment: 3, DeletedCount: 1, DeletedBytes: 9}}
	s := sample{name: "log"}
	for i, frames := range commits {
		l.comp = nil
		if i == 2 {
			l.comp = plain()
		}
		if i == 3 {
			l.incarnation++
		}
		for j, records := range frames {
			l.frame(j < len(frames)-1, records...)
			for _, r := range records {
				s.records = append(s.records, text(r))
			}
		}
	}
	s.file = l.seal(t)
	return s
}

func samplePacked(t testing.TB) sample {
	t.Helper()
	records := packedRecords(14)
	s := sample{name: "packed"}
	for _, r := range records {
		s.records = append(s.records, text(r))
	}
	s.file, _ = packed(t, goldenDictionary(t), 900, records)
	return s
}

// sampleValue has a value of two chunks, the second of them incompressible, and
// one of no bytes.
func sampleValue(t testing.TB) sample {
	t.Helper()
	s := sample{name: "value", file: &memFile{b: header(segment.Value).Append(nil)}}
	w := segment.NewFrameWriter(s.file, testSalt, segment.HeaderSize, plain())
	value := append(bytes.Repeat([]byte("0123456789ABCDEF"), segment.MaxRaw/16), randomBytes(rand.New(rand.NewPCG(2, 2)), 501)...)
	for _, r := range []*segment.Record{
		{Seq: 3, Key: []byte("large"), Metadata: []byte("m"), Expiration: 1_900_000_000, Value: value},
		{Seq: 4, Key: []byte("none")},
	} {
		full := *r
		r.Length, r.Value, r.Chunks = int64(len(r.Value)), nil, []segment.Chunk{}
		for b := full.Value; len(b) > 0; {
			n := min(len(b), segment.MaxRaw)
			c, err := w.Append(segment.FrameChunk, b[:n])
			if err != nil {
				t.Fatal(err)
			}
			r.Chunks = append(r.Chunks, c)
			b = b[n:]
		}
		if _, err := w.AppendRaw(segment.FrameRecords, segment.AppendRecord(nil, r)); err != nil {
			t.Fatal(err)
		}
		s.records = append(s.records, valueText(&full, full.Value))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

// valueText is the text of a record whose value is in chunks: of what it says,
// not of where they are.
func valueText(r *segment.Record, value []byte) string {
	without := *r
	without.Value, without.Chunks = nil, nil
	return fmt.Sprintf("%s %d bytes %016x", text(&without), len(value), xxhash.Sum64(value))
}

func readValue(r *segment.Reader, rec *segment.Record) ([]byte, error) {
	var value []byte
	var buf segment.Buffer
	for _, c := range rec.Chunks {
		b, err := r.ReadChunk(c, &buf)
		if err != nil {
			return nil, err
		}
		value = append(value, b...)
	}
	return value, nil
}

// dump writes a line for each frame, and one for each record in it.
func dump(t testing.TB, file *memFile) (lines string, records []string) {
	t.Helper()
	var out strings.Builder
	r := open(t, file)
	fmt.Fprintf(&out, "%s segment %d of store %x\n", r.Header().Kind, r.Header().ID, r.Header().StoreID)
	codecs := []string{"raw", "zstd", "dictionary"}
	s := r.Scan(segment.HeaderSize, int64(len(file.b)))
	for s.Next() {
		f := s.Frame()
		fmt.Fprintf(&out, "%6d type %d %s %d/%d", s.Offset(), f.Type, codecs[f.Codec], f.Stored, f.Raw)
		if f.More {
			out.WriteString(" more")
		}
		if f.Extended {
			fmt.Fprintf(&out, " incarnation %d durable %d time %d records %d", f.Incarnation, f.Durable, f.Time, f.Records)
		}
		out.WriteString("\n")
		p, err := s.Payload()
		if err != nil {
			t.Fatal(err)
		}
		for f.Type == segment.FrameRecords && len(p) > 0 {
			var rec segment.Record
			n, ok := segment.DecodeRecord(p, &rec)
			if !ok {
				t.Fatalf("a record of the frame at %d does not decode", s.Offset())
			}
			fmt.Fprintf(&out, "       %s\n", text(&rec))
			if rec.Chunks == nil {
				records = append(records, text(&rec))
			} else if value, err := readValue(r, &rec); err != nil {
				t.Fatal(err)
			} else {
				records = append(records, valueText(&rec, value))
			}
			p = p[n:]
		}
	}
	// A value segment ends with its last frame, the others with the trailer.
	if rest := int64(len(file.b)) - s.End(); r.Header().Kind == segment.Value && rest != 0 || r.Header().Kind != segment.Value && rest != 16 {
		t.Fatalf("%d bytes behind the last frame: %v", rest, s.Err())
	}
	return out.String(), records
}

// The golden files hold the format still: a change that makes this test fail
// makes existing stores unreadable.
func TestGolden(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			path := filepath.Join("testdata", s.name)
			if *update {
				lines, _ := dump(t, s.file)
				writeGolden(t, path+".seg", s.file.b)
				writeGolden(t, path+".txt", []byte(lines))
			}
			b, err := os.ReadFile(path + ".seg")
			if err != nil {
				t.Fatal(err)
			}
			golden := &memFile{b: b}
			lines, records := dump(t, golden)
			wantLines, err := os.ReadFile(path + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if lines != string(wantLines) {
				t.Errorf("the file is\n%s\nnot\n%s", lines, wantLines)
			}
			if got, want := strings.Join(records, "\n"), strings.Join(s.records, "\n"); got != want {
				t.Errorf("the records are\n%s\nnot\n%s", got, want)
			}
			checkEncoding(t, golden)
			if s.name != "value" {
				checkGoldenFooter(t, golden, s.file)
			}
		})
	}
}

// checkEncoding encodes the header, each record and each frame of a golden file
// anew and compares byte for byte. What the compressor makes of a payload may
// change with its version, so compressed payloads are taken from the file; that
// they decode to the right records was checked before.
func checkEncoding(t *testing.T, golden *memFile) {
	t.Helper()
	r := open(t, golden)
	b := r.Header().Append(nil)
	s := r.Scan(segment.HeaderSize, int64(len(golden.b)))
	for s.Next() {
		f := *s.Frame()
		p, err := s.Payload()
		if err != nil {
			t.Fatal(err)
		}
		if f.Type == segment.FrameRecords {
			var again []byte
			for rest := p; len(rest) > 0; {
				var rec segment.Record
				n, ok := segment.DecodeRecord(rest, &rec)
				if !ok {
					t.Fatalf("a record of the frame at %d does not decode", s.Offset())
				}
				again = segment.AppendRecord(again, &rec)
				rest = rest[n:]
			}
			if !bytes.Equal(again, p) {
				t.Fatalf("the records of the frame at %d are encoded otherwise", s.Offset())
			}
		}
		if f.Codec != 0 {
			start := s.Offset() + 16
			if f.Extended {
				start += 16
			}
			p = golden.b[start : start+int64(f.Stored)]
		}
		b = segment.AppendFrame(b, testSalt, int64(len(b)), f, p)
		if !bytes.Equal(b, golden.b[:len(b)]) {
			t.Fatalf("the frame at %d is encoded otherwise", s.Offset())
		}
	}
}

// checkGoldenFooter compares what the footers of both files say, and writes that
// of the golden log anew, whose frames are too small to compress, to compare it
// byte for byte.
func checkGoldenFooter(t *testing.T, golden, written *memFile) {
	t.Helper()
	f, blocks := readFooter(t, golden)
	_, writtenBlocks := readFooter(t, written)
	var entries []*segment.Entry
	it, want := blocks.Iterator(true), writtenBlocks.Iterator(true)
	for want.Next() {
		if !it.Next() {
			t.Fatalf("no entry %s: %v", entryText(want.Entry()), it.Err())
		}
		// The offsets may differ: they depend on how well the records compress.
		e := *it.Entry()
		e.Offset = want.Entry().Offset
		if entryText(&e) != entryText(want.Entry()) {
			t.Fatalf("entry is %s, not %s", entryText(&e), entryText(want.Entry()))
		}
		e.Offset, e.Key, e.Metadata = it.Entry().Offset, bytes.Clone(e.Key), bytes.Clone(e.Metadata)
		entries = append(entries, &e)
	}
	if it.Next() || it.Err() != nil || want.Err() != nil {
		t.Fatalf("more entries, or %v, or %v", it.Err(), want.Err())
	}
	checkFilter(t, f, entries)
	if open(t, golden).Header().Kind != segment.Log {
		return
	}
	again := &memFile{b: bytes.Clone(golden.b[:f.Totals().DataEnd])}
	w := segment.NewFrameWriter(again, testSalt, f.Totals().DataEnd, plain())
	fw := segment.NewFooterWriter(w, f.Totals().MinSeq)
	for _, e := range entries {
		if err := fw.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fw.Finish(f.Totals()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.b, golden.b) {
		t.Fatalf("the footer is written otherwise:\n%x\nnot\n%x", again.b[f.Totals().DataEnd:], golden.b[f.Totals().DataEnd:])
	}
}
