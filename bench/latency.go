package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/firnkv/firn/bench/report"
)

// Latencies counts durations of up to a minute, to 1 % of their value. Longer ones
// count as a minute. It is not safe for concurrent use.
type Latencies struct{ h *hdrhistogram.Histogram }

const (
	longest = time.Minute
	digits  = 2 // a third would take 8 times the memory, 200 KiB a thread
)

// NewLatencies returns an empty count.
func NewLatencies() *Latencies {
	return &Latencies{hdrhistogram.New(1, int64(longest), digits)}
}

// Add counts a duration.
func (l *Latencies) Add(d time.Duration) {
	// The value is in range, so there is no error.
	_ = l.h.RecordValue(int64(min(d, longest)))
}

// Merge adds what other has counted.
func (l *Latencies) Merge(other *Latencies) { l.h.Merge(other.h) }

// Quantile returns the duration that the share q of all does not exceed.
func (l *Latencies) Quantile(q float64) time.Duration {
	return time.Duration(l.h.ValueAtQuantile(100 * q))
}

// Max returns the longest duration.
func (l *Latencies) Max() time.Duration { return time.Duration(l.h.Max()) }

// Count returns how many there are.
func (l *Latencies) Count() int64 { return l.h.TotalCount() }

// percentiles returns the distribution: more and more of the tail, up to the
// longest, as long as there are enough durations to tell.
func (l *Latencies) percentiles() []report.Percentile {
	var all []report.Percentile
	add := func(q float64, d time.Duration) {
		all = append(all, report.Percentile{Quantile: q, Seconds: d.Seconds()})
	}
	for _, q := range []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99995, 0.99999} {
		if (1-q)*float64(l.Count()) < 1 {
			break
		}
		add(q, l.Quantile(q))
	}
	add(1, l.Max())
	return all
}
