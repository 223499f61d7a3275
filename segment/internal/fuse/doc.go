// Package fuse implements a static filter over 64-bit hashes: a 3-wise binary fuse filter with 8-bit fingerprints
// (Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor Filters", ACM JEA 27, 2022).
//
// A filter is built once from a set of hashes. It answers "absent" or "perhaps present": never "absent" for a hash of
// the set, and "perhaps present" for about one in 256 of all others. It takes 9.04 bits a hash for a million of them,
// more for small sets (12 bytes for one hash, 16 bits a hash for 100, 10.3 for 10,000).
//
// # Looking up a hash
//
// All arithmetic is on unsigned 64-bit integers and wraps around. ">>" shifts in zeros, "^" is exclusive or.
//
// The fingerprints, one byte each, form segments of L = 2^e bytes. There are s + 2 segments; a hash has one candidate
// byte in each of three consecutive ones, the first of which is any of the s first segments. With the seed of the
// filter, a hash x is mixed into m by
//
//	m = x + seed
//	m = (m ^ (m >> 33)) * 0xff51afd7ed558ccd
//	m = (m ^ (m >> 33)) * 0xc4ceb9fe1a85ec53
//	m = m ^ (m >> 33)
//
// and m gives three places and a fingerprint:
//
//	p0 = the upper 64 bits of the 128-bit product m * (s * L)
//	p1 = (p0 +   L) ^ ((m >> 18) mod L)
//	p2 = (p0 + 2*L) ^ ( m        mod L)
//	fp = (m ^ (m >> 32)) mod 256
//
// x is perhaps present if F[p0] ^ F[p1] ^ F[p2] = fp, where F is the array of fingerprints. In an empty filter (s = 0)
// nothing is.
//
// # Encoding
//
// Integers are little-endian.
//
//	 offset  size
//	 0       8         seed
//	 8       4         s, the number of segments in which a hash may start
//	12       1         e, the binary logarithm of the segment length, 0 to 18
//	13       3         zero
//	16       (s+2)*L   fingerprints
//
// The empty filter is 16 zero bytes: it has no fingerprints. An encoding fills its input exactly: its length is what
// s and e say, and (s+2)*L is below 2^32. There is no checksum: the surrounding file has one. A reader takes any seed,
// s and e within these bounds; how a writer chooses them is not part of the format.
package fuse
