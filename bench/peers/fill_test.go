package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkFill fills a new store without syncs. One operation is a put.
func BenchmarkFill(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			eachEngine(b, func(b *testing.B, e Engine) { benchmarkFill(b, e, threads) })
		})
	}
}

func benchmarkFill(b *testing.B, e Engine, threads int) {
	d := data()
	total := d.Bytes()
	var puts int
	var filling, closing, cpu time.Duration
	var disk int64
	var latencies Latencies
	for b.Loop() {
		b.StopTimer()
		dir := filepath.Join(b.TempDir(), e.Name)
		s, err := e.Open(dir, false)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		start, used := time.Now(), CPUTime()
		l, err := fill(s, d, threads)
		if err != nil {
			b.Fatal(err)
		}
		filled := time.Now()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		closing += time.Since(filled)
		cpu += CPUTime() - used
		b.StopTimer()
		filling += filled.Sub(start)
		puts += d.Keys
		latencies.Merge(l)
		if disk, err = DiskUsage(dir); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	rate := float64(puts) / filling.Seconds()
	b.ReportMetric(filling.Seconds()*1e9/float64(puts), "ns/op")
	b.ReportMetric(rate, "puts/s")
	b.ReportMetric(rate*float64(total)/float64(d.Keys)/1e6, "MB/s")
	b.ReportMetric(float64(puts)/(filling+closing).Seconds(), "closed-puts/s")
	b.ReportMetric(float64(cpu)/float64(puts), "cpu-ns/op")
	b.ReportMetric(float64(disk)/1e6, "disk-MB")
	b.ReportMetric(float64(total)/float64(disk), "raw/disk")
	reportLatencies(b, &latencies)
}
