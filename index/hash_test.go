package index

import (
	"crypto/aes"
	"encoding/binary"
	"strings"
	"testing"
)

// TestHasherGolden holds the function still: its values stand in checkpoints.
func TestHasherGolden(t *testing.T) {
	h := NewHasher([16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	for _, c := range []struct {
		key  string
		want Hash
	}{
		{"", Hash{0x825b8f87373ba1c6, 0x79d8c8a16281006f}},
		{"a", Hash{0x5abcbc347b039cfa, 0xd9dcc7aee85a00af}},
		{"fourteen bytes", Hash{0xa8e91cab1bde28d9, 0x670fdd692b1500ad}},
		{"fifteen bytes..", Hash{0x9a6953d0e531bf7f, 0x6d3385a47c9300c2}},
		{strings.Repeat("0123456789", 20), Hash{0xe3b6e664dd9bd868, 0x1e103d2e5b0c0041}},
		{strings.Repeat("k", MaxKeyLen), Hash{0x83a49550a171a72a, 0x9b7a58961832009c}},
	} {
		if got := h.Sum(c.key); got != c.want {
			t.Errorf("%.20q (%d bytes): Hash{%#x, %#x}", c.key, len(c.key), got.Hi, got.Lo)
		}
	}
}

// TestHasherDefinition compares with a plain CBC-MAC, at every length around the limits of blocks.
func TestHasherDefinition(t *testing.T) {
	secret := [16]byte{7, 7, 7}
	h := NewHasher(secret)
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[Hash]bool)
	for n := range 200 {
		key := strings.Repeat("\x00", n)
		message := binary.LittleEndian.AppendUint16(nil, uint16(n))
		message = append(message, key...)
		for len(message)%16 != 0 {
			message = append(message, 0)
		}
		mac := make([]byte, 16)
		for ; len(message) > 0; message = message[16:] {
			for i := range mac {
				mac[i] ^= message[i]
			}
			block.Encrypt(mac, mac)
		}
		want := Hash{binary.LittleEndian.Uint64(mac), binary.LittleEndian.Uint64(mac[8:]) &^ 0xff00}
		got := h.Sum(key)
		if got != want {
			t.Fatalf("%d bytes: %x, want %x", n, got, want)
		}
		// Keys that differ in trailing zeros only are the same when padded.
		if seen[got] {
			t.Fatalf("%d zeros collide with fewer", n)
		}
		seen[got] = true
	}
}

// TestHasherPrefix shows that the hash of a key does not tell that of a longer one. In plain CBC-MAC the message
// m || (mac(m) xor m) has the mac of m.
func TestHasherPrefix(t *testing.T) {
	h := NewHasher([16]byte{1})
	m := strings.Repeat("m", 14)
	first := append(binary.LittleEndian.AppendUint16(nil, 14), m...)
	block, _ := aes.NewCipher(append([]byte{1}, make([]byte, 15)...))
	mac := make([]byte, 16)
	block.Encrypt(mac, first)
	for i := range mac {
		mac[i] ^= first[i]
	}
	if h.Sum(m) == h.Sum(m+string(mac)) {
		t.Fatal("extension of a key has its hash")
	}
	if h.Sum("") == h.Sum("\x00") || h.Sum("a") == h.Sum("a\x00") {
		t.Fatal("length is not part of the hash")
	}
}

func TestHasherSecret(t *testing.T) {
	if NewHasher([16]byte{1}).Sum("key") == NewHasher([16]byte{2}).Sum("key") {
		t.Fatal("the hash does not depend on the secret")
	}
}

func TestHasherLimits(t *testing.T) {
	h := NewHasher([16]byte{1})
	long := strings.Repeat("k", MaxKeyLen)
	h.Sum(long)
	defer func() {
		if recover() == nil {
			t.Fatal("a longer key was taken")
		}
	}()
	h.Sum(long + "k")
}

func TestHasherAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	h := NewHasher([16]byte{1})
	if n := testing.AllocsPerRun(1000, func() { h.Sum("a key of more than one block") }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
