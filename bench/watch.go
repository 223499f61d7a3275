package bench

import (
	"sync/atomic"
	"time"

	"github.com/firnkv/firn/bench/machine"
	"github.com/firnkv/firn/bench/report"
)

// watchEvery is how often the disk use is looked at.
const watchEvery = 50 * time.Millisecond

// Watcher looks at the disk use of a store again and again, and at how many
// operations have been done.
type Watcher struct {
	// Done is counted up by whoever is watched.
	Done atomic.Int64

	dir     string
	start   time.Time
	stop    chan struct{}
	stopped chan struct{}
	moments []report.Moment
}

// Watch begins to watch the store in dir. [Watcher.Stop] has to be called.
func Watch(dir string) *Watcher {
	w := &Watcher{dir: dir, start: time.Now(), stop: make(chan struct{}), stopped: make(chan struct{})}
	go w.run()
	return w
}

func (w *Watcher) run() {
	defer close(w.stopped)
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		w.look()
		select {
		case <-w.stop:
			w.look()
			return
		case <-ticker.C:
		}
	}
}

func (w *Watcher) look() {
	n, err := machine.DiskUsage(w.dir)
	if err != nil {
		return // whoever uses the store will notice
	}
	w.moments = append(w.moments, report.Moment{Seconds: time.Since(w.start).Seconds(), Ops: w.Done.Load(), DiskBytes: n})
}

// Elapsed returns for how long it has been watching.
func (w *Watcher) Elapsed() time.Duration { return time.Since(w.start) }

// Stop ends the watching and returns what was seen, from first to last.
func (w *Watcher) Stop() Timeline {
	close(w.stop)
	<-w.stopped
	return w.moments
}

// Timeline is what a [Watcher] has seen.
type Timeline []report.Moment

// Peak returns the most bytes that were in use until a time.
func (t Timeline) Peak(until time.Duration) int64 {
	peak := int64(0)
	for _, m := range t {
		if m.Seconds <= until.Seconds() {
			peak = max(peak, m.DiskBytes)
		}
	}
	return peak
}

// Last returns the bytes that were in use in the end.
func (t Timeline) Last() int64 {
	if len(t) == 0 {
		return 0
	}
	return t[len(t)-1].DiskBytes
}

// Below returns how long after since the disk use had come down to n for good. If
// it did not, that is the rest of the time.
func (t Timeline) Below(n int64, since time.Duration) time.Duration {
	i := len(t)
	for i > 0 && t[i-1].DiskBytes <= n {
		i--
	}
	if len(t) == 0 {
		return 0
	}
	at := t[min(i, len(t)-1)].Seconds
	return max(time.Duration(at*float64(time.Second))-since, 0)
}

// timelinePoints is about how many moments of a timeline a report gets.
const timelinePoints = 400

// thinned returns the timeline with fewer moments. The last stays.
func (t Timeline) thinned() []report.Moment {
	step := len(t)/timelinePoints + 1
	var kept []report.Moment
	for i := (len(t) - 1) % step; i >= 0 && i < len(t); i += step {
		kept = append(kept, t[i])
	}
	return kept
}
