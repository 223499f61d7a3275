package index

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"math"
	"sync"
)

// MaxKeyLen is the length in bytes of the longest key that a Hasher takes: the length is hashed as 16 bits.
const MaxKeyLen = math.MaxUint16

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
type Hasher struct{ block cipher.Block }

// NewHasher returns the Hasher for a secret of 16 random bytes.
func NewHasher(key [16]byte) *Hasher {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // Only a wrong key length gives an error.
	}
	return &Hasher{block: block}
}

// The arguments of an interface method escape, so the buffer would be allocated for every hash.
var macBuffers = sync.Pool{New: func() any { return new([aes.BlockSize]byte) }}

// Sum returns the hash of a key of at most MaxKeyLen bytes and panics if it is longer. It allocates nothing.
//
// The hash is the CBC-MAC with AES-128 of the key's length in two bytes, little-endian, and the key, padded with zeros
// to a multiple of 16 bytes. With the length in front no message is a prefix of another, for which CBC-MAC is proven to
// be a pseudorandom function (Petrank and Rackoff, 2000). Hi and Lo are the result read as two little-endian words.
func (h *Hasher) Sum(key string) Hash {
	if len(key) > MaxKeyLen {
		panic("index: key longer than MaxKeyLen")
	}
	mac := macBuffers.Get().(*[aes.BlockSize]byte)
	*mac = [aes.BlockSize]byte{}
	binary.LittleEndian.PutUint16(mac[:], uint16(len(key)))
	key = key[copy(mac[2:], key):]
	h.block.Encrypt(mac[:], mac[:])
	var next [aes.BlockSize]byte
	for len(key) > 0 {
		n := copy(next[:], key)
		clear(next[n:])
		subtle.XORBytes(mac[:], mac[:], next[:])
		h.block.Encrypt(mac[:], mac[:])
		key = key[n:]
	}
	sum := Hash{Hi: binary.LittleEndian.Uint64(mac[:8]), Lo: binary.LittleEndian.Uint64(mac[8:])}
	macBuffers.Put(mac)
	sum.Hi = min(sum.Hi, emptyHi-1)
	sum.Lo &^= unusedLo
	return sum
}
