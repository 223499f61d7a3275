package report

import (
	"fmt"
	"io"
	"strings"
)

// figure is a plot in a file of its own, which can be part of another document. It
// brings its colors and a background along.
type figure struct {
	Title, About          string
	Width, Height, Margin float64
	Colors                palette
	Panels                []panel
}

// panel is a part of a figure: what it has of these.
type panel struct {
	X, Y  float64
	Name  string
	Bars  *barChart
	Chart *chart
	Key   []keyEntry
}

const (
	figureMargin = 20
	figureTop    = 80 // where the panels begin, behind the title
	panelGap     = 36 // for the name of the next
)

func (r *Report) newFigure(title string) *figure {
	s := &r.Settings
	about := fmt.Sprintf("%d pairs (%s), %s; %d cores; %d rounds", s.Data.Keys, s.Data.Kind, Bytes.Format(float64(s.RawBytes)), r.Machine.Cores, s.Rounds)
	return &figure{Title: title, About: about, Width: 2*barsWidth + 3*figureMargin, Margin: figureMargin, Colors: lightColors}
}

// write writes the figure as SVG. If nothing of it was measured, it says so: or an
// older file might be taken for it.
func (f *figure) write(w io.Writer) error {
	if f.Panels == nil {
		f.About, f.Height = "Not measured.", figureTop
	}
	return templates.ExecuteTemplate(w, "figure", f)
}

// headlines are the workloads that say most of a store in few words.
var headlines = []struct{ workload, title string }{
	{"put/durable/writers=1", "Durable puts"},
	{"put/durable/writers=64", "Durable puts"},
	{"load/random", "Fill a new store, nothing synced"},
	{"overwrite/uniform", "Overwrite, nothing synced"},
	{"get/uniform", "Gets, uniform"},
	{"get/absent", "Gets of absent keys"},
	{"ycsb/a", "YCSB A: half gets, half puts, by Zipf's law"},
	{"scan/prefix", "List pages of 1,000 keys"},
}

// WriteThroughput writes the throughput of some workloads, for all engines, as SVG.
func (r *Report) WriteThroughput(w io.Writer) error { return r.throughputFigure().write(w) }

func (r *Report) throughputFigure() *figure {
	f := r.newFigure("Throughput, higher is better")
	f.About += ", medians; whiskers from the least to the greatest"
	y, height := float64(figureTop), 0.0
	for _, h := range headlines {
		wl := r.headline(h.workload)
		if wl == nil {
			continue
		}
		bars := r.bars(*wl)
		if bars == nil {
			continue
		}
		column := len(f.Panels) % 2
		if column == 0 && height > 0 {
			y, height = y+height+panelGap, 0
		}
		name := fmt.Sprintf("%s, %s", h.title, strings.ToLower(strings.TrimSuffix(threads(wl.Threads), ".")))
		f.Panels = append(f.Panels, panel{X: figureMargin + float64(column)*(barsWidth+figureMargin), Y: y, Name: name, Bars: bars})
		height = max(height, bars.Height)
	}
	f.Height = y + height + figureMargin
	return f
}

// headline returns the first workload with the name, if need be with a number of
// threads behind it.
func (r *Report) headline(name string) *Workload {
	for i := range r.Workloads {
		if strings.HasPrefix(r.Workloads[i].Name+"/", name+"/") {
			return &r.Workloads[i]
		}
	}
	return nil
}

// diskWorkload is what [Report.WriteDisk] shows.
const diskWorkload = "churn/uniform"

// WriteDisk writes the disk use of all engines while a store is overwritten, as SVG.
func (r *Report) WriteDisk(w io.Writer) error {
	f := r.newFigure("Disk use while a filled store is overwritten ten times over")
	if c := r.timeline(Workload{Name: diskWorkload}, "", Bytes, diskUse, size{f.Width - 2*figureMargin, 320}); c != nil {
		f.About += fmt.Sprintf("; writing ends after %s at the latest, the lines %s later",
			Seconds.Format(r.Settings.LimitSeconds), Seconds.Format(r.Settings.WatchSeconds))
		f.Panels = []panel{
			{X: figureMargin + c.Left, Y: figureTop - 18, Key: key(c.Lines)},
			{X: figureMargin, Y: figureTop - c.Top/2, Chart: c},
		}
		f.Height = figureTop + c.Height
	}
	return f.write(w)
}
