package report

import (
	"bytes"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/bench/machine"
)

var update = flag.Bool("update", false, "rewrite testdata")

// sample is a report with something of everything.
func sample() *Report {
	throughput := func(samples ...float64) Metric { return Metric{Kind{"throughput", PerSecond, Higher}, samples} }
	return &Report{
		Version: Version,
		Started: time.Date(2026, 11, 26, 4, 0, 0, 0, time.UTC),
		Seconds: 61.7,
		Machine: machine.Description{
			CPU: "Some CPU", Cores: 2, Memory: 24 << 30, MemoryLimit: 1 << 30, System: "linux/amd64 6.1", FileSystem: "ext4", Go: "go1.26",
		},
		Settings: Settings{
			Data: dataset.Spec{Kind: dataset.Pairs, File: "films.ndjson", Keys: 1000}, RawBytes: 452_000,
			Rounds: 3, RoundSeconds: 0.75, WarmUpSeconds: 0.4, LimitSeconds: 60, WatchSeconds: 10,
		},
		Engines:    []Engine{{"firn", "v1.0.0", "The defaults."}, {"other", "v2.0.0", "As <recommended> & stated."}},
		DiskSyncs:  Metric{Kind{"disk syncs", PerSecond, Higher}, []float64{21000, 22000, 20000}},
		ZstdEncode: Metric{Kind{"zstd encode", BytesPerSecond, Higher}, []float64{4e8, 5e8}},
		Workloads: []Workload{
			{"put/durable/writers=64", "Put pairs.", 64, true},
			{"churn/uniform", "Overwrite pairs.", 2, false},
			{"expire", "Put pairs that expire.", 1, false},
			{"memory", "Open a store.", 1, false},
		},
		Results: []Result{
			{Workload: "put/durable/writers=64", Engine: "firn",
				Metrics: []Metric{throughput(9000, 10_000, 11_000), {Kind{"p50", Seconds, Lower}, []float64{1.2e-6, 450e-9, 2.5e-3}}},
				Latency: []Percentile{{0, 1e-6}, {0.5, 2e-6}, {0.9, 5e-6}, {0.99, 50e-6}, {0.999, 3e-3}, {1, 0.02}}},
			{Workload: "put/durable/writers=64", Engine: "other",
				Metrics: []Metric{throughput(4000, 5000, 4500), {Kind{"cpu", Seconds, Lower}, []float64{1e-5, 1e-5, 1e-5}}},
				Latency: []Percentile{{0, 2e-6}, {0.5, 9e-6}, {0.9, 4e-5}, {1, 0.03}}},
			{Workload: "churn/uniform", Engine: "firn", Metrics: []Metric{throughput(250_000), {Kind{"peak/packed", Ratio, Lower}, []float64{1.75}}},
				Timeline: []Moment{{0, 0, 4096}, {0.5, 100_000, 50_000_000}, {1, 250_000, 70_000_000}, {2, 250_000, 40_000_000}}},
			{Workload: "churn/uniform", Engine: "other", Metrics: []Metric{}, Failed: "disk full\nand more"},
			{Workload: "expire", Engine: "firn", Metrics: []Metric{throughput(1)}},
			{Workload: "expire", Engine: "other", Metrics: []Metric{}, Skipped: "pairs cannot expire"},
			{Workload: "memory", Engine: "firn", Metrics: []Metric{}, Skipped: "unknown here"},
			{Workload: "memory", Engine: "other", Metrics: []Metric{}, Skipped: "unknown here"},
		},
		Notes: []string{"The data fits into memory."},
	}
}

func TestGolden(t *testing.T) {
	for name, write := range map[string]func(r *Report, w io.Writer) error{
		"report.json": (*Report).WriteJSON,
		"report.md":   (*Report).WriteMarkdown,
		"report.html": (*Report).WriteHTML,

		"throughput.svg": (*Report).WriteThroughput,
		"disk.svg":       (*Report).WriteDisk,
	} {
		var got bytes.Buffer
		if err := write(sample(), &got); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != strings.ReplaceAll(string(want), "\r\n", "\n") {
			t.Errorf("%s differs from testdata (-update rewrites it):\n%s", name, got.String())
		}
	}
}

// The page and the figures are well-formed, and fetch nothing.
func TestPlots(t *testing.T) {
	for name, c := range map[string]struct {
		write       func(r *Report, w io.Writer) error
		lines, bars int
	}{
		// Two latencies, and two timelines of the one engine that did not fail.
		"page":       {(*Report).WriteHTML, 4, 4},
		"throughput": {(*Report).WriteThroughput, 0, 2},
		"disk":       {(*Report).WriteDisk, 1, 0},
	} {
		var out bytes.Buffer
		if err := c.write(sample(), &out); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(out.String(), `xmlns="http://www.w3.org/2000/svg"`, "")
		for _, outside := range []string{"http:", "https:", "src=", "url(", "@import", "<script", "<link", "ZgotmplZ", "NaN", "Inf"} {
			if strings.Contains(text, outside) {
				t.Errorf("%s: there is %q in it", name, outside)
			}
		}
		if name != "page" && strings.Contains(text, "var(") {
			t.Errorf("%s: colors are missing", name)
		}
		lines, bars := 0, 0
		for d := xml.NewDecoder(&out); ; {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch e, _ := token.(xml.StartElement); {
			case e.Name.Local == "polyline":
				lines++
			case e.Name.Local == "line" && slices.Contains(e.Attr, xml.Attr{Name: xml.Name{Local: "class"}, Value: "whisker"}):
				bars++
			}
		}
		if lines != c.lines || bars != c.bars {
			t.Errorf("%s: %d lines and %d bars are plotted, want %d and %d", name, lines, bars, c.lines, c.bars)
		}
	}
}

// What was not measured has a figure that says so.
func TestEmptyFigures(t *testing.T) {
	for _, write := range []func(r *Report, w io.Writer) error{(*Report).WriteThroughput, (*Report).WriteDisk} {
		var out strings.Builder
		if err := write(&Report{}, &out); err != nil || !strings.Contains(out.String(), "Not measured.") {
			t.Errorf("%v: %s", err, out.String())
		}
	}
}

// Panels stand in two columns, inside of the figure, and not on top of each other.
func TestFigureLayout(t *testing.T) {
	r := &Report{Engines: []Engine{{Name: "firn"}}}
	for i, h := range headlines {
		w := Workload{Name: h.workload, Threads: 1}
		r.Workloads = append(r.Workloads, w)
		if i != 2 { // which was not measured
			r.Results = append(r.Results, Result{Workload: w.Name, Engine: "firn", Metrics: []Metric{{rate, []float64{1}}}})
		}
	}
	f := r.throughputFigure()
	if len(f.Panels) != len(headlines)-1 {
		t.Errorf("%d panels", len(f.Panels))
	}
	for i, p := range f.Panels {
		if p.X < f.Margin || p.X+p.Bars.Width > f.Width-f.Margin || p.Y < figureTop || p.Y+p.Bars.Height > f.Height {
			t.Errorf("panel %d is at %v, %v, in a figure of %v by %v", i, p.X, p.Y, f.Width, f.Height)
		}
		for k, q := range f.Panels[:i] {
			if p.X == q.X && p.Y < q.Y+q.Bars.Height || p.X != q.X && p.X < q.X+q.Bars.Width && q.X < p.X {
				t.Errorf("panel %d is on panel %d", i, k)
			}
		}
	}
}

// A headline takes the first workload of its name, whatever the number of threads.
func TestHeadline(t *testing.T) {
	r := &Report{Workloads: []Workload{{Name: "put/durable/writers=16"}, {Name: "get/uniform/threads=4"}, {Name: "get/uniform/threads=8"}}}
	for name, want := range map[string]string{"get/uniform": "get/uniform/threads=4", "put/durable/writers=1": "", "get/uni": ""} {
		got := ""
		if w := r.headline(name); w != nil {
			got = w.Name
		}
		if got != want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	want := sample()
	if err := want.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(filepath.Join(dir, "report.json"))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: got %+v", err, got)
	}
	for _, name := range []string{"report.md", "report.html", "throughput.svg", "disk.svg"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Reports of before something was measured can be read, and written again.
func TestReadOlder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(path, []byte(`{"version":1,"engines":[{"name":"firn"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var json, text bytes.Buffer
	if err := r.WriteJSON(&json); err != nil || strings.Contains(json.String(), "zstd") {
		t.Errorf("%v: %s", err, json.String())
	}
	if err := r.WriteMarkdown(&text); err != nil || strings.Contains(text.String(), "- zstd") {
		t.Errorf("%v: %s", err, text.String())
	}
}

func TestReadWrong(t *testing.T) {
	for content, want := range map[string]string{
		"":                               "not a report",
		`{"version":2}`:                  "version 2",
		`{}`:                             "version 0",
		`{"version":1,"seconds":"long"}`: "not a report",
	} {
		path := filepath.Join(t.TempDir(), "report.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %v, want %q", content, err, want)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		unit Unit
		x    float64
		want string
	}{
		{PerSecond, 0, "0/s"}, {PerSecond, 999, "999/s"}, {PerSecond, 1234, "1.23k/s"}, {PerSecond, 12_345_678, "12.3M/s"},
		{PerSecond, 999_960, "1.00M/s"}, {BytesPerSecond, 2.5e8, "250 MB/s"}, {Bytes, 12, "12 B"}, {Bytes, 1.5e9, "1.50 GB"},
		{Seconds, 0, "0 s"}, {Seconds, 5e-9, "5 ns"}, {Seconds, 1.5e-7, "150 ns"}, {Seconds, 4.56e-6, "4.56 µs"},
		{Seconds, 0.0123, "12.3 ms"}, {Seconds, 90, "90 s"}, {Ratio, 1.3, "1.30"}, {Ratio, 2, "2"}, {BytesPerKey, 24.25, "24.2 B/key"},
	} {
		if got := c.unit.Format(c.x); got != c.want {
			t.Errorf("%v in %s is %q, want %q", c.x, c.unit, got, c.want)
		}
	}
}

func TestMetric(t *testing.T) {
	for _, c := range []struct {
		samples                 []float64
		median, least, greatest float64
	}{
		{nil, 0, 0, 0}, {[]float64{3}, 3, 3, 3}, {[]float64{9, 1, 4}, 4, 1, 9}, {[]float64{4, 1, 9, 2}, 3, 1, 9},
	} {
		m := Metric{Samples: c.samples}
		least, greatest := m.Range()
		if m.Median() != c.median || least != c.least || greatest != c.greatest {
			t.Errorf("%v: %v, %v to %v", c.samples, m.Median(), least, greatest)
		}
	}
}

func TestScales(t *testing.T) {
	for greatest, want := range map[float64]int{0: 6, 1: 6, 7: 8, 25: 6, 39: 8, 1.2e6: 7} {
		_, ticks := linear(greatest)
		if len(ticks) != want {
			t.Errorf("up to %v: %v", greatest, ticks)
		}
	}
	s, ticks := decades(3e-7, 2e-3)
	if len(ticks) != 6 || s.share(1e-7) != 0 || s.share(0) != 0 {
		t.Errorf("got %+v, %v", s, ticks)
	}
	if _, ticks := decades(1, 1); len(ticks) != 2 {
		t.Errorf("got %v", ticks)
	}
}
