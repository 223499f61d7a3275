package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// reportFor is a report in which a metric of the subject has these samples, and what
// it is compared with has others.
func reportFor(g *goal, samples, others []float64) *Report {
	r := &Report{Engines: []Engine{{Name: subject}}}
	r.Settings.Data.Kind, r.Settings.Data.Keys = "json", max(g.keys, 1000)
	if g.data != "" {
		r.Settings.Data.Kind = g.data
	}
	add := func(engine string, samples []float64) {
		r.Results = append(r.Results, Result{Workload: g.workload, Engine: engine, Metrics: []Metric{{g.kind, samples}}})
	}
	add(subject, samples)
	switch g.than {
	case "":
	case "disk syncs":
		r.DiskSyncs = Metric{Kind{Name: g.than}, others}
	case "zstd encode":
		r.ZstdEncode = Metric{Kind{Name: g.than}, others}
	case "zstd decode":
		r.ZstdDecode = Metric{Kind{Name: g.than}, others}
	default:
		add(g.than, others)
	}
	return r
}

// Each goal is met at its bound and not met a little on the wrong side of it.
func TestGoalsAtTheirBounds(t *testing.T) {
	for _, g := range goals {
		better := 1.001
		if g.kind.Better == Lower {
			better = 0.999
		}
		at := []float64{g.bound * 8}
		others := []float64{8, 8, 8}
		if g.than == "" {
			at[0], others = g.bound, nil
		}
		met, missed := at[0]*better, at[0]/better
		for _, c := range []struct {
			samples []float64
			want    Attainment
		}{
			{at, Met},
			{[]float64{met, met, met}, Met},
			{[]float64{missed, missed, missed}, NotMet},
		} {
			if got := g.of(reportFor(&g, c.samples, others)); got.Attained != c.want {
				t.Errorf("%+v\nwith %v to %v: %+v", g, c.samples, others, got)
			}
		}
		wantOne := Met // bad round of three
		if g.always {
			wantOne = NotMet
		}
		if got := g.of(reportFor(&g, []float64{met, missed, met}, others)); got.Attained != wantOne {
			t.Errorf("%+v\nwith one bad round: %+v", g, got)
		}
	}
}

func TestGoalsNotMeasured(t *testing.T) {
	for _, g := range goals {
		alone := reportFor(&g, []float64{1}, nil)
		if got := g.of(alone); (got.Attained == NotMeasured) != (g.than != "") {
			t.Errorf("without what it is compared with: %+v", got)
		}
		for name, change := range map[string]func(res *Result){
			"failed":       func(res *Result) { res.Failed = "disk full" },
			"skipped":      func(res *Result) { res.Skipped, res.Metrics = "not here", nil },
			"other metric": func(res *Result) { res.Metrics[0].Name = "other" },
			"other engine": func(res *Result) { res.Engine = "other" },
		} {
			r := reportFor(&g, []float64{1}, []float64{1})
			change(&r.Results[0])
			if got := g.of(r); got.Attained != NotMeasured || got.Measured != "–" {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

func TestGoalsWithFewerKeys(t *testing.T) {
	for _, g := range goals {
		if g.keys == 0 {
			continue
		}
		r := reportFor(&g, []float64{g.bound / 2}, nil)
		r.Settings.Data.Keys = g.keys / 50
		met, missed := MetByFewer, NotMet
		if g.large {
			met, missed = TooFewKeys, TooFewKeys
		}
		if got := g.of(r); got.Attained != met || !strings.HasSuffix(got.Measured, fmt.Sprintf(", with %d keys", g.keys/50)) {
			t.Errorf("got %+v", got)
		}
		r.Results[0].Metrics[0].Samples[0] = 2 * g.bound
		if got := g.of(r); got.Attained != missed {
			t.Errorf("got %+v", got)
		}
	}
}

// What is asked of one kind of data is not asked of others, and nothing of a report
// without Firn.
func TestGoalsOfReports(t *testing.T) {
	r := sample()
	all := len(r.Goals())
	r.Settings.Data.Kind = "random"
	if got := len(r.Goals()); got != all+1 || got != len(goals) {
		t.Errorf("%d goals, %d of random data, of %d", all, got, len(goals))
	}
	r.Engines[0].Name = "renamed"
	if got := r.Goals(); got != nil {
		t.Errorf("got %+v", got)
	}
	var text, page bytes.Buffer
	if err := r.WriteMarkdown(&text); err != nil || strings.Contains(text.String(), "Goals") {
		t.Errorf("%v: goals in %s", err, text.String())
	}
	if err := r.WriteHTML(&page); err != nil || strings.Contains(page.String(), "Goals") {
		t.Errorf("%v: goals in %s", err, page.String())
	}
}

func TestGoalsInWords(t *testing.T) {
	r := sample()
	r.Engines[0].Name = subject
	r.DiskSyncs.Samples = []float64{20_000}
	r.Results = []Result{
		{Workload: "put/durable/writers=1", Engine: subject, Metrics: []Metric{{rate, []float64{9000, 10_000, 11_000}}}},
		{Workload: "churn/zipf", Engine: subject, Metrics: []Metric{{longest, []float64{18e-3, 30e-3}}}},
	}
	r.Settings.Data.Keys = 5000
	got := map[string]Goal{}
	for _, g := range r.Goals() {
		got[g.Workload+" "+g.Asked] = g
	}
	for asked, want := range map[string]Goal{
		"put/durable/writers=1 throughput ≥ 0.85 × disk syncs": {Measured: "0.50 ×: 10k/s (9k/s–11k/s) to 20k/s", Attained: NotMet},
		"put/durable/writers=1 throughput ≥ 1.40 × pebble":     {Measured: "10k/s (9k/s–11k/s)", Attained: NotMeasured},
		"churn/zipf max ≤ 20 ms in each round":                 {Measured: "24 ms (18 ms–30 ms)", Attained: NotMet},
	} {
		if g, ok := got[asked]; !ok || g.Measured != want.Measured || g.Attained != want.Attained {
			t.Errorf("%s: got %+v", asked, g)
		}
	}
}
