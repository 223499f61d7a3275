package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/firnkv/firn/segment"
)

// footerOf writes a footer with the entries behind an empty log.
func footerOf(t testing.TB, entries []*segment.Entry, totals segment.Totals) *memFile {
	t.Helper()
	file := &memFile{b: header(segment.Log).Append(nil)}
	w := segment.NewFrameWriter(file, testSalt, segment.HeaderSize, plain())
	fw := segment.NewFooterWriter(w, totals.MinSeq)
	for _, e := range entries {
		if err := fw.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	size, err := fw.Finish(totals)
	if err != nil {
		t.Fatal(err)
	}
	if size != int64(len(file.b)) {
		t.Fatalf("the size is %d, not %d", len(file.b), size)
	}
	return file
}

func readFooter(t testing.TB, file *memFile) (*segment.Footer, *segment.Blocks) {
	t.Helper()
	f, err := open(t, file).ReadFooter(int64(len(file.b)))
	if err != nil {
		t.Fatal(err)
	}
	bs, err := f.Blocks()
	if err != nil {
		t.Fatal(err)
	}
	return f, bs
}

// seal adds the footer to a log and returns its file.
func (l *logBuilder) seal(t testing.TB) *memFile {
	t.Helper()
	comp := l.comp
	if comp == nil {
		comp = plain()
	}
	file := &memFile{b: l.b}
	fw := segment.NewFooterWriter(segment.NewFrameWriter(file, testSalt, int64(len(l.b)), comp), l.totals.MinSeq)
	slices.Sort(l.keys)
	for _, key := range l.keys {
		if err := fw.Add(l.newest[key]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fw.Finish(l.totals); err != nil {
		t.Fatal(err)
	}
	return file
}

// randomEntries returns n entries with every feature that an entry can have.
func randomEntries(rng *rand.Rand, n, maxMetadata int) []*segment.Entry {
	keys := map[string]bool{}
	for len(keys) < n {
		switch rng.IntN(10) {
		case 0:
			keys[string(randomBytes(rng, 1+rng.IntN(40)))] = true
		case 1:
			keys[strings.Repeat("long", 1+rng.IntN(200))+fmt.Sprint(rng.IntN(n))] = true
		default:
			keys[fmt.Sprintf("movie:%d:%d", 1900+rng.IntN(100), rng.IntN(n))] = true
		}
	}
	entries := make([]*segment.Entry, 0, n)
	for key := range keys {
		e := &segment.Entry{
			Key: []byte(key), Seq: 1000 + rng.Uint64()>>(1+rng.IntN(63)),
			Offset:  segment.HeaderSize + rng.Int64N((segment.MaxSize-segment.HeaderSize)/8)*8,
			Ordinal: rng.IntN(segment.MaxRecords), Deletes: rng.IntN(4) == 0,
		}
		if rng.IntN(6) == 0 {
			e.Tombstone = true
			entries = append(entries, e)
			continue
		}
		e.Length = rng.Int64() >> rng.IntN(63)
		if rng.IntN(3) == 0 {
			e.Expiration = 1 + rng.Int64N(math.MaxInt64)
		}
		if rng.IntN(2) == 0 {
			e.Metadata = randomBytes(rng, rng.IntN(maxMetadata+1))
			e.MetadataLen = len(e.Metadata)
		}
		if rng.IntN(5) == 0 {
			e.HasPointer = true
			e.Pointer = segment.Pointer{Segment: rng.Uint64() >> rng.IntN(64), Offset: rng.Int64N(segment.MaxSize/8) * 8}
		}
		entries = append(entries, e)
	}
	sort.Slice(entries, func(i, j int) bool { return bytes.Compare(entries[i].Key, entries[j].Key) < 0 })
	return entries
}

// bare returns the text of an entry without the bytes of its metadata.
func bare(e *segment.Entry) string {
	without := *e
	without.Metadata = nil
	return entryText(&without)
}

func full(e *segment.Entry) string {
	if e.MetadataLen == 0 {
		return bare(e)
	}
	return entryText(e)
}

func TestFooterRoundTrip(t *testing.T) {
	rng := newRand(t)
	for _, tc := range []struct{ n, maxMetadata int }{
		{0, 0}, {1, 0}, {1, segment.MaxMetadata}, {127, 50}, {128, 50}, {129, 50}, {200, segment.MaxMetadata}, {10_000, 50},
	} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			entries := randomEntries(rng, tc.n, tc.maxMetadata)
			totals := segment.Totals{
				DataEnd: segment.HeaderSize, Puts: 1 << 40, Tombstones: math.MaxInt64, Pointers: 3, Bytes: 12345, MinSeq: 1000,
				MaxSeq: math.MaxUint64, MaxTime: 1_700_000_000,
				Superseded: []segment.Superseded{{OverwrittenCount: 1, DeletedBytes: math.MaxInt64}, {math.MaxUint64, 5, 6, 7, 8}},
			}
			file := footerOf(t, entries, totals)
			f, bs := readFooter(t, file)

			totals.Entries = int64(tc.n)
			memory := int64(0)
			for _, e := range entries {
				memory += 128 + int64(len(e.Key))
				totals.MetadataBytes += int64(e.MetadataLen)
			}
			if got := f.Totals(); fmt.Sprint(got) != fmt.Sprint(totals) {
				t.Fatalf("totals are %v, not %v", got, totals)
			}
			checkIterator(t, bs, entries)
			checkSeek(t, rng, bs, entries)
			checkFilter(t, f, entries)
			if bs.Memory() > memory {
				t.Errorf("the sparse index takes %d bytes, more than %d for the keys themselves", bs.Memory(), memory)
			}
		})
	}
}

func checkIterator(t *testing.T, bs *segment.Blocks, entries []*segment.Entry) {
	t.Helper()
	for _, metadata := range []bool{false, true} {
		want := bare
		if metadata {
			want = full
		}
		it := bs.Iterator(metadata)
		for _, e := range entries {
			if !it.Next() {
				t.Fatalf("no entry %s: %v", bare(e), it.Err())
			}
			if got := entryText(it.Entry()); got != want(e) {
				t.Fatalf("entry is %s, not %s", got, want(e))
			}
		}
		more := it.Next()
		if more || it.Next() || it.Err() != nil {
			t.Fatalf("%d entries, and more: %v", len(entries), it.Err())
		}
	}
}

func checkSeek(t *testing.T, rng *rand.Rand, bs *segment.Blocks, entries []*segment.Entry) {
	t.Helper()
	// The first, the last and those at the ends of blocks in any case.
	var some []int
	for i := range entries {
		if len(entries) <= 300 || i < 2 || i >= len(entries)-2 || i%128 < 2 || i%128 == 127 || rng.IntN(50) == 0 {
			some = append(some, i)
		}
	}
	targets := [][]byte{nil, {0}, bytes.Repeat([]byte{0xFF}, 50)}
	for _, i := range some {
		key := entries[i].Key
		before := bytes.Clone(key)
		before[len(before)-1]--
		targets = append(targets, key, append(bytes.Clone(key), 0), key[:len(key)-1], before)
	}
	it := bs.Iterator(true)
	for _, target := range targets {
		i := sort.Search(len(entries), func(i int) bool { return bytes.Compare(entries[i].Key, target) >= 0 })
		if it.Seek(target) != (i < len(entries)) {
			t.Fatalf("seek %q: found is %v: %v", target, i == len(entries), it.Err())
		}
		for ; i < len(entries) && rng.IntN(3) > 0; i++ {
			if got := entryText(it.Entry()); got != full(entries[i]) {
				t.Fatalf("seek %q: entry is %s, not %s", target, got, full(entries[i]))
			}
			if it.Next() != (i+1 < len(entries)) {
				t.Fatalf("seek %q: no entry behind %d: %v", target, i, it.Err())
			}
		}

		i = sort.Search(len(entries), func(i int) bool { return bytes.Compare(entries[i].Key, target) >= 0 })
		e, ok, err := bs.Lookup(target)
		if want := i < len(entries) && bytes.Equal(entries[i].Key, target); ok != want || err != nil {
			t.Fatalf("lookup %q: %v %v", target, ok, err)
		} else if ok && entryText(&e) != bare(entries[i]) {
			t.Fatalf("lookup %q: entry is %s, not %s", target, entryText(&e), bare(entries[i]))
		}
	}
}

func checkFilter(t *testing.T, f *segment.Footer, entries []*segment.Entry) {
	t.Helper()
	filter, err := f.Filter()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !filter.MayContain(segment.KeyHash(e.Key)) {
			t.Fatalf("the filter denies %q", e.Key)
		}
	}
	wrong := 0
	for i := range 10_000 {
		if filter.MayContain(segment.KeyHash(fmt.Appendf(nil, "absent %d", i))) {
			wrong++
		}
	}
	// 39 are expected.
	if wrong > 100 {
		t.Errorf("the filter affirms %d of 10,000 absent keys", wrong)
	}
}

// A sparse index and a filter larger than a frame are cut in several.
func TestFooterOfLargeParts(t *testing.T) {
	rng := newRand(t)
	var entries []*segment.Entry
	for i := range 130_000 {
		entries = append(entries, &segment.Entry{Key: fmt.Appendf(nil, "%08d", i), Seq: uint64(1 + i), Offset: 64, Ordinal: i % 256})
	}
	// Keys this long stand in a block of their own, so the index holds each.
	for i := range 40 {
		key := bytes.Repeat(fmt.Appendf(nil, "x%03d", i), segment.MaxKey/4)
		entries = append(entries, &segment.Entry{Key: key, Seq: 5, Offset: 64})
	}
	f, bs := readFooter(t, footerOf(t, entries, segment.Totals{MinSeq: 1}))
	checkIterator(t, bs, entries)
	checkSeek(t, rng, bs, entries)
	checkFilter(t, f, entries)
}

func TestFooterWriterRefuses(t *testing.T) {
	for name, entries := range map[string][]*segment.Entry{
		"empty key":           {{Seq: 5, Offset: 64}},
		"key too long":        {{Key: make([]byte, segment.MaxKey+1), Seq: 5, Offset: 64}},
		"same key":            {{Key: []byte("a"), Seq: 5, Offset: 64}, {Key: []byte("a"), Seq: 6, Offset: 64}},
		"key before":          {{Key: []byte("b"), Seq: 5, Offset: 64}, {Key: []byte("a"), Seq: 6, Offset: 64}},
		"sequence number":     {{Key: []byte("a"), Seq: 4, Offset: 64}},
		"ordinal":             {{Key: []byte("a"), Seq: 5, Offset: 64, Ordinal: segment.MaxRecords}},
		"metadata is missing": {{Key: []byte("a"), Seq: 5, Offset: 64, MetadataLen: 3}},
	} {
		file := &memFile{}
		fw := segment.NewFooterWriter(segment.NewFrameWriter(file, testSalt, 64, plain()), 5)
		var err error
		for _, e := range entries {
			err = fw.Add(e)
		}
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	fw := segment.NewFooterWriter(segment.NewFrameWriter(&memFile{}, testSalt, 64, plain()), 5)
	if _, err := fw.Finish(segment.Totals{MinSeq: 6}); err == nil {
		t.Error("totals with another least sequence number than the entries: taken")
	}
}

func TestReadFooterOfWrongSize(t *testing.T) {
	file := footerOf(t, randomEntries(newRand(t), 10, 10), segment.Totals{MinSeq: 1})
	r := open(t, file)
	for _, size := range []int64{-1, 0, 63, 64, 79, 80, int64(len(file.b)) - 8, int64(len(file.b)) + 8, 1 << 40, math.MaxInt64} {
		if _, err := r.ReadFooter(size); !errors.Is(err, segment.ErrCorrupt) {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

// rawFooter builds a segment around hand-made footer frames with checksums that
// are right, so that what is behind the checksums is tested. Payloads are
// written at the offsets that it returns; trailer and footer frame come last.
type rawFooter struct {
	file *memFile
	w    *segment.FrameWriter
}

func newRawFooter(t testing.TB) *rawFooter {
	file := &memFile{b: header(segment.Log).Append(nil)}
	return &rawFooter{file, segment.NewFrameWriter(file, testSalt, segment.HeaderSize, plain())}
}

func (f *rawFooter) frame(t testing.TB, typ segment.FrameType, payload []byte) (place [2]uint64) {
	t.Helper()
	appendFrame := f.w.Append
	if typ == segment.FrameFilter {
		appendFrame = f.w.AppendRaw
	}
	c, err := appendFrame(typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return [2]uint64{uint64(c.Offset) / 8, uint64(f.w.Offset()-c.Offset) / 8}
}

func uvarints(v ...uint64) (b []byte) {
	for _, v := range v {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// rawTotals returns the first part of a footer frame, up to the places.
func rawTotals(entries uint64) []byte { return uvarints(8, 0, 0, 0, 0, 1, 1, 0, 0, 1, entries, 0, 0) }

func (f *rawFooter) finish(t testing.TB, payload []byte) *memFile {
	t.Helper()
	off := f.w.Offset()
	f.frame(t, segment.FrameFooter, payload)
	if err := f.w.Flush(); err != nil {
		t.Fatal(err)
	}
	trailer := binary.LittleEndian.AppendUint64(nil, uint64(off))
	f.file.b = append(f.file.b, binary.LittleEndian.AppendUint64(trailer, seeded(testSalt, trailer))...)
	return f.file
}

// A small file whose parts name each other many times must not fill the memory
// or keep an iterator busy for ever.
func TestFooterAmplification(t *testing.T) {
	t.Run("sparse frames", func(t *testing.T) {
		f := newRawFooter(t)
		keys := f.frame(t, segment.FrameKeys, []byte("\x00\x01k\x01\x00\x10\x00"))
		sparse := f.frame(t, segment.FrameSparse, append([]byte("\x01k"), uvarints(keys[0], keys[1], 0)...))
		payload := append(rawTotals(1), uvarints(1000)...)
		for range 1000 {
			payload = append(payload, uvarints(sparse[:]...)...)
		}
		file := f.finish(t, append(payload, 0))
		if _, err := open(t, file).ReadFooter(int64(len(file.b))); !errors.Is(err, segment.ErrCorrupt) {
			t.Fatalf("error is %v", err)
		}
	})
	t.Run("blocks", func(t *testing.T) {
		f := newRawFooter(t)
		keys := f.frame(t, segment.FrameKeys, []byte("\x00\x01k\x01\x00\x10\x00"))
		var payload []byte
		for i := range 1000 {
			payload = append(payload, fmt.Sprintf("\x04%04d", i)...)
			payload = append(payload, uvarints(keys[0], keys[1], 0)...)
		}
		sparse := f.frame(t, segment.FrameSparse, payload)
		file := f.finish(t, append(rawTotals(1), uvarints(1, sparse[0], sparse[1], 0)...))
		ft, err := open(t, file).ReadFooter(int64(len(file.b)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ft.Blocks(); !errors.Is(err, segment.ErrCorrupt) {
			t.Fatalf("error is %v", err)
		}
	})
	t.Run("filter", func(t *testing.T) {
		f := newRawFooter(t)
		// 16 zeros are the empty filter, here as an RLE block.
		f.file.b = append(f.file.b, specFrame(testSalt, segment.HeaderSize, 7, 1, 16, []byte{0}, nil, false)...)
		f.w = segment.NewFrameWriter(f.file, testSalt, int64(len(f.file.b)), plain())
		file := f.finish(t, append(rawTotals(1), uvarints(0, 1, segment.HeaderSize/8, 3)...))
		ft, err := open(t, file).ReadFooter(int64(len(file.b)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ft.Filter(); !errors.Is(err, segment.ErrCorrupt) {
			t.Fatalf("error is %v", err)
		}
	})
}

// Each block may be in order and yet reach into the next.
func TestFooterBlocksOverlap(t *testing.T) {
	f := newRawFooter(t)
	var payload []byte
	for _, keys := range []string{"\x00\x01a\x01\x00\x10\x00\x00\x01z\x01\x00\x00\x00", "\x00\x01m\x01\x00\x10\x00"} {
		at := f.frame(t, segment.FrameKeys, []byte(keys))
		payload = append(append(payload, 1, keys[2]), uvarints(at[0], at[1], 0)...)
	}
	sparse := f.frame(t, segment.FrameSparse, payload)
	_, bs := readFooter(t, f.finish(t, append(rawTotals(3), uvarints(1, sparse[0], sparse[1], 0)...)))
	it := bs.Iterator(false)
	for _, key := range "az" {
		if !it.Next() || string(it.Entry().Key) != string(key) {
			t.Fatalf("no entry %c: %v", key, it.Err())
		}
	}
	if it.Next() || !errors.Is(it.Err(), segment.ErrCorrupt) {
		t.Fatalf("the key %q follows z: %v", it.Entry().Key, it.Err())
	}
	// Seeking comes from nowhere.
	it = bs.Iterator(false)
	for _, key := range "zma" {
		if !it.Seek([]byte(string(key))) && key != 'z' || it.Err() != nil {
			t.Fatalf("seek %c: %v", key, it.Err())
		}
	}
}

func TestFooterHostileSparse(t *testing.T) {
	good := func(first string, at [2]uint64) []byte {
		return append(append(uvarints(uint64(len(first))), first...), uvarints(at[0], at[1], 0)...)
	}
	for name, payload := range map[string]func(a, b [2]uint64) []byte{
		"same first key":   func(a, b [2]uint64) []byte { return append(good("a", a), good("a", b)...) },
		"first key before": func(a, b [2]uint64) []byte { return append(good("b", a), good("a", b)...) },
		"empty first key":  func(a, _ [2]uint64) []byte { return good("", a) },
		"place before":     func(a, b [2]uint64) []byte { return append(good("a", b), good("b", a)...) },
		"block of nothing": func(a, _ [2]uint64) []byte { return good("a", [2]uint64{a[0], 0}) },
		"cut":              func(a, _ [2]uint64) []byte { return good("a", a)[:4] },
		"behind the footer": func(a, _ [2]uint64) []byte {
			return append(good("a", a), good("b", [2]uint64{1000, 3})...)
		},
	} {
		f := newRawFooter(t)
		a := f.frame(t, segment.FrameKeys, []byte("\x00\x01a\x01\x00\x10\x00"))
		b := f.frame(t, segment.FrameKeys, []byte("\x00\x01b\x01\x00\x10\x00"))
		sparse := f.frame(t, segment.FrameSparse, payload(a, b))
		file := f.finish(t, append(rawTotals(2), uvarints(1, sparse[0], sparse[1], 0)...))
		ft, err := open(t, file).ReadFooter(int64(len(file.b)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ft.Blocks(); !errors.Is(err, segment.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFooterHostileEnd(t *testing.T) {
	good := append(rawTotals(0), 0, 0)
	file := newRawFooter(t).finish(t, good)
	if _, err := open(t, file).ReadFooter(int64(len(file.b))); err != nil {
		t.Fatal(err)
	}
	file.b[len(file.b)-1]++
	if _, err := open(t, file).ReadFooter(int64(len(file.b))); !errors.Is(err, segment.ErrCorrupt) {
		t.Errorf("the checksum of the trailer is wrong: %v", err)
	}
	for name, payload := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0),
		"superseded groups": append(rawTotals(0)[:10], 200, 1),
		"sparse frames":     append(rawTotals(0), 200, 1),
		"place of nothing":  append(rawTotals(0), 1, 8, 0, 0),
		"place in header":   append(rawTotals(0), 1, 7, 3, 0),
	} {
		file := newRawFooter(t).finish(t, payload)
		if _, err := open(t, file).ReadFooter(int64(len(file.b))); !errors.Is(err, segment.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Blocks that break a rule of the format are refused even if all checksums are
// right; entries before the fault are given.
func TestFooterHostileBlocks(t *testing.T) {
	good := "\x00\x01k\x01\x00\x10\x00" // tombstone of k at 64
	for _, tc := range []struct {
		name  string
		keys  string
		valid int
	}{
		{"good", good, 1},
		{"empty", "", 0},
		{"cut", good[:5], 0},
		{"empty key", "\x00\x00\x01\x00\x10\x00", 0},
		{"other first key", "\x00\x01j\x01\x00\x10\x00", 0},
		{"shares with nothing", "\x01\x01k\x01\x00\x10\x00", 0},
		{"shares too much", good + "\x02\x01x\x01\x00\x00\x00", 1},
		{"same key", good + "\x01\x00\x01\x00\x00\x00", 1},
		{"key before", good + "\x00\x01j\x01\x00\x00\x00", 1},
		{"shares too little", good + "\x00\x02kk\x01\x00\x00\x00", 1},
		{"tombstone that expires", "\x00\x01k\x03\x00\x01\x10\x00", 0},
		{"unknown flag", "\x00\x01k\x20\x00\x01\x10\x00", 0},
		{"offset in the header", "\x00\x01k\x01\x00\x0E\x00", 0},
		{"offset negative", good + "\x01\x01k\x01\x00\x11\x00", 1},
		{"offset beyond any segment", "\x00\x01k\x01\x00" + string(binary.AppendVarint(nil, segment.MaxSize/8)) + "\x00", 0},
		{"offset wraps around", "\x00\x01k\x01\x00" + string(binary.AppendVarint(nil, 1<<61+8)) + "\x00", 0},
		{"sequence number wraps around", "\x00\x01k\x01" + string(uvarints(math.MaxUint64)) + "\x10\x00", 0},
		{"metadata without a frame", "\x00\x01k\x04\x00\x01\x01\x10\x00", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newRawFooter(t)
			keys := f.frame(t, segment.FrameKeys, []byte(tc.keys))
			sparse := f.frame(t, segment.FrameSparse, append([]byte("\x01k"), uvarints(keys[0], keys[1], 0)...))
			_, bs := readFooter(t, f.finish(t, append(rawTotals(1), uvarints(1, sparse[0], sparse[1], 0)...)))
			it := bs.Iterator(true)
			n := 0
			for it.Next() {
				n++
			}
			if n != tc.valid || (it.Err() == nil) != (tc.name == "good") || it.Err() != nil && !errors.Is(it.Err(), segment.ErrCorrupt) {
				t.Fatalf("%d entries, then %v", n, it.Err())
			}
			if it.Next() {
				t.Fatal("the iterator goes on behind an error")
			}
		})
	}
}
