package peers

import (
	"flag"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/firnkv/firn/bench"
	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/bench/machine"
	"github.com/firnkv/firn/bench/report"
)

// TestWorkloads runs every workload on every engine, tiny.
func TestWorkloads(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := bench.Config{
		Engines:   Engines,
		Workloads: bench.Workloads(2),
		Data:      dataset.Spec{Kind: dataset.JSON, Keys: 500},
		Rounds:    1,
		Round:     time.Millisecond,
		Limit:     time.Minute,
		Dir:       t.TempDir(),
		Child:     []string{self, childArg},
		Progress:  func(step string) { t.Log(step) },
	}
	r, err := bench.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	// These need what not all engines have.
	can := map[string][]string{
		"expire/threads=2":        {"firn", "badger"},
		"list/metadata/page=1000": {"firn"},
	}
	for _, res := range r.Results {
		names, some := can[res.Workload]
		wantSkipped := some && !slices.Contains(names, res.Engine) ||
			res.Workload == "memory" && machine.ResidentBytes() == 0
		if (res.Skipped != "") != wantSkipped || (len(res.Metrics) == 0) != wantSkipped {
			t.Errorf("%s with %s: %q, %d metrics", res.Workload, res.Engine, res.Skipped, len(res.Metrics))
		}
	}
	for _, g := range r.Goals() {
		if g.Attained == report.NotMeasured && machine.ResidentBytes() != 0 {
			t.Errorf("got %+v", g)
		}
	}
	for _, e := range r.Engines {
		if e.Version == "" || e.Configuration == "" {
			t.Errorf("got %+v", e)
		}
	}
	if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
		t.Errorf("%v: left %v", err, left)
	}
}

// TestBenchmarks runs every benchmark on small stores.
func TestBenchmarks(t *testing.T) {
	if flag.Lookup("test.bench").Value.String() != "" {
		t.Skip("they are about to run")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(self, "-test.run=^$", "-test.bench=.", "-test.benchtime=1x", "-keys=2000").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
