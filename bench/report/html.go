package report

import (
	_ "embed"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

//go:embed plots.html
var plotsText string

//go:embed figure.svg
var figureText string

// templates are the page, the figure, and what both are made of.
var templates = func() *template.Template {
	all := template.Must(template.New("plots").Parse(plotsText))
	template.Must(all.New("page").Parse(pageText))
	template.Must(all.New("figure").Parse(figureText))
	return all
}()

// section is a workload on the page.
type section struct {
	Workload
	Conditions string // threads and durability
	Bars       *barChart
	Charts     []*chart
	Key        []keyEntry
	Remarks    []string // on engines that have no figures
	Engines    []string // the columns of the table
	Rows       []tableRow
}

type tableRow struct {
	Metric string
	Cells  []string
}

// WriteHTML writes the report as a page that needs nothing else, with plots.
func (r *Report) WriteHTML(w io.Writer) error {
	var sections []section
	for _, wl := range r.Workloads {
		sections = append(sections, r.section(wl))
	}
	goals := r.Goals()
	return templates.ExecuteTemplate(w, "page", map[string]any{
		"Facts":     r.facts(),
		"Notes":     r.Notes,
		"Goals":     goals,
		"About":     r.goalsAbout(goals),
		"Sections":  sections,
		"Light":     lightColors,
		"Dark":      darkColors,
		"Variables": colorVariables,
		"Started":   r.Started.Format("2006-01-02 15:04 MST"),
	})
}

func (r *Report) section(w Workload) section {
	s := section{Workload: w, Conditions: threads(w.Threads), Bars: r.bars(w)}
	if w.Durable {
		s.Conditions += " Durable."
	}
	if c := r.latencyChart(w); c != nil {
		s.Charts = append(s.Charts, c)
	}
	s.Charts = append(s.Charts, r.timelines(w)...)
	if s.Charts != nil {
		s.Key = key(s.Charts[0].Lines)
	}
	results, remarks := r.measured(w)
	s.Remarks = remarks
	for _, res := range results {
		s.Engines = append(s.Engines, res.Engine)
	}
	for _, name := range metricNames(results) {
		row := tableRow{Metric: name}
		for _, res := range results {
			row.Cells = append(row.Cells, formatted(res.Metric(name)))
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}
