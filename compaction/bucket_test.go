package compaction

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestBucket(t *testing.T) {
	const now = 1_800_000_000 // a multiple of 2^12
	for _, c := range []struct{ expiration, now, from, to int64 }{
		{0, now, 0, 0},
		{now - 1000, now, now - 1024, now - 960},
		{now, now, now, now + 64},
		{now + 1023, now, now + 960, now + 1024},
		{now + 1024, now, now + 1024, now + 1152},
		{1, 0, 0, 64},
		{math.MaxInt64, 0, math.MaxInt64 - 1<<59 + 1, math.MaxInt64},
		{math.MaxInt64, math.MinInt64, math.MaxInt64 - 1<<59 + 1, math.MaxInt64},
	} {
		if from, to := Bucket(c.expiration, c.now); from != c.from || to != c.to {
			t.Errorf("Bucket(%d, %d) = %d, %d, want %d, %d", c.expiration, c.now, from, to, c.from, c.to)
		}
	}
}

func TestBucketProperties(t *testing.T) {
	seed := testSeed(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100_000 {
		now := rng.Int64N(1 << 33)
		left := rng.Int64N(1 << (1 + rng.IntN(35)))
		from, to := Bucket(now+left, now)
		if now+left < from || now+left >= to || to-from > max(minBucket, left/8) || to-from < min(max(minBucket, left/16), left+minBucket) {
			t.Fatalf("Bucket(%d, %d) = %d, %d", now+left, now, from, to)
		}
		// Later, the bucket of the same pair is the same or a part of it.
		if f, e := Bucket(now+left, now+rng.Int64N(left+1)); f < from || e > to {
			t.Fatalf("Bucket(%d, %d) = %d, %d, later %d, %d", now+left, now, from, to, f, e)
		}
	}
}

func TestBucketCount(t *testing.T) {
	const now = 1_800_000_000
	n := 0
	for e := int64(now); e < now+10*365*86400; n++ {
		_, e = Bucket(e, now)
	}
	if n > 300 {
		t.Errorf("%d buckets for ten years, want at most 300", n)
	}
}
