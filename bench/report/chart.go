package report

import (
	"fmt"
	"math"
	"strings"
)

// chart is a plot of lines. All positions are in pixels, from the upper left corner.
type chart struct {
	Title                    string
	Width, Height            float64
	Left, Right, Top, Bottom float64 // of the area of the plot
	XTicks, YTicks           []tick
	XLabel                   string
	Lines                    []line
}

// tick is a place on an axis.
type tick struct {
	At    float64
	Label string
}

// line is what is plotted of an engine.
type line struct {
	Engine string
	Color  int // index of the engine
	Points string
}

// size is that of a chart, in pixels.
type size struct{ width, height float64 }

// onPage is the size of charts of which two stand beside each other.
var onPage = size{460, 250}

// newChart returns an empty chart.
func newChart(title, xLabel string, s size) *chart {
	c := &chart{Title: title, XLabel: xLabel, Width: s.width, Height: s.height}
	c.Left, c.Right, c.Top, c.Bottom = 62, c.Width-24, 26, c.Height-38
	return c
}

// point is something to plot.
type point struct{ x, y float64 }

// add plots points.
func (c *chart) add(engine string, color int, points []point, x, y scale) {
	var b strings.Builder
	for i, p := range points {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%.1f,%.1f", c.x(x.share(p.x)), c.y(y.share(p.y)))
	}
	c.Lines = append(c.Lines, line{engine, color, b.String()})
}

func (c *chart) x(share float64) float64 { return rounded(c.Left + share*(c.Right-c.Left)) }
func (c *chart) y(share float64) float64 { return rounded(c.Bottom - share*(c.Bottom-c.Top)) }

// rounded is exact enough for a pixel, and short to write.
func rounded(x float64) float64 { return math.Round(x*10) / 10 }

// scale says how far along an axis values are.
type scale struct {
	least, greatest float64
	log             bool
}

// share returns where a value is: 0 at the least, 1 at the greatest.
func (s scale) share(v float64) float64 {
	a, b := s.least, s.greatest
	if s.log {
		v, a, b = math.Log10(max(v, a)), math.Log10(a), math.Log10(b)
	}
	if a == b {
		return 0
	}
	return (v - a) / (b - a)
}

// linear returns a scale from 0 to what is plotted, and round values on it.
func linear(greatest float64) (scale, []float64) {
	if greatest <= 0 {
		greatest = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(greatest)))
	for _, finer := range []float64{0.5, 0.4} {
		if greatest/step >= 4 {
			break
		}
		step *= finer // of 10: 5, then 2
	}
	var ticks []float64
	for i := 0; float64(i)*step <= greatest*1.0001; i++ {
		ticks = append(ticks, float64(i)*step)
	}
	return scale{0, greatest * 1.02, false}, ticks
}

// decades returns a logarithmic scale of whole decades around what is plotted, and
// their bounds.
func decades(least, greatest float64) (scale, []float64) {
	from, to := math.Floor(math.Log10(least)), math.Ceil(math.Log10(greatest))
	if from == to {
		to++
	}
	var ticks []float64
	for e := from; e <= to; e++ {
		ticks = append(ticks, math.Pow(10, e))
	}
	return scale{math.Pow(10, from), math.Pow(10, to), true}, ticks
}

// yTicks labels values of the vertical axis.
func (c *chart) yTicks(s scale, values []float64, unit Unit) {
	for _, v := range values {
		c.YTicks = append(c.YTicks, tick{c.y(s.share(v)), unit.Format(v)})
	}
}

// xTicks labels values of the horizontal axis.
func (c *chart) xTicks(s scale, values []float64, label func(v float64) string) {
	for _, v := range values {
		c.XTicks = append(c.XTicks, tick{c.x(s.share(v)), label(v)})
	}
}
