package report

// barChart shows the metric of a workload that matters most, with a bar for each
// engine. All positions are in pixels, from the upper left corner.
type barChart struct {
	Metric        string
	Better        Better
	Width, Height float64
	NamesTo       float64 // where the names of the engines end
	Bars          []bar
}

// bar is as long as the median, and has a whisker from the least to the greatest.
type bar struct {
	Engine         string
	Color          int // index of the engine
	X, Y           float64
	Length, Height float64
	Middle         float64 // of its height
	Low, High      float64
	Label          string
	LabelAt        float64
}

const (
	barHeight = 14
	barStep   = 20
	barsFrom  = 72
	barsTo    = 330
	barsWidth = 400 // with labels
)

// bars returns the chart of a workload, or nil if nothing was measured.
func (r *Report) bars(w Workload) *barChart {
	c := &barChart{Width: barsWidth, NamesTo: barsFrom - 6}
	most := 0.0
	for _, e := range r.Engines {
		if m := principal(r.Result(w.Name, e.Name)); m != nil {
			_, greatest := m.Range()
			most = max(most, greatest)
		}
	}
	if most <= 0 {
		return nil
	}
	at := func(v float64) float64 { return rounded(barsFrom + max(v, 0)/most*(barsTo-barsFrom)) }
	for i, e := range r.Engines {
		m := principal(r.Result(w.Name, e.Name))
		if m == nil {
			continue
		}
		c.Metric, c.Better = m.Name, m.Better
		least, greatest := m.Range()
		y := float64(len(c.Bars)) * barStep
		c.Bars = append(c.Bars, bar{
			Engine: e.Name, Color: i, X: barsFrom, Y: y + 4, Length: rounded(at(m.Median()) - barsFrom), Height: barHeight,
			Middle: y + 4 + barHeight/2, Low: at(least), High: at(greatest),
			Label: m.Unit.Format(m.Median()), LabelAt: at(greatest) + 6,
		})
	}
	c.Height = float64(len(c.Bars))*barStep + 4
	return c
}
