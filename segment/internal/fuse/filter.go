package fuse

import "math/bits"

// Filter is a set of hashes that may claim to contain others too. It is immutable, so any number of goroutines may use
// it at once. The zero value is the empty filter.
type Filter struct {
	seed         uint64
	shape        shape
	fingerprints []byte
}

// shape says how the fingerprints are laid out. The zero value is that of the empty filter.
type shape struct {
	starts uint32 // segments in which a hash may start: all but the last two
	log    uint8  // binary logarithm of the segment length
}

// maxLog bounds the segment length: p1 and p2 draw their places from 18 bits of the mixed hash each.
const maxLog = 18

// slots returns the number of fingerprints.
func (s shape) slots() uint64 {
	if s.starts == 0 {
		return 0
	}
	return (uint64(s.starts) + 2) << s.log
}

// places returns the three slots of a mixed hash. They are distinct and below slots().
func (s shape) places(m uint64) (p0, p1, p2 uint32) {
	length := uint32(1) << (s.log & 31)
	p0 = s.first(m)
	p1 = (p0 + length) ^ (uint32(m>>18) & (length - 1))
	p2 = (p0 + 2*length) ^ (uint32(m) & (length - 1))
	return p0, p1, p2
}

// first returns the first of the three slots of a mixed hash.
func (s shape) first(m uint64) uint32 {
	high, _ := bits.Mul64(m, uint64(s.starts)<<s.log)
	return uint32(high)
}

// fingerprint returns what the bytes at the places of a mixed hash xor to, if it is in the filter.
func fingerprint(m uint64) byte {
	return byte(m ^ m>>32)
}

// mix is a bijection (the finalizer of MurmurHash3), so that distinct hashes stay distinct under every seed.
func mix(m uint64) uint64 {
	m = (m ^ m>>33) * 0xff51afd7ed558ccd
	m = (m ^ m>>33) * 0xc4ceb9fe1a85ec53
	return m ^ m>>33
}

// Contains reports whether hash may be in the set: always true for a member, and true for about one in 256 others.
func (f *Filter) Contains(hash uint64) bool {
	if f.shape.starts == 0 {
		return false
	}
	m := mix(hash + f.seed)
	p0, p1, p2 := f.shape.places(m)
	return f.fingerprints[p0]^f.fingerprints[p1]^f.fingerprints[p2] == fingerprint(m)
}
