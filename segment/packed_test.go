package segment_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/firnkv/firn/segment"
)

// packed writes a packed segment of the records and returns their offsets.
func packed(t testing.TB, dictionary []byte, minSeq uint64, records []*segment.Record) (*memFile, []int64) {
	t.Helper()
	return packedWith(t, segment.PackedOptions{Dictionary: dictionary, Level: segment.Better, MinSeq: minSeq}, records)
}

func packedWith(t testing.TB, opts segment.PackedOptions, records []*segment.Record) (*memFile, []int64) {
	t.Helper()
	file := &memFile{}
	w, err := segment.NewPackedWriter(file, header(segment.Packed), opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Add(r, r.Tombstone); err != nil {
			t.Fatal(err)
		}
	}
	size, err := w.Finish(1_700_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if size != int64(len(file.b)) || w.Size() != size {
		t.Fatalf("the size is %d, not %d or %d", len(file.b), size, w.Size())
	}
	var offsets []int64
	_, bs := readFooter(t, file)
	for it := bs.Iterator(false); it.Next(); {
		offsets = append(offsets, it.Entry().Offset)
	}
	return file, offsets
}

// packedRecords returns n records with rising keys and all features.
func packedRecords(n int) []*segment.Record {
	var records []*segment.Record
	for i := range n {
		r := put(uint64(1000+n-i), fmt.Sprintf("movie:%06d", i),
			fmt.Sprintf(`{"title":"Title_%d","year":%d,"cast":[],"genres":["Drama"]}`, i, 1900+i%100))
		switch i % 7 {
		case 1:
			r.Expiration = int64(1_700_000_000 + i)
		case 2, 3:
			r.Metadata = fmt.Appendf(nil, `{"year":%d,"genres":["Drama"]}`, 1900+i%100)
		case 4:
			r = tombstone(r.Seq, string(r.Key))
		case 5:
			r.Value, r.Length, r.Pointer = nil, 100_000, &segment.Pointer{Segment: 9, Offset: int64(64 + 8*i)}
		}
		records = append(records, r)
	}
	return records
}

func TestPacked(t *testing.T) {
	for _, n := range []int{0, 1, 128, 1000} {
		for name, dictionary := range map[string][]byte{"plain": nil, "dictionary": testDictionary()} {
			t.Run(fmt.Sprint(n, name), func(t *testing.T) {
				records := packedRecords(n)
				file, offsets := packed(t, dictionary, 900, records)
				f, bs := readFooter(t, file)
				if got := open(t, file).Header(); got != header(segment.Packed) {
					t.Fatalf("header is %v", got)
				}

				want := segment.Totals{MinSeq: 900, MaxTime: 1_700_000_000, FrameRecords: min(n, 1)}
				var entries []*segment.Entry
				for i, r := range records {
					e := &segment.Entry{
						Key: r.Key, Seq: r.Seq, Expiration: r.Expiration, Tombstone: r.Tombstone, Deletes: r.Tombstone,
						MetadataLen: len(r.Metadata), Metadata: r.Metadata, Length: r.Length, Offset: offsets[i],
					}
					want.Entries++
					want.MaxSeq = max(want.MaxSeq, r.Seq)
					want.MetadataBytes += int64(len(r.Metadata))
					switch {
					case r.Tombstone:
						want.Tombstones++
					case r.Pointer != nil:
						want.Pointers++
						e.HasPointer, e.Pointer = true, *r.Pointer
					default:
						want.Puts++
						want.Bytes += int64(len(r.Key) + len(r.Metadata) + len(r.Value))
					}
					entries = append(entries, e)
				}
				checkIterator(t, bs, entries)
				checkFilter(t, f, entries)

				want.DataEnd = checkPackedRecords(t, file, records, offsets, dictionary != nil)
				if got := f.Totals(); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("totals are %v, not %v", got, want)
				}
			})
		}
	}
}

// checkPackedRecords reads the records one by one and by a scan, and returns
// where the last ends.
func checkPackedRecords(t *testing.T, file *memFile, records []*segment.Record, offsets []int64, dictionary bool) (end int64) {
	t.Helper()
	r := open(t, file)
	var buf segment.Buffer
	var rec segment.Record
	for i, want := range records {
		if err := r.ReadRecord(offsets[i], 0, 512, &buf, &rec); err != nil || text(&rec) != text(want) {
			t.Fatalf("record is %s (%v), not %s", text(&rec), err, text(want))
		}
		if err := r.ReadRecord(offsets[i], 1, 512, &buf, &rec); !errors.Is(err, segment.ErrCorrupt) {
			t.Fatalf("a second record in the frame: %v", err)
		}
	}
	end = segment.HeaderSize
	s := r.Scan(segment.HeaderSize, int64(len(file.b)))
	n, compressed := 0, 0
	for s.Next() {
		if s.Frame().Type == segment.FrameDictionary {
			if !dictionary || s.Offset() != segment.HeaderSize {
				t.Fatalf("dictionary at %d", s.Offset())
			}
			end = s.End()
		}
		if s.Frame().Type != segment.FrameRecords {
			continue
		}
		if s.Frame().Codec == 2 {
			compressed++
		}
		p, err := s.Payload()
		if err != nil || !segment.RecordAt(p, 0, &rec) || text(&rec) != text(records[n]) || s.Offset() != offsets[n] {
			t.Fatalf("record %d at %d is %s: %v", n, s.Offset(), text(&rec), err)
		}
		n++
		end = s.End()
	}
	// The trailer is no frame.
	if n != len(records) || s.End() != int64(len(file.b))-16 {
		t.Fatalf("the scan ended at %d with %d records of %d: %v", s.End(), n, len(records), s.Err())
	}
	if dictionary && compressed < n/2 {
		t.Fatalf("%d of %d records are compressed with the dictionary", compressed, n)
	}
	return end
}

// Frames of several records give each of them back, in their order, whatever the
// number of workers; frames that are taken as they are, too.
func TestPackedFramesOfSeveralRecords(t *testing.T) {
	records := packedRecords(3000)
	for _, workers := range []int{1, 2, 5} {
		yields := 0
		opts := segment.PackedOptions{FrameBytes: 8 << 10, MinSeq: 900, Workers: workers, Yield: func() { yields++ }}
		file, offsets := packedWith(t, opts, records)
		f, bs := readFooter(t, file)
		r := open(t, file)
		var buf segment.Buffer
		var rec segment.Record
		it := bs.Iterator(true)
		for i, want := range records {
			if !it.Next() || it.Entry().Offset != offsets[i] || string(it.Entry().Metadata) != string(want.Metadata) {
				t.Fatalf("entry %d: %v", i, it.Err())
			}
			e := it.Entry()
			if err := r.ReadRecord(e.Offset, e.Ordinal, 4096, &buf, &rec); err != nil || text(&rec) != text(want) {
				t.Fatalf("record %d is %s (%v), not %s", i, text(&rec), err, text(want))
			}
		}
		if n := f.Totals().FrameRecords; n < 30 || n > segment.MaxRecords {
			t.Fatalf("up to %d records in a frame", n)
		}
		frames := map[int64]bool{}
		for _, off := range offsets {
			frames[off] = true
		}
		if yields == 0 || yields > len(frames) || workers == 1 && yields != len(frames) {
			t.Fatalf("%d yields, %d frames", yields, len(frames))
		}
	}
}

func TestPackedStoredFrames(t *testing.T) {
	records := packedRecords(500)
	dictionary := testDictionary()
	from, offsets := packed(t, dictionary, 900, records)
	r := open(t, from)
	if got, err := r.Dictionary(); err != nil || !bytes.Equal(got, dictionary) {
		t.Fatalf("a dictionary of %d bytes: %v", len(got), err)
	}
	file := &memFile{}
	w, err := segment.NewPackedWriter(file, header(segment.Packed), segment.PackedOptions{Dictionary: dictionary, MinSeq: 900})
	if err != nil {
		t.Fatal(err)
	}
	_, bs := readFooter(t, from)
	var buf segment.Buffer
	it := bs.Iterator(true)
	for i := 0; it.Next(); i++ {
		if i%3 == 0 {
			err = w.Add(records[i], records[i].Tombstone)
		} else {
			f, stored, readErr := r.ReadStored(offsets[i], 64, &buf)
			if readErr != nil {
				t.Fatal(readErr)
			}
			err = w.AddStored(it.Entry(), f, stored)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(1_700_000_000); err != nil {
		t.Fatal(err)
	}
	_, bs = readFooter(t, file)
	var to []int64
	for it := bs.Iterator(false); it.Next(); {
		to = append(to, it.Entry().Offset)
	}
	checkPackedRecords(t, file, records, to, true)

	plain, err := segment.NewPackedWriter(&memFile{}, header(segment.Packed), segment.PackedOptions{MinSeq: 900})
	if err != nil {
		t.Fatal(err)
	}
	f, stored, err := r.ReadStored(offsets[0], 64, &buf)
	if err != nil || f.Codec != 2 {
		t.Fatalf("codec %d: %v", f.Codec, err)
	}
	if err := plain.AddStored(&segment.Entry{Key: []byte("k"), Seq: 900}, f, stored); err == nil {
		t.Error("a frame with a dictionary was taken by a segment without")
	}
}

// Whether the caller filled in Length or left it to the encoder, entry, totals
// and record agree.
func TestPackedLengthOfValue(t *testing.T) {
	file, _ := packed(t, nil, 1, []*segment.Record{{Seq: 1, Key: []byte("key"), Value: []byte("value")}})
	f, bs := readFooter(t, file)
	if e, ok, err := bs.Lookup([]byte("key")); !ok || err != nil || e.Length != 5 || e.Size() != 8 || f.Totals().Bytes != 8 {
		t.Fatalf("%s %v %v, %d bytes", entryText(&e), ok, err, f.Totals().Bytes)
	}
}

func TestPackedWriterRefuses(t *testing.T) {
	pointer := &segment.Pointer{Segment: 1, Offset: 64}
	for name, r := range map[string]*segment.Record{
		"sequence number":        put(9, "x", "v"),
		"empty key":              put(10, "", "v"),
		"same key":               put(10, "a", "v"),
		"key before":             put(10, "A", "v"),
		"key too long":           {Seq: 10, Key: bytes.Repeat([]byte("x"), segment.MaxKey+1)},
		"metadata too long":      {Seq: 10, Key: []byte("x"), Metadata: make([]byte, segment.MaxMetadata+1)},
		"value too long":         {Seq: 10, Key: []byte("x"), Value: make([]byte, segment.MaxInline+1)},
		"chunks":                 {Seq: 10, Key: []byte("x"), Chunks: []segment.Chunk{}},
		"tombstone that expires": {Seq: 10, Key: []byte("x"), Tombstone: true, Expiration: 1},
		"tombstone that points":  {Seq: 10, Key: []byte("x"), Tombstone: true, Pointer: pointer},
		"too much for a frame": {
			Seq: math.MaxUint64, Key: bytes.Repeat([]byte("x"), segment.MaxKey),
			Metadata: make([]byte, segment.MaxMetadata), Value: make([]byte, segment.MaxInline),
		},
	} {
		w, err := segment.NewPackedWriter(&memFile{}, header(segment.Packed), segment.PackedOptions{MinSeq: 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(put(10, "a", "v"), false); err != nil {
			t.Fatal(err)
		}
		err = w.Add(r, false)
		if err == nil {
			_, err = w.Finish(0)
		}
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := segment.NewPackedWriter(&memFile{}, header(segment.Packed), segment.PackedOptions{Dictionary: []byte("no dictionary")}); err == nil {
		t.Error("a dictionary that is none was taken")
	}
}

// Damage at the start of a packed segment costs no more than what it hit: the
// dictionary, or the first record if there is none.
func TestPackedWithDamagedStart(t *testing.T) {
	records := packedRecords(50)
	for name, dictionary := range map[string][]byte{"plain": nil, "dictionary": testDictionary()} {
		file, offsets := packed(t, dictionary, 900, records)
		file.b[segment.HeaderSize+20]++
		r := open(t, file)
		var buf segment.Buffer
		var rec segment.Record
		lost := 0
		for i, want := range records {
			f, _, err := r.ReadFrame(offsets[i], 512, &buf)
			if err != nil {
				lost++
				var damage *segment.CorruptError
				if !errors.As(err, &damage) || damage.Offset != segment.HeaderSize || dictionary != nil && f.Codec != 2 {
					t.Fatalf("%s: record %d with codec %d: %v", name, i, f.Codec, err)
				}
				continue
			}
			if err := r.ReadRecord(offsets[i], 0, 512, &buf, &rec); err != nil || text(&rec) != text(want) {
				t.Fatalf("%s: record %d: %v", name, i, err)
			}
		}
		if dictionary == nil && lost != 1 || dictionary != nil && (lost == 0 || lost == len(records)) {
			t.Fatalf("%s: %d of %d records lost", name, lost, len(records))
		}
	}
}

func TestPackedReadConcurrently(t *testing.T) {
	records := packedRecords(200)
	file, offsets := packed(t, testDictionary(), 900, records)
	// memFile counts and is not made for this.
	r := open(t, bytes.NewReader(file.b))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var buf segment.Buffer
			var rec segment.Record
			for i, want := range records {
				if err := r.ReadRecord(offsets[i], 0, 64, &buf, &rec); err != nil || text(&rec) != text(want) {
					t.Errorf("record %d is %s: %v", i, text(&rec), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestPackedReportsWriteErrors(t *testing.T) {
	full := errors.New("disk full")
	w, err := segment.NewPackedWriter(failingWriter{full}, header(segment.Packed), segment.PackedOptions{MinSeq: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(put(1, "k", "v"), false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(0); !errors.Is(err, full) {
		t.Fatalf("error is %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) WriteAt([]byte, int64) (int, error) { return 0, w.err }
