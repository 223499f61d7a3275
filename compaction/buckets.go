package compaction

import (
	"slices"
	"sort"
)

// buckets divides records that expire by when they do, so that each part dies as
// a whole.
type buckets struct {
	bytes map[int64]int64 // by end
	ends  []int64         // after join: of the buckets that got a segment of their own, in order
	now   int64
}

func (b *buckets) add(expiration, now, size int64) {
	if b.bytes == nil {
		b.bytes = map[int64]int64{}
	}
	b.now = now
	_, to := Bucket(expiration, now)
	b.bytes[to] += size
}

// join makes one of neighbours until each is worth a segment. If all are not,
// they stay with what does not expire, plain bytes of it.
func (b *buckets) join(plain int64) {
	var ends []int64
	var sum int64
	for end, n := range b.bytes {
		ends = append(ends, end)
		sum += n
	}
	if plain > 0 && sum < apartFrom {
		return
	}
	slices.Sort(ends)
	sum = 0
	for i, end := range ends {
		sum += b.bytes[end]
		if sum >= apartFrom || i == len(ends)-1 {
			b.ends = append(b.ends, end)
			sum = 0
		}
	}
}

// of returns the end of the bucket of a record, 0 if it stays with what does not
// expire.
func (b *buckets) of(expiration int64) int64 {
	if expiration == 0 || len(b.ends) == 0 {
		return 0
	}
	_, to := Bucket(expiration, b.now)
	i := sort.Search(len(b.ends), func(i int) bool { return b.ends[i] >= to })
	return b.ends[min(i, len(b.ends)-1)]
}
