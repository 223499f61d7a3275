package engine

import (
	"runtime"
	"time"

	"github.com/firnkv/firn/compaction"
)

// pace keeps compaction behind the foreground: it gives its turn to others after
// each quantum of work, and unless space is short, it rests as long as it worked
// while others are at work.
type pace struct {
	urgent  bool
	full    bool // somebody waits for it
	quantum time.Time
	burst   time.Time // when the last rest ended
	checked time.Time
	ops     int64 // of the foreground, when last looked at
	busy    bool
	moving  bool // what is live counts in two places, or not yet in any
}

const (
	// quantum is how long it works at a time: what a goroutine that is ready to
	// run waits for at most, as Go itself preempts after 10 ms.
	quantum = 50 * time.Microsecond
	// burst is how long it works before it rests.
	burst = 2 * time.Millisecond
	// checkEvery is how often it looks at what the foreground does.
	checkEvery = 20 * time.Millisecond
)

func (p *pace) begin(job compaction.Job, full bool) {
	now := time.Now()
	*p = pace{urgent: job.Reason == compaction.Space || job.Reason == compaction.Dead, full: full, quantum: now, burst: now, ops: -1}
}

// yield is called between pieces of work. It returns errHalted when the store is
// being closed.
func (c *compactor) yield() error {
	p := &c.pace
	now := time.Now()
	if now.Sub(p.quantum) < quantum {
		return nil
	}
	runtime.Gosched()
	if c.halting.Load() {
		return errHalted
	}
	if now.Sub(p.checked) >= checkEvery {
		p.checked = now
		if err := c.look(); err != nil {
			return err
		}
	}
	if !p.urgent && !p.full && p.busy && now.Sub(p.burst) >= burst {
		if !c.rest(now.Sub(p.burst)) {
			return errHalted
		}
		p.burst = time.Now()
	}
	p.quantum = time.Now()
	return nil
}

// look finds out what the foreground does, and how short space is.
func (c *compactor) look() error {
	s, p := c.s, &c.pace
	ops := s.committer.metrics.records.Load()
	if s.cache != nil {
		st := s.cache.Stats()
		ops += int64(st.Hits + st.Misses)
	}
	p.busy = p.ops >= 0 && ops != p.ops
	p.ops = ops
	if !s.opts.ManualCompaction && !p.full && !p.moving {
		s.throttle.set(compaction.Pressure(c.state()))
	}
	c.mu.Lock()
	paused := c.paused > 0
	c.mu.Unlock()
	if paused && !c.awaitResume() {
		return errHalted
	}
	return nil
}

// rest waits. It returns false if the store is being closed.
func (c *compactor) rest(d time.Duration) bool {
	timer := time.NewTimer(min(d, 4*burst))
	defer timer.Stop()
	select {
	case <-c.stop:
		return false
	case <-timer.C:
		return true
	}
}
