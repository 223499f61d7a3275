package peers

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

var (
	keys       = flag.Int("keys", 1_000_000, "pairs in a store")
	memoryKeys = flag.Int("memorykeys", 0, "pairs in the stores of BenchmarkMemory; 0: as many as -keys")
)

// scratch is where stores are that outlive a benchmark.
var scratch string

func TestMain(m *testing.M) {
	if childWanted() {
		os.Exit(childMain())
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	var err error
	if scratch, err = os.MkdirTemp("", "peers"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return m.Run()
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
	out, err := exec.Command(self, "-test.run=^$", "-test.bench=.", "-test.benchtime=3x", "-keys=5000").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// eachEngine runs a benchmark for one engine after the other.
func eachEngine(b *testing.B, run func(b *testing.B, e Engine)) {
	for _, e := range Engines {
		b.Run("engine="+e.Name, func(b *testing.B) { run(b, e) })
	}
}

func reportLatencies(b *testing.B, l *Latencies) {
	b.ReportMetric(float64(l.Quantile(0.50)), "p50-ns")
	b.ReportMetric(float64(l.Quantile(0.99)), "p99-ns")
}

// operations is how many have been measured. Their numbers go on from run to run,
// so that none finds in a cache what a shorter run of the same left there.
var operations int

// measure times b.N operations by so many goroutines.
func measure(b *testing.B, goroutines int, op func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	cpu := CPUTime()
	latencies, err := Drive(goroutines, b.N, func(i int) error { return op(operations + i) })
	cpu = CPUTime() - cpu
	b.StopTimer()
	operations += b.N
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
	reportLatencies(b, latencies)
}
