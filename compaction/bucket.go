package compaction

import (
	"math"
	"math/bits"
)

// minBucket is the width of the narrowest bucket in seconds, a power of two.
const minBucket = 64

// Bucket returns the time bucket of a pair that expires: from <= expiration <
// to. A rewrite at time now puts pairs of different buckets into different
// segments, so that a segment dies whole and its values are not copied again
// (Yang et al., "Segcache", NSDI 2021).
//
// The buckets are geometric: the width is the largest power of two of seconds
// that is not above an eighth of the time that is left, or 64 if that is more.
// So a pair keeps its space for at most an eighth of that time longer than it
// should, and there are at most 16 buckets for each doubling of the time, some
// 300 for ten years. Buckets start at multiples of their width; so narrower
// ones never straddle wider ones.
//
// Pairs that do not expire (0) are in a bucket of their own, (0, 0).
func Bucket(expiration, now int64) (from, to int64) {
	if expiration <= 0 {
		return 0, 0
	}
	width := int64(minBucket)
	if left := expiration - max(now, 0); left/8 > minBucket {
		width = 1 << (bits.Len64(uint64(left/8)) - 1)
	}
	from = expiration &^ (width - 1)
	if from > math.MaxInt64-width {
		return from, math.MaxInt64
	}
	return from, from + width
}
