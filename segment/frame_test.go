package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/firnkv/firn/segment"
)

// specFrame encodes a frame straight from the specification, so that the code
// under test is not checked against itself.
func specFrame(salt uint64, off int64, typ, codec, raw int, payload, extension []byte, more bool) []byte {
	word := uint64(len(payload)) | uint64(raw)<<20 | uint64(typ)<<40 | uint64(codec)<<44
	seed := salt ^ uint64(off/8)
	if more {
		word |= 1 << 46
	}
	if len(extension) > 0 {
		word |= 1 << 47
		seed ^= uint64(binary.LittleEndian.Uint32(extension)) << 32
	}
	b := append(binary.LittleEndian.AppendUint64(nil, word), extension...)
	binary.LittleEndian.PutUint64(b, word|seeded(seed+1, b)<<48)
	b = append(b, payload...)
	b = append(binary.LittleEndian.AppendUint64(nil, seeded(seed, b)), b...)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

func seeded(seed uint64, b []byte) uint64 {
	d := xxhash.NewWithSeed(seed)
	_, _ = d.Write(b)
	return d.Sum64()
}

// specExtension encodes the extension of a frame from the specification.
func specExtension(incarnation uint32, durable, time int64, records int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, incarnation)
	b = binary.LittleEndian.AppendUint32(b, uint32(durable/8))
	b = binary.LittleEndian.AppendUint32(b, uint32(time))
	b = binary.LittleEndian.AppendUint16(b, uint16(time>>32))
	return binary.LittleEndian.AppendUint16(b, uint16(records))
}

// onlyFrame returns a reader of a value segment that has the frame at off.
func onlyFrame(t testing.TB, off int64, frame []byte) (*segment.Reader, *memFile) {
	file := &memFile{b: header(segment.Value).Append(nil)}
	_, _ = file.WriteAt(frame, off)
	return open(t, file), file
}

func TestFrameLayout(t *testing.T) {
	payload := []byte("some payload")
	for _, tc := range []struct {
		name  string
		frame segment.Frame
		ext   []byte
	}{
		{name: "plain", frame: segment.Frame{Type: segment.FrameChunk}},
		{name: "more", frame: segment.Frame{Type: segment.FrameRecords, More: true}},
		{
			name: "extended",
			frame: segment.Frame{
				Type: segment.FrameRecords, Extended: true, Incarnation: 3, Durable: 4096, Time: 1_700_000_000, Records: 2,
			},
			ext: specExtension(3, 4096, 1_700_000_000, 2),
		},
		{
			name: "limits",
			frame: segment.Frame{
				Type: segment.FrameFooter, More: true, Extended: true, Incarnation: math.MaxUint32,
				Durable: segment.MaxSize, Time: 1<<48 - 1, Records: math.MaxUint16,
			},
			ext: specExtension(math.MaxUint32, segment.MaxSize, 1<<48-1, math.MaxUint16),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const off = 4096
			tc.frame.Raw = len(payload)
			got := segment.AppendFrame([]byte("before"), testSalt, off, tc.frame, payload)
			want := specFrame(testSalt, off, int(tc.frame.Type), 0, len(payload), payload, tc.ext, tc.frame.More)
			if !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Fatalf("frame is\n%x, not\n%x", got, want)
			}
			r, _ := onlyFrame(t, off, want)
			var buf segment.Buffer
			f, p, err := r.ReadFrame(off, 0, &buf)
			tc.frame.Stored = len(payload)
			if err != nil || f != tc.frame || !bytes.Equal(p, payload) {
				t.Fatalf("read %+v %q %v, not %+v", f, p, err, tc.frame)
			}
			if f.Size() != int64(len(want)) {
				t.Fatalf("size %d, not %d", f.Size(), len(want))
			}
		})
	}
}

func TestFrameRoundTrip(t *testing.T) {
	rng := newRand(t)
	comp := plain()
	payloads := map[string][]byte{"empty": {}}
	for _, n := range []int{1, 7, 8, 9, 1000, 4096 - 16, 4096 - 15, 65_536, segment.MaxRaw - 1, segment.MaxRaw} {
		payloads[fmt.Sprint("equal ", n)] = bytes.Repeat([]byte{'x'}, n)
		payloads[fmt.Sprint("random ", n)] = randomBytes(rng, n)
		payloads[fmt.Sprint("text ", n)] = []byte(strings.Repeat("the quick brown fox ", n/20+1)[:n])
	}
	for name, raw := range payloads {
		stored, _, codec := comp.Compress(nil, raw)
		if strings.HasPrefix(name, "equal") && len(raw) >= 1000 && len(stored) > len(raw)/10 {
			t.Errorf("%s: %d bytes stored", name, len(stored))
		}
		for _, extended := range []bool{false, true} {
			f := segment.Frame{Type: segment.FrameChunk, Codec: codec, Raw: len(raw)}
			if extended {
				f.Extended, f.Incarnation = true, 1
			}
			off := int64(segment.HeaderSize + 8*rng.IntN(1000))
			r, file := onlyFrame(t, off, segment.AppendFrame(nil, testSalt, off, f, stored))
			f.Stored = len(stored)
			var buf segment.Buffer
			for _, hint := range []int{-1, 0, 16, 100, int(f.Size()), 1 << 30} {
				file.reads = 0
				got, p, err := r.ReadFrame(off, hint, &buf)
				if err != nil || got != f || !bytes.Equal(p, raw) {
					t.Fatalf("%s, hint %d: read %+v %d bytes %v, not %+v", name, hint, got, len(p), err, f)
				}
				if file.reads > 2 || hint >= int(f.Size()) && file.reads != 1 {
					t.Fatalf("%s, hint %d: %d reads", name, hint, file.reads)
				}
			}
		}
	}
}

// An RLE block is what the specification says a stored length of 1 is, whether
// or not our compressor makes one.
func TestFrameRLE(t *testing.T) {
	const off = segment.HeaderSize
	r, _ := onlyFrame(t, off, specFrame(testSalt, off, 2, 1, 1000, []byte{'z'}, nil, false))
	var buf segment.Buffer
	p, err := r.ReadChunk(segment.Chunk{Offset: off, Stored: 1}, &buf)
	if err != nil || !bytes.Equal(p, bytes.Repeat([]byte{'z'}, 1000)) {
		t.Fatalf("read %q %v", p, err)
	}
}

func TestFrameElsewhereDoesNotVerify(t *testing.T) {
	const off = 128
	frame := segment.AppendFrame(nil, testSalt, off, segment.Frame{Type: segment.FrameChunk, Raw: 5}, []byte("hello"))
	extended := segment.AppendFrame(nil, testSalt, off,
		segment.Frame{Type: segment.FrameChunk, Extended: true, Incarnation: 1, Raw: 5}, []byte("hello"))
	otherIncarnation := bytes.Clone(extended)
	otherIncarnation[16]++
	for _, tc := range []struct {
		name  string
		at    int64
		frame []byte
	}{
		{"moved", off + 8, frame},
		{"moved before", off - 8, frame},
		{"moved extended", off + 8, extended},
		{"other incarnation", off, otherIncarnation},
		{"other salt", off, segment.AppendFrame(nil, testSalt+1, off, segment.Frame{Type: segment.FrameChunk, Raw: 5}, []byte("hello"))},
	} {
		r, _ := onlyFrame(t, tc.at, tc.frame)
		var buf segment.Buffer
		if _, p, err := r.ReadFrame(tc.at, 64, &buf); !errors.Is(err, segment.ErrCorrupt) {
			t.Errorf("%s: read %q %v", tc.name, p, err)
		}
	}
}

// Headers that break a rule of the format are refused even if all checksums are
// right.
func TestFrameHostileHeader(t *testing.T) {
	const off = segment.HeaderSize
	big := make([]byte, segment.MaxRaw+8)
	for _, tc := range []struct {
		name  string
		frame []byte
	}{
		{"type 0", specFrame(testSalt, off, 0, 0, 4, []byte("1234"), nil, false)},
		{"type 9", specFrame(testSalt, off, 9, 0, 4, []byte("1234"), nil, false)},
		{"codec 3", specFrame(testSalt, off, 2, 3, 40, []byte("1234"), nil, false)},
		{"raw lengths differ", specFrame(testSalt, off, 2, 0, 5, []byte("1234"), nil, false)},
		{"raw too long", specFrame(testSalt, off, 2, 0, len(big), big, nil, false)},
		{"decompressed too long", specFrame(testSalt, off, 2, 1, segment.MaxRaw+1, []byte("1"), nil, false)},
		{"does not shrink", specFrame(testSalt, off, 2, 1, 4, []byte("1234"), nil, false)},
		{"shrinks by nothing", specFrame(testSalt, off, 2, 1, 1, []byte("1"), nil, false)},
		{"compressed to nothing", specFrame(testSalt, off, 2, 1, 4, nil, nil, false)},
		{"no zstd block", specFrame(testSalt, off, 2, 1, 400, []byte("12345678"), nil, false)},
		{"no dictionary", specFrame(testSalt, off, 2, 2, 400, []byte("1"), nil, false)},
		{"incarnation 0", specFrame(testSalt, off, 2, 0, 4, []byte("1234"), make([]byte, 16), false)},
	} {
		r, _ := onlyFrame(t, off, tc.frame)
		var buf segment.Buffer
		if _, p, err := r.ReadFrame(off, 64, &buf); !errors.Is(err, segment.ErrCorrupt) {
			t.Errorf("%s: read %q %v", tc.name, p, err)
		}
	}
}

func TestAppendFrameAssertsLimits(t *testing.T) {
	for name, f := range map[string]func(){
		"raw too long": func() {
			segment.AppendFrame(nil, 0, 64, segment.Frame{Type: 1, Raw: segment.MaxRaw + 1}, make([]byte, segment.MaxRaw+1))
		},
		"stored above raw": func() { segment.AppendFrame(nil, 0, 64, segment.Frame{Type: 1, Raw: 1}, []byte("12")) },
		"not aligned":      func() { segment.AppendFrame(nil, 0, 65, segment.Frame{Type: 1, Raw: 1}, []byte("1")) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestFrameWriterLimits(t *testing.T) {
	comp := plain()
	w := segment.NewFrameWriter(&memFile{}, testSalt, segment.HeaderSize, comp)
	if _, err := w.Append(segment.FrameChunk, make([]byte, segment.MaxRaw+1)); err == nil {
		t.Error("a payload above the limit was taken")
	}
	// A footer's trailer has to fit behind the last frame.
	w = segment.NewFrameWriter(&memFile{}, testSalt, segment.MaxSize-48, comp)
	if _, err := w.AppendRaw(segment.FrameChunk, make([]byte, 17)); err == nil {
		t.Error("a frame beyond the largest segment was taken")
	}
	if _, err := w.AppendRaw(segment.FrameChunk, make([]byte, 16)); err != nil {
		t.Error(err)
	}
}

func TestReadFrameReportsReadErrors(t *testing.T) {
	r, file := onlyFrame(t, segment.HeaderSize, specFrame(testSalt, segment.HeaderSize, 2, 0, 4, []byte("1234"), nil, false))
	file.fail = errors.New("disk on fire")
	var buf segment.Buffer
	_, _, err := r.ReadFrame(segment.HeaderSize, 64, &buf)
	if !errors.Is(err, file.fail) || errors.Is(err, segment.ErrCorrupt) {
		t.Fatalf("error is %v", err)
	}
}

func TestHeader(t *testing.T) {
	for _, kind := range []segment.Kind{segment.Log, segment.Packed, segment.Value} {
		h := segment.Header{Kind: kind, StoreID: [16]byte{0: 9, 15: 8}, ID: math.MaxUint64, Salt: math.MaxUint64 - 1}
		want := append([]byte("FIRNSEG\n\x01\x00\x00\x00"), byte(kind), 0, 0, 0)
		want = append(want, h.StoreID[:]...)
		want = binary.LittleEndian.AppendUint64(want, h.ID)
		want = binary.LittleEndian.AppendUint64(want, h.Salt)
		want = append(want, make([]byte, 8)...)
		want = binary.LittleEndian.AppendUint64(want, xxhash.Sum64(want))
		b := h.Append(nil)
		if !bytes.Equal(b, want) || len(b) != segment.HeaderSize {
			t.Fatalf("header is %x, not %x", b, want)
		}
		if got, err := segment.DecodeHeader(b); err != nil || got != h {
			t.Fatalf("decoded %+v %v", got, err)
		}
		for i := range b {
			damaged := bytes.Clone(b)
			damaged[i] ^= 0x10
			if _, err := segment.DecodeHeader(damaged); !errors.Is(err, segment.ErrCorrupt) {
				t.Fatalf("byte %d flipped: %v", i, err)
			}
			if _, err := segment.DecodeHeader(b[:i]); !errors.Is(err, segment.ErrCorrupt) {
				t.Fatalf("cut at %d: %v", i, err)
			}
		}
		newer := bytes.Clone(b)
		binary.LittleEndian.PutUint32(newer[8:], 2)
		binary.LittleEndian.PutUint64(newer[56:], xxhash.Sum64(newer[:56]))
		if _, err := segment.DecodeHeader(newer); !errors.Is(err, segment.ErrVersion) {
			t.Fatalf("version 2: %v", err)
		}
	}
	for _, kind := range []segment.Kind{0, 4, 255} {
		if _, err := segment.DecodeHeader(segment.Header{Kind: kind}.Append(nil)); !errors.Is(err, segment.ErrCorrupt) {
			t.Errorf("kind %d: %v", kind, err)
		}
	}
}
