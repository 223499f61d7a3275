package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the report as Markdown: what was measured on and how, a
// table of the goals, one of what matters most, and one of everything else.
func (r *Report) WriteMarkdown(w io.Writer) error {
	m := &markdown{r: r}
	m.header()
	m.goals()
	m.overview()
	m.details()
	_, err := m.out.WriteTo(w)
	return err
}

type markdown struct {
	r   *Report
	out bytes.Buffer
}

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(&m.out, format+"\n", args...) }

// row writes a row of a table.
func (m *markdown) row(cells ...string) {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	m.line("| %s |", strings.Join(cells, " | "))
}

// head writes the head of a table, of which all columns but the first left ones are
// aligned to the right.
func (m *markdown) head(left int, cells ...string) {
	m.row(cells...)
	rule := "|"
	for i := range cells {
		if i < left {
			rule += " --- |"
		} else {
			rule += " ---: |"
		}
	}
	m.line("%s", rule)
}

func (m *markdown) header() {
	m.line("# Benchmarks\n")
	for _, fact := range m.r.facts() {
		m.line("- %s: %s", fact.Name, fact.Text)
	}
	m.line("")
	for _, note := range m.r.Notes {
		m.line("%s", note)
	}
	m.line("")
}

// goals is a table of the goals and whether they are met, if there are any.
func (m *markdown) goals() {
	all := m.r.Goals()
	if all == nil {
		return
	}
	m.line("## Goals\n")
	m.line("%s\n", m.r.goalsAbout(all))
	m.head(4, "workload", "goal", "measured", "")
	for _, g := range all {
		m.row(g.Workload, g.Asked, g.Measured, string(g.Attained))
	}
	m.line("")
}

// overview is a table of the first metric of each workload, with an engine in each
// column. Ratios compare with the first engine.
func (m *markdown) overview() {
	m.line("## Overview\n")
	about := "Medians of the rounds, with an arrow to where better is"
	if len(m.r.Engines) > 1 {
		about += "; in brackets, what the first engine has as a multiple of it"
	}
	m.line("%s.\n", about)
	names := []string{"workload", "metric"}
	for _, e := range m.r.Engines {
		names = append(names, e.Name)
	}
	m.head(2, names...)
	for _, w := range m.r.Workloads {
		cells := []string{w.Name, ""}
		for _, e := range m.r.Engines {
			res := m.r.Result(w.Name, e.Name)
			if p := principal(res); p != nil {
				cells[1] = p.Name + " " + p.Better.arrow()
			}
			cells = append(cells, m.r.cell(w, res))
		}
		m.row(cells...)
	}
	m.line("")
}

// principal returns the metric of a result that matters most, or nil.
func principal(res *Result) *Metric {
	if res == nil || len(res.Metrics) == 0 || res.Failed != "" {
		return nil
	}
	return &res.Metrics[0]
}

// cell is a result in an overview.
func (r *Report) cell(w Workload, res *Result) string {
	mine := principal(res)
	switch {
	case res != nil && res.Failed != "":
		return "failed"
	case mine == nil:
		return "–"
	}
	text := mine.Unit.Format(mine.Median())
	if first := principal(r.Result(w.Name, r.Engines[0].Name)); first != nil && first != mine && mine.Median() > 0 {
		text += fmt.Sprintf(" (%s×)", digits(first.Median()/mine.Median()))
	}
	return text
}

// details is a table of all metrics for each workload.
func (m *markdown) details() {
	m.line("## Details\n")
	m.line("Medians of the rounds; in brackets, the least and the greatest.")
	for _, w := range m.r.Workloads {
		m.line("\n### %s\n", w.Name)
		m.line("%s %s\n", w.About, threads(w.Threads))
		results, remarks := m.r.measured(w)
		for _, remark := range remarks {
			m.line("%s\n", remark)
		}
		if len(results) == 0 {
			continue
		}
		names := []string{"metric"}
		for _, res := range results {
			names = append(names, res.Engine)
		}
		m.head(1, names...)
		for _, metric := range metricNames(results) {
			cells := []string{metric}
			for _, res := range results {
				cells = append(cells, formatted(res.Metric(metric)))
			}
			m.row(cells...)
		}
	}
}

// measured returns the results of a workload that have metrics, and what is to be
// said of the others.
func (r *Report) measured(w Workload) (results []*Result, remarks []string) {
	for _, e := range r.Engines {
		res := r.Result(w.Name, e.Name)
		switch {
		case res == nil:
		case res.Skipped != "":
			remarks = append(remarks, fmt.Sprintf("Not with %s: %s.", e.Name, res.Skipped))
		case res.Failed != "":
			remarks = append(remarks, fmt.Sprintf("It failed with %s: %s", e.Name, strings.ReplaceAll(res.Failed, "\n", "; ")))
		default:
			results = append(results, res)
		}
	}
	return results, remarks
}

func threads(n int) string {
	if n == 1 {
		return "One thread."
	}
	return fmt.Sprintf("%d threads.", n)
}

// metricNames returns the names of all metrics, in the order of their appearance.
func metricNames(results []*Result) []string {
	var names []string
	seen := map[string]bool{}
	for _, res := range results {
		for _, m := range res.Metrics {
			if !seen[m.Name] {
				seen[m.Name] = true
				names = append(names, m.Name)
			}
		}
	}
	return names
}

func formatted(m *Metric) string {
	if m == nil {
		return "–"
	}
	return m.String()
}
