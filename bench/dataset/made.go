package dataset

import (
	"encoding/hex"
	"fmt"
)

const (
	keyLen   = 17
	prefixes = 100
	poolSize = 1 << 14
)

// made returns data with keys of 17 bytes, spread over 100 prefixes and over the
// range of keys under each. Values come from a pool of some thousands, several MiB
// in all: none comes again within reach of a frame, a block or a compressor's
// window.
func made(keys int, next func() []byte) *Data {
	d := &Data{Keys: keys, ends: make([]uint32, 1, 2*keys+1), values: make([][]byte, poolSize)}
	text := make([]byte, 0, 2*keys*keyLen)
	key := make([]byte, 0, keyLen)
	for i := range 2 * keys {
		text = d.addKey(text, appendKey(key, i))
	}
	d.text = string(text)
	for i := range d.values {
		d.values[i] = next()
	}
	d.value = func(i int) int { return int(Mix(uint64(i)) % poolSize) }
	for i := range prefixes {
		d.prefixes = append(d.prefixes, fmt.Sprintf("id%02d:", i))
	}
	return d.finish()
}

// appendKey appends the key with index i: a prefix and 12 hexadecimal digits,
// which differ for all i below 1<<48.
func appendKey(b []byte, i int) []byte {
	const digits = 1<<48 - 1
	x := uint64(i+1) * 0x9e3779b97f4b & digits
	x ^= x >> 24
	x = x * 0xd6e8feb86659 & digits
	x ^= x >> 24
	group := Mix(uint64(i)) >> 32 % prefixes
	b = append(b, 'i', 'd', byte('0'+group/10), byte('0'+group%10), ':')
	var raw [6]byte
	for k := range raw {
		raw[k] = byte(x >> (40 - 8*k))
	}
	return hex.AppendEncode(b, raw[:])
}
