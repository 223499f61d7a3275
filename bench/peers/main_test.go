package peers

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/firnkv/firn/bench"
	"github.com/firnkv/firn/bench/machine"
)

var (
	keys    = flag.Int("keys", 1_000_000, "pairs in the stores of benchmarks")
	engines = flag.String("engines", "firn,pebble", "`names` of the engines of benchmarks")
)

// scratch is where stores are that outlive a benchmark.
var scratch string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		os.Exit(childMain())
	}
	flag.Parse()
	os.Exit(run(m))
}

// childArg makes this program a child of itself.
const childArg = "bench-child"

func childMain() int {
	if err := bench.Child(context.Background(), Engines, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
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

// eachEngine runs a benchmark for one engine after the other.
func eachEngine(b *testing.B, run func(b *testing.B, e bench.Engine)) {
	for name := range strings.SplitSeq(*engines, ",") {
		for _, e := range Engines {
			if e.Name == name {
				b.Run("engine="+e.Name, func(b *testing.B) { run(b, e) })
			}
		}
	}
}

// operations is how many have been measured. Their numbers go on from run to run,
// so that none finds in a cache what a shorter run of the same left there.
var operations int

// measure times b.N operations by so many goroutines.
func measure(b *testing.B, threads int, op func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	l := bench.Load{Threads: threads, First: operations, Ops: b.N, Every: bench.SampleEvery}
	cpu := machine.CPUTime()
	b.ResetTimer()
	out, err := l.Drive(b.Context(), op)
	b.StopTimer()
	cpu = machine.CPUTime() - cpu
	operations += b.N
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(out.Latencies.Quantile(0.50)), "p50-ns")
	b.ReportMetric(float64(out.Latencies.Quantile(0.99)), "p99-ns")
}
