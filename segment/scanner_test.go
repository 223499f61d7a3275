package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/firnkv/firn/segment"
)

// scanned is what a scan found.
type scanned struct {
	offsets []int64
	values  []string // of the records
}

// scan reads frames until the scan ends, and what a search finds behind each end
// if search is set.
func scan(t testing.TB, s *segment.Scanner, search bool) (got scanned) {
	t.Helper()
	for s.Next() || search && s.Search(s.End()+8) {
		got.offsets = append(got.offsets, s.Offset())
		p, err := s.Payload()
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Payload()
		if err != nil || !bytes.Equal(p, again) {
			t.Fatalf("the payload at %d is another one the second time: %v", s.Offset(), err)
		}
		if s.Frame().Type != segment.FrameRecords {
			continue
		}
		var r segment.Record
		n := 0
		for ; len(p) > 0; n++ {
			size, ok := segment.DecodeRecord(p, &r)
			if !ok {
				t.Fatalf("record %d of the frame at %d does not decode", n, s.Offset())
			}
			got.values = append(got.values, string(r.Value))
			p = p[size:]
		}
		if s.Frame().Extended && s.Frame().Records != n {
			t.Fatalf("frame at %d says %d records, has %d", s.Offset(), s.Frame().Records, n)
		}
	}
	return got
}

// numberedLog returns a log of n frames of one to three records, the values of
// its records, and the offsets of its frames and of its end.
func numberedLog(rng *rand.Rand, comp *segment.Compressor, n int) (l *logBuilder, values []string, offsets []int64) {
	l = newLog(comp)
	seq := uint64(0)
	for range n {
		var records []*segment.Record
		for range 1 + rng.IntN(3) {
			seq++
			value := fmt.Sprint("value ", seq, strings.Repeat(" padding", rng.IntN(50)))
			values = append(values, value)
			records = append(records, put(seq, fmt.Sprint("key ", seq), value))
		}
		offsets = append(offsets, l.frame(rng.IntN(2) == 0, records...))
	}
	return l, values, append(offsets, int64(len(l.b)))
}

func TestScan(t *testing.T) {
	rng := newRand(t)
	for _, n := range []int{0, 1, 2, 100, 5000} {
		for name, comp := range map[string]*segment.Compressor{"raw": nil, "compressed": plain()} {
			l, values, offsets := numberedLog(rng, comp, n)
			end := offsets[n]
			// Zeros behind the frames are space allocated ahead of need.
			for _, zeros := range []int{0, 8, 16, 24, 4096} {
				file := &memFile{b: append(bytes.Clone(l.b), make([]byte, zeros)...)}
				s := open(t, file).Scan(segment.HeaderSize, math.MaxInt64)
				got := scan(t, s, false)
				if !slices.Equal(got.values, values) || !slices.Equal(got.offsets, offsets[:n]) {
					t.Fatalf("%d %s frames, %d zeros: found %d", n, name, zeros, len(got.offsets))
				}
				if s.Err() != nil || s.End() != end || s.Next() {
					t.Fatalf("%d %s frames, %d zeros: ended at %d of %d: %v", n, name, zeros, s.End(), end, s.Err())
				}
			}
			if n == 0 {
				continue
			}
			// A limit within the last frame hides it.
			r := open(t, &memFile{b: l.b})
			for _, limit := range []int64{end - 1, offsets[n-1] + 17, offsets[n-1] + 1, offsets[n-1]} {
				s := r.Scan(segment.HeaderSize, limit)
				if got := scan(t, s, false); !slices.Equal(got.offsets, offsets[:n-1]) || s.End() != offsets[n-1] {
					t.Fatalf("limit %d: found %d of %d frames", limit, len(got.offsets), n)
				}
			}
			if s := r.Scan(offsets[n/2], end); !slices.Equal(scan(t, s, false).offsets, offsets[n/2:n]) {
				t.Fatalf("a scan from %d found other frames", offsets[n/2])
			}
		}
	}
}

// Frames as large as the format has come whole through the window.
func TestScanLargeFrames(t *testing.T) {
	rng := newRand(t)
	file := &memFile{b: header(segment.Value).Append(nil)}
	w := segment.NewFrameWriter(file, testSalt, segment.HeaderSize, plain())
	var want [][]byte
	for range 20 {
		want = append(want, randomBytes(rng, segment.MaxRaw-rng.IntN(20)), bytes.Repeat([]byte("text "), segment.MaxRaw/5))
	}
	for _, p := range want {
		if _, err := w.Append(segment.FrameChunk, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	s := open(t, file).Scan(segment.HeaderSize, int64(len(file.b)))
	for i, p := range want {
		if !s.Next() {
			t.Fatalf("frame %d of %d: %v", i, len(want), s.Err())
		}
		if got, err := s.Payload(); err != nil || !bytes.Equal(got, p) {
			t.Fatalf("frame %d: %d bytes: %v", i, len(got), err)
		}
	}
	if s.Next() || s.Err() != nil {
		t.Fatalf("more than %d frames: %v", len(want), s.Err())
	}
}

func TestSearchBehindDamage(t *testing.T) {
	rng := newRand(t)
	l, _, offsets := numberedLog(rng, nil, 2000)
	n := len(offsets) - 1
	for name, damage := range map[string]func(b []byte){
		"zeroed sector": func(b []byte) { clear(b) },
		"random bytes":  func(b []byte) { copy(b, randomBytes(rng, len(b))) },
		"one bit":       func(b []byte) { b[rng.IntN(len(b))] ^= 1 << rng.IntN(8) },
	} {
		for range 5 {
			b := bytes.Clone(l.b)
			from := 512 * (1 + rng.IntN(len(b)/512-1))
			damage(b[from : from+512])
			s := open(t, &memFile{b: b}).Scan(segment.HeaderSize, int64(len(b)))
			got := scan(t, s, true)
			var want []int64
			for i := range n {
				if bytes.Equal(b[offsets[i]:offsets[i+1]], l.b[offsets[i]:offsets[i+1]]) {
					want = append(want, offsets[i])
				}
			}
			// A flipped bit of the padding harms nothing.
			if !slices.Equal(got.offsets, want) && !(name == "one bit" && len(got.offsets) == n) {
				t.Fatalf("%s in sector %d: found %d frames of %d unharmed", name, from/512, len(got.offsets), len(want))
			}
		}
	}
}

func TestScanTellsDamage(t *testing.T) {
	l, _, offsets := numberedLog(newRand(t), nil, 3)
	b := bytes.Clone(l.b)
	b[offsets[1]+40]++
	s := open(t, &memFile{b: b}).Scan(segment.HeaderSize, int64(len(b)))
	var damage *segment.CorruptError
	if got := scan(t, s, false); len(got.offsets) != 1 || !errors.As(s.Err(), &damage) || damage.Offset != offsets[1] {
		t.Fatalf("found %d frames, then %v", len(got.offsets), s.Err())
	}
	if !errors.Is(s.Err(), segment.ErrCorrupt) {
		t.Fatal("the error does not match ErrCorrupt")
	}
	if _, err := s.Payload(); err != nil {
		t.Fatalf("the last good frame cannot be read any more: %v", err)
	}
	// The damaged bytes must not come out of a scanner that has no frame yet.
	s = open(t, &memFile{b: b}).Scan(offsets[1], int64(len(b)))
	if s.Next() {
		t.Fatal("a damaged frame was accepted")
	}
	if p, err := s.Payload(); err == nil {
		t.Fatalf("payload %q without a frame", p)
	}
	if p, err := open(t, &memFile{b: b}).Scan(segment.HeaderSize, int64(len(b))).Payload(); err == nil {
		t.Fatalf("payload %q before the first frame", p)
	}
}

// What lies behind the window may change between verifying a frame and reading
// its payload; the payload is verified again then.
func TestPayloadIsWhatWasVerified(t *testing.T) {
	l, _, offsets := numberedLog(newRand(t), nil, 2)
	file := &memFile{b: append(bytes.Clone(l.b), make([]byte, 2<<20)...)}
	s := open(t, file).Scan(segment.HeaderSize, int64(len(file.b)))
	if !s.Next() || s.Search(1<<20) {
		t.Fatal("frames are not where they should be")
	}
	if _, err := s.Payload(); err != nil {
		t.Fatal(err)
	}
	if s.Search(1 << 20) {
		t.Fatal("frames are not where they should be")
	}
	file.b[offsets[0]+40]++
	if p, err := s.Payload(); !errors.Is(err, segment.ErrCorrupt) {
		t.Fatalf("payload %q %v", p, err)
	}
}

func TestScanReportsReadErrors(t *testing.T) {
	l, _, _ := numberedLog(newRand(t), nil, 2)
	file := &memFile{b: l.b}
	r := open(t, file)
	file.fail = errors.New("disk on fire")
	s := r.Scan(segment.HeaderSize, int64(len(l.b)))
	if s.Next() || !errors.Is(s.Err(), file.fail) || errors.Is(s.Err(), segment.ErrCorrupt) {
		t.Fatalf("error is %v", s.Err())
	}
	if s.Search(segment.HeaderSize) || !errors.Is(s.Err(), file.fail) {
		t.Fatalf("error is %v", s.Err())
	}
	if _, err := s.Payload(); !errors.Is(err, file.fail) {
		t.Fatalf("error is %v", err)
	}
	file.fail = nil
	if !s.Search(segment.HeaderSize) || s.Err() != nil {
		t.Fatalf("not found after the error went away: %v", s.Err())
	}
}

// Whoever chooses a value does not know the salt: a frame that the value holds,
// made for exactly its place in the file, is never found.
func TestSearchIgnoresForgedFrames(t *testing.T) {
	rng := newRand(t)
	l := newLog(nil)
	l.frame(false, put(1, "a", "first"))
	off := int64(len(l.b))
	// 32 bytes of frame header, then flags, sequence number and the lengths of key
	// and value (3 bytes), and the key: the forged frames start at the next
	// multiple of 8.
	const before = 32 + 1 + 1 + 1 + 3 + 1
	value := make([]byte, (before+7)/8*8-before)
	for len(value) < 20_000 {
		at := off + before + int64(len(value))
		f := segment.Frame{Type: segment.FrameRecords, Extended: true, Incarnation: 1, Records: 1}
		raw := segment.AppendRecord(nil, put(99, "forged", "forged"))
		f.Raw = len(raw)
		value = segment.AppendFrame(value, rng.Uint64(), at, f, raw)
	}
	if got := l.frame(false, put(2, "v", string(value))); got != off {
		t.Fatalf("the frame is at %d", got)
	}
	// The same bytes under the right salt are found: the places are right.
	owned := bytes.Clone(l.b)
	at := off + (before+7)/8*8
	copy(owned[at:], segment.AppendFrame(nil, testSalt, at,
		segment.Frame{Type: segment.FrameRecords, Extended: true, Incarnation: 1, Raw: 4, Records: 1}, []byte{1, 1, 1, 'k'}))
	last := l.frame(false, put(3, "z", "last"))
	for _, damaged := range []bool{false, true} {
		b := bytes.Clone(l.b)
		if damaged {
			b[off]++
		}
		s := open(t, &memFile{b: b}).Scan(segment.HeaderSize, int64(len(b)))
		if !s.Search(off+8) || s.Offset() != last {
			t.Fatalf("found a frame at %d; the next is at %d", s.Offset(), last)
		}
	}
	if s := open(t, &memFile{b: owned}).Scan(segment.HeaderSize, int64(len(owned))); !s.Search(off+8) || s.Offset() != at {
		t.Fatalf("the frame with the right salt was not found")
	}
}

// Recovery cuts a log and goes on under a higher incarnation. If the new frames
// end where an old one happens to start, the scan must not walk on into it.
func TestScanIgnoresStaleFrames(t *testing.T) {
	l := newLog(nil)
	l.frame(false, put(1, "a", "kept"))
	cut := len(l.b)
	l.frame(false, put(2, "b", "torn"))
	stale := l.frame(false, put(3, "c", "stale"))
	old := bytes.Clone(l.b)

	l.b, l.incarnation = l.b[:cut], 2
	l.frame(false, put(12, "d", "new!"))
	end := int64(len(l.b))
	if end != stale {
		t.Fatalf("the new frame ends at %d, not %d", end, stale)
	}
	b := append(l.b, old[end:]...)
	s := open(t, &memFile{b: b}).Scan(segment.HeaderSize, int64(len(b)))
	got := scan(t, s, false)
	if !slices.Equal(got.values, []string{"kept", "new!"}) || s.End() != end || !errors.Is(s.Err(), segment.ErrCorrupt) {
		t.Fatalf("found %q up to %d: %v", got.values, s.End(), s.Err())
	}
	if s.Search(end + 8) {
		t.Fatalf("found a frame at %d", s.Offset())
	}
	if s.Search(end) {
		t.Fatalf("found a stale frame at %d", s.Offset())
	}
	if !s.Search(segment.HeaderSize) || s.Offset() != segment.HeaderSize {
		t.Fatal("an older frame before newer ones is not stale")
	}
}

// A search reads a file once, whatever is in it. Counting reads instead of time
// keeps the test honest on any machine.
func TestSearchIsLinear(t *testing.T) {
	rng := newRand(t)
	const size = 64 << 20
	b := make([]byte, size)
	copy(b, header(segment.Log).Append(nil))
	frame := segment.Frame{Type: segment.FrameRecords, Extended: true, Incarnation: 1, Raw: 4, Records: 1}
	const at = size - 64
	for name, word := range map[string]func() uint64{
		"random": rng.Uint64,
		// A frame header at every place, right but for its checks: only the header
		// check spares reading 100 KB for each.
		"headers": func() uint64 { return rng.Uint64()&^(1<<48-1) | 100_000 | 100_000<<20 | 1<<40 },
	} {
		for i := segment.HeaderSize; i < size; i += 8 {
			binary.LittleEndian.PutUint64(b[i:], word())
		}
		copy(b[at:], segment.AppendFrame(nil, testSalt, at, frame, []byte{1, 1, 1, 'k'}))
		file := &memFile{b: b}
		s := open(t, file).Scan(segment.HeaderSize, size)
		if !s.Search(segment.HeaderSize) || s.Offset() != at {
			t.Fatalf("%s: the frame at %d was not found, but %d", name, at, s.Offset())
		}
		if file.read > size+size/4 || file.reads > 400 {
			t.Fatalf("%s: %d bytes read in %d reads", name, file.read, file.reads)
		}
	}
}
