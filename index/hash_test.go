package index

import (
	"encoding/binary"
	"strings"
	"testing"
)

// TestHasherVectors compares with the vectors of the reference implementation, vectors_sip128: the secret is 00 01 …, and
// so is each key. Hash values stand in checkpoints.
func TestHasherVectors(t *testing.T) {
	h := NewHasher([16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	const bytes = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"
	for _, c := range []struct {
		n    int
		want string
	}{
		{0, "\xa3\x81\x7f\x04\xba\x25\xa8\xe6\x6d\xf6\x72\x14\xc7\x55\x02\x93"},
		{1, "\xda\x87\xc1\xd8\x6b\x99\xaf\x44\x34\x76\x59\x11\x9b\x22\xfc\x45"},
		{2, "\x81\x77\x22\x8d\xa4\xa4\x5d\xc7\xfc\xa3\x8b\xde\xf6\x0a\xff\xe4"},
		{3, "\x9c\x70\xb6\x0c\x52\x67\xa9\x4e\x5f\x33\xb6\xb0\x29\x85\xed\x51"},
		{4, "\xf8\x81\x64\xc1\x2d\x9c\x8f\xaf\x7d\x0f\x6e\x7c\x7b\xcd\x55\x79"},
		{15, "\x54\x93\xe9\x99\x33\xb0\xa8\x11\x7e\x08\xec\x0f\x97\xcf\xc3\xd9"},
	} {
		want := Hash{binary.LittleEndian.Uint64([]byte(c.want)), binary.LittleEndian.Uint64([]byte(c.want[8:])) &^ 0xff00}
		if got := h.Sum(bytes[:c.n]); got != want {
			t.Errorf("%d bytes: %x, want %x", c.n, got, want)
		}
	}
}

// TestHasherGolden holds the function still for longer keys.
func TestHasherGolden(t *testing.T) {
	h := NewHasher([16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	for _, c := range []struct {
		key  string
		want Hash
	}{
		{"sixteen bytes...", Hash{0x7ceabddcda2ac802, 0x4300f6887cd500b6}},
		{strings.Repeat("0123456789", 20), Hash{0x1371a3f14f2e1d71, 0x6975d4c745aa009c}},
		{strings.Repeat("k", 1<<16), Hash{0xb31e6bd5fa0fe23e, 0x59843ed7dc49003a}},
	} {
		if got := h.Sum(c.key); got != c.want {
			t.Errorf("%.20q (%d bytes): Hash{%#x, %#x}", c.key, len(c.key), got.Hi, got.Lo)
		}
	}
}

// TestHasherLengths tells keys apart that differ in trailing zeros only, or in the number of times that something stands
// there.
func TestHasherLengths(t *testing.T) {
	h := NewHasher([16]byte{7, 7, 7})
	seen := make(map[Hash]int)
	for n := range 1000 {
		for _, repeated := range []string{"\x00", "k"} {
			if n == 0 && repeated != "k" {
				continue
			}
			sum := h.Sum(strings.Repeat(repeated, n))
			if other, ok := seen[sum]; ok {
				t.Fatalf("%d times %q collides with %d", n, repeated, other)
			}
			seen[sum] = n
		}
	}
}

func TestHasherSecret(t *testing.T) {
	for bit := range 128 {
		var secret [16]byte
		secret[bit/8] = 1 << (bit % 8)
		if NewHasher([16]byte{}).Sum("key") == NewHasher(secret).Sum("key") {
			t.Fatalf("the hash does not depend on bit %d of the secret", bit)
		}
	}
}

func TestHasherAllocations(t *testing.T) {
	h := NewHasher([16]byte{1})
	if n := testing.AllocsPerRun(1000, func() { h.Sum("a key of more than one word") }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
