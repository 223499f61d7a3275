package report

import (
	"fmt"
	"math"
)

// Format returns a figure for people, with three digits and its unit.
func (u Unit) Format(x float64) string {
	switch u {
	case PerSecond:
		return scaled(x, "", 1000, "", "k", "M", "G") + "/s"
	case BytesPerSecond:
		return scaled(x, " ", 1000, "B/s", "kB/s", "MB/s", "GB/s")
	case Bytes:
		return scaled(x, " ", 1000, "B", "kB", "MB", "GB", "TB")
	case BytesPerKey:
		return digits(x) + " B/key"
	case Seconds:
		switch {
		case x == 0:
			return "0 s"
		case math.Abs(x) < 1e-6:
			return scaled(x*1e9, " ", 1000, "ns")
		}
		return scaled(x*1e6, " ", 1000, "µs", "ms", "s")
	}
	return digits(x)
}

// scaled returns x in the largest of units, each step times the one before, in
// which it is not below 1.
func scaled(x float64, space string, step float64, units ...string) string {
	for len(units) > 1 && math.Abs(x) >= step*0.9995 {
		x, units = x/step, units[1:]
	}
	return digits(x) + space + units[0]
}

// digits returns x with three digits, or more if it is 1000 or above.
func digits(x float64) string {
	switch a := math.Abs(x); {
	case a == math.Trunc(a) && a < 1000, a >= 99.95:
		return fmt.Sprintf("%.0f", x)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// String returns the median, and the range in brackets if there is one.
func (m *Metric) String() string {
	if len(m.Samples) == 0 {
		return "–"
	}
	least, greatest := m.Range()
	if least == greatest {
		return m.Unit.Format(m.Median())
	}
	return fmt.Sprintf("%s (%s–%s)", m.Unit.Format(m.Median()), m.Unit.Format(least), m.Unit.Format(greatest))
}
