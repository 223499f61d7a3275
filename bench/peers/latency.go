package peers

import (
	"math/bits"
	"time"
)

// Latencies counts durations in buckets of at most 1/32 of their value. The
// zero value is ready for use. It is not safe for concurrent use.
type Latencies struct {
	counts [64 << subBits]uint32
	total  int
}

const subBits = 5

// Add counts a duration.
func (l *Latencies) Add(d time.Duration) {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-subBits-1, 0)
	l.counts[uint64(shift)<<subBits+v>>shift]++
	l.total++
}

// Merge adds what other has counted.
func (l *Latencies) Merge(other *Latencies) {
	for i, n := range other.counts {
		l.counts[i] += n
	}
	l.total += other.total
}

// Quantile returns the duration that the share q of all does not exceed.
func (l *Latencies) Quantile(q float64) time.Duration {
	left := int(q * float64(l.total))
	for i, n := range l.counts {
		if left -= int(n); left < 0 {
			shift := max(i>>subBits-1, 0)
			return time.Duration(i-shift<<subBits) << shift
		}
	}
	return 0
}
