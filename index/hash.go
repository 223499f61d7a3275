package index

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"
)

// Hash identifies a key. Of Lo, bits 0 to 7 are the shard, 8 to 15 are always 0.
type Hash struct{ Hi, Lo uint64 }

const (
	// emptyHi marks a free slot. No hash has it: see Hash.parts.
	emptyHi  = math.MaxUint64
	unusedLo = 0xff00
)

// parts returns the shard and the two halves of the fingerprint, of 64 and 48 bits. The one high half that marks a free
// slot is folded into its neighbour, which makes two of 2^64 values the same.
func (h Hash) parts() (shard int, hi, lo uint64) {
	return int(h.Lo & (Shards - 1)), min(h.Hi, emptyHi-1), h.Lo >> 16
}

func joinHash(shard int, hi, lo uint64) Hash { return Hash{Hi: hi, Lo: lo<<16 | uint64(shard)} }

// Hasher computes the hashes of keys under one secret. It is safe for concurrent use.
type Hasher struct{ k0, k1 uint64 }

// NewHasher returns the Hasher for a secret of 16 random bytes.
func NewHasher(key [16]byte) *Hasher {
	return &Hasher{k0: binary.LittleEndian.Uint64(key[:8]), k1: binary.LittleEndian.Uint64(key[8:])}
}

// Sum returns the hash of a key. It allocates nothing.
//
// The hash is SipHash-2-4 with an output of 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF",
// INDOCRYPT 2012, and its reference implementation). Hi and Lo are the result read as two little-endian words.
//
// WARNING: checkpoints hold hashes. With another function, they need another version.
func (h *Hasher) Sum(key string) Hash {
	v0, v1 := h.k0^0x736f6d6570736575, h.k1^0x646f72616e646f83
	v2, v3 := h.k0^0x6c7967656e657261, h.k1^0x7465646279746573
	b := unsafe.Slice(unsafe.StringData(key), len(key))
	for ; len(b) >= 8; b = b[8:] {
		word := binary.LittleEndian.Uint64(b)
		v3 ^= word
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= word
	}
	word := uint64(len(key)) << 56
	for i, c := range b {
		word |= uint64(c) << (8 * i)
	}
	v3 ^= word
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= word
	v2 ^= 0xee
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	sum := Hash{Hi: min(v0^v1^v2^v3, emptyHi-1)}
	v1 ^= 0xdd
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	sum.Lo = (v0 ^ v1 ^ v2 ^ v3) &^ unusedLo
	return sum
}

func sipRound(v0, v1, v2, v3 uint64) (_, _, _, _ uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v1
	v0 += v3
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
