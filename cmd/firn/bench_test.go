package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type benchReport struct {
	Version int
	Results []struct {
		Workload, Engine, Skipped, Failed string
		Metrics                           []struct {
			Name, Unit, Better string
			Samples            []float64
		}
	}
}

func TestBench(t *testing.T) {
	f := newFirn(t)
	scratch, out := t.TempDir(), filepath.Join(t.TempDir(), "report")
	text := f.ok("bench", "--quick", "--keys", "300", "--rounds", "1", "--only", "^(load/sorted|scan|open|memory)",
		"--data", "examples/movies.ndjson", "--scratch", scratch, "--out", out, "--json")
	r := decode[benchReport](t, text)
	if r.Version != 1 || len(r.Results) != 5 {
		t.Fatalf("got %+v", r)
	}
	for _, res := range r.Results {
		if res.Engine != "firn" || res.Failed != "" || res.Skipped == "" && (len(res.Metrics) == 0 || len(res.Metrics[0].Samples) != 1) {
			t.Errorf("got %+v", res)
		}
	}
	if saved, err := os.ReadFile(filepath.Join(out, "report.json")); err != nil || string(saved) != text {
		t.Errorf("%v: %d bytes saved of %d", err, len(saved), len(text))
	}
	for _, name := range []string{"report.md", "report.html", "throughput.svg", "disk.svg"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("%v: left %v", err, left)
	}
	if _, err := os.Stat(f.dir); err == nil {
		t.Error("it made a data directory")
	}
	table := f.ok("bench", "--quick", "--keys", "300", "--rounds", "1", "--only", "load/sorted", "--random")
	if !strings.Contains(table, "| load/sorted/threads=1 | throughput ↑ |") {
		t.Errorf("got %s", table)
	}
}

// TestBenchCompare compares reports that differ by their samples only.
func TestBenchCompare(t *testing.T) {
	f := newFirn(t)
	slow, fast := write(t, reportWith("1,2,3,4,5")), write(t, reportWith("11,12,13,14,15"))
	if got := f.ok("bench", "compare", slow, fast); !strings.Contains(got, "better  get  firn  throughput  3/s → 13/s") {
		t.Errorf("got %s", got)
	}
	if got := f.ok("bench", "compare", slow, slow); !strings.Contains(got, "0 better, 0 worse, 0 not to be told, of 1 metrics") {
		t.Errorf("got %s", got)
	}
	r := f.run(nil, "bench", "compare", fast, slow)
	if r.status != 1 || !strings.Contains(r.out, "worse ") || !strings.Contains(r.err, "1 metrics got worse") {
		t.Errorf("got %+v", r)
	}
	if got := f.ok("bench", "compare", fast, slow, "--alpha", "0.001"); !strings.Contains(got, "0 worse") {
		t.Errorf("got %s", got)
	}
	few := write(t, reportWith("1,2"))
	if got := f.ok("bench", "compare", fast, few); !strings.Contains(got, "Too few rounds to tell, 5 and 2, where 4 in each report are enough: get.") {
		t.Errorf("got %s", got)
	}
	r = f.run(nil, "bench", "compare", fast, slow, "--json")
	c := decode[struct {
		Better, Worse int
		Changes       []struct {
			Workload, Verdict string
			Old, New, P       float64
		}
	}](t, r.out)
	if r.status != 1 || c.Worse != 1 || len(c.Changes) != 1 || c.Changes[0].Verdict != "worse" || c.Changes[0].Old != 13 {
		t.Errorf("status %d, %+v", r.status, c)
	}
	f.fails(1, []string{"no such file"}, "bench", "compare", slow, "nowhere.json")
	f.fails(1, []string{"not a report"}, "bench", "compare", slow, write(t, "x"))
}

func reportWith(samples string) string {
	return `{"version":1,"disk_syncs":{"name":"disk syncs","unit":"1/s","samples":[1,2,3,4,5]},"results":[{"workload":"get","engine":"firn","metrics":[
		{"name":"throughput","unit":"1/s","better":"higher","samples":[` + samples + `]}]}]}`
}
