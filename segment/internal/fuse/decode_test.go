package fuse

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

// header returns an encoding without fingerprints.
func header(seed uint64, starts uint32, log byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	return append(binary.LittleEndian.AppendUint32(b, starts), log, 0, 0, 0)
}

func TestDecodeRefuses(t *testing.T) {
	valid := mustBuild(t, goldenHashes()).AppendTo(nil)
	reserved := bytes.Clone(valid)
	reserved[14] = 1
	for name, b := range map[string][]byte{
		"nothing":                 nil,
		"reserved bytes":          reserved,
		"one byte more":           append(bytes.Clone(valid), 0),
		"empty with seed":         header(1, 0, 0),
		"empty with length":       header(0, 0, 2),
		"empty with fingerprints": append(header(0, 0, 0), 0, 0),
		"long segments":           append(header(1, 1, maxLog+1), make([]byte, 3<<(maxLog+1))...),
		"shift by 64":             header(1, 1, 64),
		"shift by 255":            header(1, 1, 255),
		"2^50 fingerprints":       header(1, math.MaxUint32, maxLog),
		"2^32 fingerprints":       header(1, 1<<14-2, maxLog),
	} {
		if f, err := Decode(b); err == nil || f != nil {
			t.Errorf("%s: Decode gave %v, %v", name, f, err)
		}
	}
	for n := range valid {
		if _, err := Decode(valid[:n]); err == nil {
			t.Errorf("%d of %d bytes were accepted", n, len(valid))
		}
	}
}

// requireSound checks what holds for every input: what is accepted encodes to itself, and can be asked anything.
func requireSound(t *testing.T, b []byte) {
	t.Helper()
	f, err := Decode(b)
	if err != nil {
		return
	}
	if again := f.AppendTo(nil); !bytes.Equal(again, b) {
		t.Fatalf("%x was accepted, but encodes to %x", b, again)
	}
	for i := range uint64(64) {
		f.Contains(1<<i - f.seed)
		f.Contains(math.MaxUint64>>i - f.seed)
	}
}

func TestDecodeFlipped(t *testing.T) {
	for _, n := range []int{0, 1, 10, 1000} {
		hashes := make([]uint64, n)
		for i := range hashes {
			hashes[i] = mix(uint64(i))
		}
		encoded := mustBuild(t, hashes).AppendTo(nil)
		for i := range encoded {
			for bit := range 8 {
				encoded[i] ^= 1 << bit
				requireSound(t, encoded)
				encoded[i] ^= 1 << bit
			}
		}
	}
}

// TestPlacesStayInRange covers the extremes of every shape that could be decoded, also of those too large to try.
func TestPlacesStayInRange(t *testing.T) {
	for log := range uint8(maxLog + 1) {
		for _, starts := range []uint32{1, 2, 3, 137, uint32(math.MaxUint32>>log) - 2} {
			s := shape{starts: starts, log: log}
			for _, m := range []uint64{0, 1, 1<<18 - 1, 1<<36 - 1, 1<<64 - 1<<36, math.MaxUint64 - 1, math.MaxUint64} {
				p0, p1, p2 := s.places(m)
				if !(p0 < p1 && p1 < p2 && uint64(p2) < s.slots()) {
					t.Errorf("shape %+v: places of %#x are %d, %d, %d of %d", s, m, p0, p1, p2, s.slots())
				}
			}
		}
	}
}

func TestDecodeDoesNotCopy(t *testing.T) {
	hashes := make([]uint64, 100_000)
	for i := range hashes {
		hashes[i] = mix(uint64(i))
	}
	encoded := mustBuild(t, hashes).AppendTo(nil)
	if n := testing.AllocsPerRun(10, func() { _, _ = Decode(encoded) }); n > 1 {
		t.Errorf("Decode allocates %v times, want once, for the filter itself", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(make([]byte, headerSize))
	f.Add(mustBuild(f, goldenHashes()).AppendTo(nil))
	f.Add(append(header(7, 3, 0), 1, 2, 3, 4, 5))
	f.Add(header(1, math.MaxUint32, 255))
	f.Fuzz(requireSound)
}
