package engine

import (
	"math"
	"runtime"
	"sync/atomic"
	"time"
)

// throttle delays writers when compaction falls behind. The delay grows smoothly
// with the space that garbage takes, from nothing to what slows all writers
// together to throttledBytes a second. No write waits longer than maxDelay.
//
// A writer that has to wait for less than a millisecond gives its turn to others
// until then: timers are not that precise, and compaction needs the processor.
type throttle struct {
	perByte atomic.Int64 // nanoseconds
	next    atomic.Int64 // when the next byte may be written, in nanoseconds since start
	start   time.Time
}

const (
	throttledBytes = 2 << 20
	maxDelay       = 10 * time.Millisecond
	// minDelay is the least that is worth waiting for.
	minDelay = 20 * time.Microsecond
)

// set sets how hard writers are slowed down, from 0 to 1.
func (t *throttle) set(pressure float64) {
	t.perByte.Store(int64(math.Pow(pressure, 3) * float64(time.Second) / throttledBytes))
}

// active reports whether writers are slowed down.
func (t *throttle) active() bool { return t.perByte.Load() > 0 }

func (t *throttle) wait(writes []write) {
	perByte := t.perByte.Load()
	if perByte == 0 {
		return
	}
	var n int64
	for i := range writes {
		n += int64(len(writes[i].rec.Key) + len(writes[i].rec.Metadata) + len(writes[i].rec.Value))
	}
	now := int64(time.Since(t.start))
	until := t.take(now, n*perByte)
	for left := time.Duration(until - now); left > minDelay; left = time.Duration(until - int64(time.Since(t.start))) {
		if left >= time.Millisecond {
			time.Sleep(left - time.Millisecond/2)
		} else {
			runtime.Gosched()
		}
	}
}

// take reserves a stretch of time behind those that others have, and returns its
// end.
func (t *throttle) take(now, length int64) int64 {
	for {
		next := t.next.Load()
		// What was saved up while nobody wrote does not count.
		until := min(max(next, now-int64(minDelay))+length, now+int64(maxDelay))
		if t.next.CompareAndSwap(next, until) {
			return until
		}
	}
}
