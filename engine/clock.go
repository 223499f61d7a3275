package engine

import (
	"sync/atomic"
	"time"
)

// clock gives the time in Unix seconds, and never an earlier one than before.
type clock struct {
	source func() time.Time
	last   atomic.Int64
}

func (c *clock) now() int64 {
	t := c.source().Unix()
	for {
		last := c.last.Load()
		if t <= last {
			return last
		}
		if c.last.CompareAndSwap(last, t) {
			return t
		}
	}
}
