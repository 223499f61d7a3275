package simulate

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// The layout of a plot, in pixels.
const (
	plotWidth   = 1000
	panelHeight = 160
	plotLeft    = 70
	plotRight   = 130
	plotTop     = 50
	panelGap    = 50
)

// series is a line of a panel, with a value for each sample.
type series struct {
	name, color string
	value       func(i int) float64
}

// panel is a chart over the time of the run.
type panel struct {
	title string
	low   float64   // the least value shown
	marks []float64 // values with a dashed line
	lines []series
}

// Plot writes an SVG image of the run: disk use, amplification of space and of
// writes, delays, and the number of segments.
func (r *Result) Plot(w io.Writer) error {
	const day = 86400 / Step
	gib := func(n int64) float64 { return float64(n) / (1 << 30) }
	at := func(i int) *Sample { return &r.Samples[i] }
	sizes := panel{title: "GiB on disk", lines: []series{
		{"disk", "#d62728", func(i int) float64 { return gib(at(i).Disk) }},
		{"live, packed", "#1f77b4", func(i int) float64 { return gib(at(i).Packed) }},
	}}
	if c := r.Scenario.Capacity; c > 0 {
		sizes.marks = []float64{gib(c)}
	}
	space := panel{title: "space amplification", low: 1, marks: []float64{1.3, 1.8}, lines: []series{
		{"space", "#d62728", func(i int) float64 { return min(at(i).Amplification(), 2.5) }},
	}}
	write := panel{title: "write amplification by day", low: 1, lines: []series{
		{"write", "#2ca02c", func(i int) float64 {
			return WriteAmplification(*at(i / day * day), *at(min(i/day*day+day, len(r.Samples)) - 1))
		}},
	}}
	refused := make([]float64, len(r.Samples)/day+1) // percent of each day
	for i := range r.Samples {
		if at(i).Refused {
			refused[i/day] += 100.0 / day
		}
	}
	load := panel{title: "segments; percent of puts delayed, and refused by day", lines: []series{
		{"segments", "#7f7f7f", func(i int) float64 { return float64(at(i).Segments) }},
		{"delayed", "#9467bd", func(i int) float64 { return at(i).Pressure * 100 }},
		{"refused", "#ff7f0e", func(i int) float64 { return refused[i/day] }},
	}}
	panels := []panel{sizes, space, write, load}

	height := plotTop + len(panels)*(panelHeight+panelGap)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		plotLeft+plotWidth+plotRight, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="25" font-size="16">%s, %d days</text>`+"\n",
		plotLeft, r.Scenario.Name, len(r.Samples)/day)
	for i, p := range panels {
		p.draw(&b, plotTop+i*(panelHeight+panelGap), len(r.Samples), len(r.Samples)/day)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// draw draws the panel for n samples with its upper edge at y.
func (p *panel) draw(b *strings.Builder, y, n, days int) {
	high := p.low
	for _, m := range p.marks {
		high = max(high, m)
	}
	for _, l := range p.lines {
		for i := range n {
			high = max(high, l.value(i))
		}
	}
	step := math.Pow(10, math.Floor(math.Log10((high-p.low)/2)))
	for (high-p.low)/step > 6 {
		step *= 2
	}
	high = p.low + math.Ceil((high-p.low)/step)*step
	place := func(v float64) float64 { return float64(y) + panelHeight*(1-(v-p.low)/(high-p.low)) }

	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", plotLeft, y-8, p.title)
	for v := p.low; v <= high+step/2; v += step {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.4g</text>`+"\n",
			plotLeft, plotLeft+plotWidth, place(v), place(v), plotLeft-6, place(v)+4, v)
	}
	every := max(days/12, 1)
	for d := 0; d <= days; d += every {
		x := plotLeft + float64(d)/float64(max(days, 1))*plotWidth
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#eee"/><text x="%.1f" y="%d" text-anchor="middle">day %d</text>`+"\n",
			x, x, y, y+panelHeight, x, y+panelHeight+15, d)
	}
	for _, m := range p.marks {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#444" stroke-dasharray="6 4"/><text x="%d" y="%.1f">%.4g</text>`+"\n",
			plotLeft, plotLeft+plotWidth, place(m), place(m), plotLeft+plotWidth+4, place(m)+4, m)
	}
	for i, l := range p.lines {
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.3" points="`, l.color)
		for x := range plotWidth {
			from, to := x*n/plotWidth, max((x+1)*n/plotWidth, x*n/plotWidth+1)
			low, top := math.Inf(1), math.Inf(-1)
			for i := from; i < to; i++ {
				low, top = min(low, l.value(i)), max(top, l.value(i))
			}
			low, top = max(low, p.low), max(top, p.low)
			fmt.Fprintf(b, "%d,%.1f %d,%.1f ", plotLeft+x, place(low), plotLeft+x, place(top))
		}
		fmt.Fprintf(b, `"/><text x="%d" y="%d" fill="%s">%s</text>`+"\n",
			plotLeft+plotWidth+35, y+15+16*i, l.color, l.name)
	}
}
