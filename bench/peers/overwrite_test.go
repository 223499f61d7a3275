package peers

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// overwrites is how often each pair is overwritten, on average.
	overwrites = 10
	// sampleDisk is how often the disk use is looked at.
	sampleDisk = 50 * time.Millisecond
	// afterwards is for how long a store is watched when writing has stopped.
	afterwards = 30 * time.Second
	// spaceGoal is the disk use to come down to, as a multiple of what a store
	// takes that has been compacted by hand.
	spaceGoal = 1.3
)

// BenchmarkOverwrite overwrites a filled store ten times over, from two
// goroutines and without syncs, and watches what it takes on disk, and every put.
// Nobody calls for a compaction until that is over. One operation is a put.
func BenchmarkOverwrite(b *testing.B) {
	for _, draw := range []struct {
		name string
		key  func(i int) int
	}{
		{"uniform", func(i int) int { return int(mix(uint64(i)) % uint64(data().Keys)) }},
		{"zipf", zipfKey},
	} {
		b.Run(draw.name, func(b *testing.B) {
			eachEngine(b, func(b *testing.B, e Engine) {
				for range b.N {
					benchmarkOverwrite(b, e, draw.key)
				}
			})
		})
	}
}

func benchmarkOverwrite(b *testing.B, e Engine, key func(i int) int) {
	d := data()
	zipfKeys()
	dir := filepath.Join(b.TempDir(), e.Name)
	s, err := e.Open(dir, false)
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if _, err := fill(s, d, 2); err != nil {
		b.Fatal(err)
	}
	w := watch(dir)
	n := overwrites * d.Keys
	wrote := BytesWritten()
	start := time.Now()
	latencies, slowest, err := driveAll(2, n, func(i int) error { k := key(i); return s.Put(d.Key(k), d.Value(k+i%7)) })
	if err != nil {
		b.Fatal(err)
	}
	elapsed := time.Since(start)
	peak := w.peak.Load()
	stopped := time.Now()
	wait := afterwards
	if d.Keys < 100_000 {
		wait = time.Second // a smoke test
	}
	time.Sleep(wait)
	w.stop()
	wrote = BytesWritten() - wrote
	after := w.last.Load()
	if err := s.Settle(); err != nil {
		b.Fatal(err)
	}
	packed, err := DiskUsage(dir)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(elapsed.Seconds()*1e9/float64(n), "ns/op")
	b.ReportMetric(float64(n)/elapsed.Seconds(), "puts/s")
	b.ReportMetric(float64(latencies.Quantile(0.50)), "p50-ns")
	b.ReportMetric(float64(latencies.Quantile(0.999)), "p99.9-ns")
	b.ReportMetric(float64(slowest), "max-ns")
	b.ReportMetric(float64(packed)/1e6, "packed-MB")
	b.ReportMetric(float64(peak)/float64(packed), "peak/packed")
	b.ReportMetric(float64(after)/float64(packed), "after30s/packed")
	b.ReportMetric(w.below(int64(spaceGoal*float64(packed)), stopped).Seconds(), "s-to-1.3")
	b.ReportMetric(float64(wrote)/(float64(d.Bytes())*overwrites), "written/put")
}

// watcher looks at the disk use of a directory again and again.
type watcher struct {
	dir     string
	done    chan struct{}
	stopped chan struct{}
	peak    atomic.Int64
	last    atomic.Int64
	times   []time.Time
	sizes   []int64
}

func watch(dir string) *watcher {
	w := &watcher{dir: dir, done: make(chan struct{}), stopped: make(chan struct{})}
	go w.run()
	return w
}

func (w *watcher) run() {
	defer close(w.stopped)
	ticker := time.NewTicker(sampleDisk)
	defer ticker.Stop()
	for {
		select {
		case <-w.done:
			return
		case now := <-ticker.C:
			n, err := DiskUsage(w.dir)
			if err != nil {
				continue // a file has gone while it was being looked at
			}
			w.times, w.sizes = append(w.times, now), append(w.sizes, n)
			w.last.Store(n)
			w.peak.Store(max(w.peak.Load(), n))
		}
	}
}

func (w *watcher) stop() {
	close(w.done)
	<-w.stopped
}

// below returns how long after since the disk use was below n for good; the whole
// time if it was not.
func (w *watcher) below(n int64, since time.Time) time.Duration {
	i := len(w.sizes)
	for i > 0 && w.sizes[i-1] <= n {
		i--
	}
	switch {
	case len(w.times) == 0:
		return 0
	case i == len(w.sizes):
		return w.times[i-1].Sub(since)
	}
	return max(w.times[i].Sub(since), 0)
}

// driveAll is Drive with every operation timed. It also returns the longest.
func driveAll(goroutines, n int, op func(i int) error) (*Latencies, time.Duration, error) {
	all := make([]Latencies, goroutines)
	slowest := make([]time.Duration, goroutines)
	_, err := Drive(goroutines, goroutines, func(g int) error {
		last := time.Now()
		for i := g; i < n; i += goroutines {
			if err := op(i); err != nil {
				return err
			}
			now := time.Now()
			all[g].Add(now.Sub(last))
			slowest[g] = max(slowest[g], now.Sub(last))
			last = now
		}
		return nil
	})
	for g := 1; g < goroutines; g++ {
		all[0].Merge(&all[g])
		slowest[0] = max(slowest[0], slowest[g])
	}
	return &all[0], slowest[0], err
}
