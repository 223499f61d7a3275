package bench

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/bench/machine"
	"github.com/firnkv/firn/bench/report"
)

// tiny is the least that shows that everything works.
func tiny(t *testing.T) Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Engines:   []Engine{Firn},
		Workloads: Workloads(2),
		Data:      dataset.Spec{Kind: dataset.JSON, Keys: 500},
		Rounds:    2,
		Round:     2 * time.Millisecond,
		Limit:     time.Minute,
		Dir:       t.TempDir(),
		Child:     []string{self, childArg},
	}
}

func TestRun(t *testing.T) {
	for _, spec := range []dataset.Spec{
		{Kind: dataset.JSON, Keys: 500},
		{Kind: dataset.Random, Keys: 500},
		{Kind: dataset.Pairs, File: "../cmd/firn/examples/movies.ndjson", Keys: 500},
	} {
		t.Run(spec.Kind, func(t *testing.T) {
			t.Parallel()
			c := tiny(t)
			c.Data = spec
			if spec.Kind != dataset.JSON {
				c.Rounds = 1
			}
			r, err := Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			checkReport(t, &c, r)
			checkGoals(t, r)
			if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
				t.Errorf("%v: left %v", err, left)
			}
		})
	}
}

func checkReport(t *testing.T, c *Config, r *report.Report) {
	t.Helper()
	if len(r.Results) != len(c.Workloads)*len(c.Engines) || len(r.Workloads) != len(c.Workloads) || len(r.DiskSyncs.Samples) == 0 {
		t.Errorf("%d results of %d workloads, %d samples of the disk", len(r.Results), len(r.Workloads), len(r.DiskSyncs.Samples))
	}
	for i, res := range r.Results {
		w := c.Workloads[i/len(c.Engines)]
		if res.Workload != w.Name || res.Engine == "" {
			t.Errorf("result %d is that of %q with %q", i, res.Workload, res.Engine)
		}
		if res.Skipped != "" {
			if machine.ResidentBytes() != 0 {
				t.Errorf("%s was skipped: %s", res.Workload, res.Skipped)
			}
			continue
		}
		if len(res.Metrics) == 0 {
			t.Errorf("%s has no metrics", res.Workload)
		}
		for _, m := range res.Metrics {
			if len(m.Samples) != c.roundsOf(&w) {
				t.Errorf("%s: %s has %d samples", res.Workload, m.Name, len(m.Samples))
			}
		}
		if rate := res.Metric("throughput"); rate != nil && (rate.Median() <= 0 || len(res.Latency) == 0) {
			t.Errorf("%s: throughput %v, latencies %v", res.Workload, rate.Samples, res.Latency)
		}
		if wantTimeline := strings.HasPrefix(w.Name, "churn") || strings.HasPrefix(w.Name, "expire"); wantTimeline != (len(res.Timeline) > 0) {
			t.Errorf("%s has a timeline of %d moments", res.Workload, len(res.Timeline))
		}
	}
}

// All goals are about workloads and metrics that there are, but for those that are
// compared with engines of another module.
func checkGoals(t *testing.T, r *report.Report) {
	t.Helper()
	for _, g := range r.Goals() {
		compared := strings.ContainsAny(g.Asked, "×") && !strings.Contains(g.Asked, "disk syncs") && !strings.Contains(g.Asked, "zstd")
		unknown := g.Workload == "memory" && machine.ResidentBytes() == 0
		if (g.Attained == report.NotMeasured) != (compared || unknown) {
			t.Errorf("got %+v", g)
		}
	}
}

// failing is a store whose puts fail.
type failing struct{ Store }

func (failing) Put(string, []byte) error { return errors.New("out of order") }

// What fails with one engine is in the report, and the rest is measured.
func TestFailure(t *testing.T) {
	c := tiny(t)
	broken := Firn
	broken.Name = "broken"
	broken.Open = func(dir string, o Options) (Store, error) {
		s, err := Firn.Open(dir, o)
		return failing{s}, err
	}
	c.Engines = append(c.Engines, broken)
	c.Workloads, _ = Select(c.Workloads, "^(put/durable/writers=1$|expire)")
	r, err := Run(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "put/durable/writers=1 with broken: out of order") {
		t.Fatalf("got %v", err)
	}
	if res := r.Result("put/durable/writers=1", "broken"); res.Failed == "" || len(res.Metrics) > 0 {
		t.Errorf("got %+v", res)
	}
	if res := r.Result("put/durable/writers=1", "firn"); res.Failed != "" || len(res.Metrics) == 0 {
		t.Errorf("got %+v", res)
	}
	if res := r.Result("expire/threads=2", "broken"); res.Skipped == "" {
		t.Errorf("got %+v", res)
	}
}

// forgetful is a store that loses metadata.
type forgetful struct{ firn }

func (f forgetful) ListMetadata(prefix, cursor string, limit int) (n, metadata int, next string, err error) {
	n, metadata, next, err = f.firn.ListMetadata(prefix, cursor, limit)
	return n, metadata - 1, next, err
}

// A listing without some of the metadata fails, and an engine that has none is
// passed over.
func TestMetadata(t *testing.T) {
	c := tiny(t)
	wrapped := func(name string, wrap func(f firn) Store) Engine {
		e := Firn
		e.Name = name
		e.Open = func(dir string, o Options) (Store, error) {
			s, err := Firn.Open(dir, o)
			return wrap(s.(firn)), err
		}
		return e
	}
	c.Engines = append(c.Engines,
		wrapped("forgetful", func(f firn) Store { return forgetful{f} }),
		wrapped("plain", func(f firn) Store { return struct{ Store }{f} }))
	c.Workloads, _ = Select(c.Workloads, "^list/metadata")
	r, err := Run(t.Context(), c)
	if err == nil {
		t.Fatal("no error")
	}
	name := c.Workloads[0].Name
	if res := r.Result(name, "firn"); res.Failed != "" || res.Metric("keys") == nil {
		t.Errorf("got %+v", res)
	}
	if res := r.Result(name, "forgetful"); !strings.Contains(res.Failed, "bytes of metadata, should have") {
		t.Errorf("got %+v", res)
	}
	if res := r.Result(name, "plain"); res.Skipped != "keys have no metadata" {
		t.Errorf("got %+v", res)
	}
}

func TestInterrupted(t *testing.T) {
	c := tiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	steps := 0
	c.Progress = func(string) {
		if steps++; steps == 3 {
			cancel()
		}
	}
	if _, err := Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
		t.Errorf("%v: left %v", err, left)
	}
}

func TestWrongConfig(t *testing.T) {
	for name, change := range map[string]func(c *Config){
		"no engine":   func(c *Config) { c.Engines = nil },
		"no workload": func(c *Config) { c.Workloads = nil },
		"at least":    func(c *Config) { c.Rounds = 0 },
		"keys":        func(c *Config) { c.Data.Keys = 0 },
		"none/":       func(c *Config) { c.Dir = "none/none" },
	} {
		c := tiny(t)
		change(&c)
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSelect(t *testing.T) {
	all := Workloads(2)
	some, err := Select(all, "^get/(uniform|zipf)")
	if err != nil || len(some) != 4 {
		t.Errorf("%v: %d", err, len(some))
	}
	for _, pattern := range []string{"(", "nothing like that"} {
		if _, err := Select(all, pattern); err == nil {
			t.Errorf("%q: no error", pattern)
		}
	}
	seen := map[string]bool{}
	for _, w := range all {
		if seen[w.Name] || w.About == "" || w.Threads < 1 {
			t.Errorf("got %+v", w)
		}
		seen[w.Name] = true
	}
	if one := Workloads(1); len(one) >= len(all) {
		t.Errorf("%d workloads with one thread", len(one))
	}
}
