package report

import (
	"fmt"
	"math"
)

// latencyChart plots what share of operations took how long, or returns nil if that
// is not known. The axis of shares is stretched, so that there is as much room for
// the slowest tenth as for the slowest hundredth.
func (r *Report) latencyChart(w Workload) *chart {
	least, greatest, tail := math.Inf(1), 0.0, 0.0
	for _, e := range r.Engines {
		for _, p := range curve(r.Result(w.Name, e.Name)) {
			least, greatest, tail = min(least, p.y), max(greatest, p.y), max(tail, p.x)
		}
	}
	if greatest == 0 {
		return nil
	}
	c := newChart("latency", "share of operations that took no longer", onPage)
	y, values := decades(least, greatest)
	c.yTicks(y, values, Seconds)
	x := scale{least: 0, greatest: max(tail, 1)}
	var shares []float64
	for nines := 0.0; nines <= x.greatest; nines++ {
		shares = append(shares, nines)
	}
	c.xTicks(x, shares, func(nines float64) string {
		return fmt.Sprintf("%.*f %%", max(int(nines)-2, 0), 100*(1-math.Pow(10, -nines)))
	})
	for i, e := range r.Engines {
		if points := curve(r.Result(w.Name, e.Name)); points != nil {
			c.add(e.Name, i, points, x, y)
		}
	}
	return c
}

// curve returns the latencies of a result, over the number of nines of their share.
// The longest has no place on it: its share is all.
func curve(res *Result) []point {
	if res == nil {
		return nil
	}
	var points []point
	for _, p := range res.Latency {
		if p.Quantile < 1 && p.Seconds > 0 {
			points = append(points, point{-math.Log10(1 - p.Quantile), p.Seconds})
		}
	}
	return points
}
