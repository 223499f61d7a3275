package report

import "slices"

// Unit is what a metric is measured in.
type Unit string

// The units.
const (
	PerSecond      Unit = "1/s"
	BytesPerSecond Unit = "B/s"
	BytesPerKey    Unit = "B/key"
	Bytes          Unit = "B"
	Seconds        Unit = "s"
	Ratio          Unit = "1"
)

// Better says which way is better.
type Better string

// The two ways.
const (
	Higher Better = "higher"
	Lower  Better = "lower"
)

func (b Better) arrow() string {
	if b == Higher {
		return "↑"
	}
	return "↓"
}

// Kind is what a metric measures.
type Kind struct {
	Name   string `json:"name"`
	Unit   Unit   `json:"unit"`
	Better Better `json:"better"`
}

// Metric is a figure that was measured once in each round.
type Metric struct {
	Kind
	Samples []float64 `json:"samples"`
}

// Median returns the median of the samples, or 0 if there are none.
func (m *Metric) Median() float64 {
	n := len(m.Samples)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(m.Samples))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Range returns the least and the greatest sample, or 0 if there are none.
func (m *Metric) Range() (least, greatest float64) {
	if len(m.Samples) == 0 {
		return 0, 0
	}
	return slices.Min(m.Samples), slices.Max(m.Samples)
}
