package peers

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/firnkv/firn/bench"
	"github.com/firnkv/firn/bench/machine"
)

const (
	// overwrites is how often each pair is overwritten, on average.
	overwrites = 10
	// afterwards is for how long a store is watched when writing has stopped.
	afterwards = 30 * time.Second
)

// BenchmarkOverwrite overwrites a filled store ten times over, from two
// goroutines and without syncs, and watches what it takes on disk, and every put.
// Nobody calls for a compaction until that is over. One operation is a put.
func BenchmarkOverwrite(b *testing.B) {
	for _, draw := range []struct {
		name string
		key  func(i int) int
	}{
		{"uniform", func(i int) int { return data().Uniform(i) }},
		{"zipf", func(i int) int { return data().Zipf(i) }},
	} {
		b.Run(draw.name, func(b *testing.B) {
			eachEngine(b, func(b *testing.B, e bench.Engine) {
				for range b.N {
					benchmarkOverwrite(b, e, draw.key)
				}
			})
		})
	}
}

func benchmarkOverwrite(b *testing.B, e bench.Engine, key func(i int) int) {
	d := data()
	d.Zipf(0) // draws all
	dir := filepath.Join(b.TempDir(), e.Name)
	s, err := e.Open(dir, bench.Options{Writers: 2})
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := bench.Fill(b.Context(), s, d, 2); err != nil {
		b.Fatal(err)
	}
	w := bench.Watch(dir)
	n := overwrites * d.Keys
	wrote := machine.BytesWritten()
	out, err := bench.Load{Threads: 2, Ops: n, Every: 1}.Drive(b.Context(), func(i int) error {
		k := key(i)
		return s.Put(d.Key(k), d.Value(k+i%7))
	})
	stopped := w.Elapsed()
	if err == nil && d.Keys >= 100_000 { // fewer are a smoke test
		time.Sleep(afterwards)
	}
	seen := w.Stop()
	if err != nil {
		b.Fatal(err)
	}
	wrote = machine.BytesWritten() - wrote
	if err := s.Settle(); err != nil {
		b.Fatal(err)
	}
	packed, err := machine.DiskUsage(dir)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(out.Elapsed.Seconds()*1e9/float64(n), "ns/op")
	b.ReportMetric(float64(n)/out.Elapsed.Seconds(), "puts/s")
	b.ReportMetric(float64(out.Latencies.Quantile(0.50)), "p50-ns")
	b.ReportMetric(float64(out.Latencies.Quantile(0.999)), "p99.9-ns")
	b.ReportMetric(float64(out.Latencies.Max()), "max-ns")
	b.ReportMetric(float64(packed)/1e6, "packed-MB")
	b.ReportMetric(float64(seen.Peak(stopped))/float64(packed), "peak/packed")
	b.ReportMetric(float64(seen.Last())/float64(packed), "after30s/packed")
	b.ReportMetric(seen.Below(int64(bench.SpaceGoal*float64(packed)), stopped).Seconds(), "s-to-1.3")
	b.ReportMetric(float64(wrote)/(float64(d.Bytes())*overwrites), "written/put")
}
