package engine

import (
	"time"
)

// flusher writes frames behind the backs of writers that do not wait for it.
type flusher struct {
	c       *committer
	signal  chan struct{}
	stop    chan struct{}
	stopped chan struct{}
}

// flushDelay is how long a frame that is not full waits for more records: what
// a killed process loses at most without SyncAlways.
const flushDelay = 10 * time.Millisecond

func (f *flusher) start(c *committer, every time.Duration) {
	f.c = c
	f.signal = make(chan struct{}, 1)
	f.stop = make(chan struct{})
	f.stopped = make(chan struct{})
	go f.run(every)
}

// wake has the flusher look at the queue soon.
func (f *flusher) wake() {
	select {
	case f.signal <- struct{}{}:
	default:
	}
}

func (f *flusher) run(every time.Duration) {
	defer close(f.stopped)
	var syncTick <-chan time.Time
	if every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		syncTick = ticker.C
	}
	delay := time.NewTimer(flushDelay)
	defer delay.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-f.signal:
			if f.c.flush(false) {
				delay.Reset(flushDelay)
			}
		case <-delay.C:
			if f.c.flush(true) {
				delay.Reset(flushDelay) // the disk is full: room may come
			}
		case <-syncTick:
			_ = f.c.syncAll() // the writers after it are told
		}
	}
}

// halt stops the flusher and waits for it.
func (f *flusher) halt() {
	if f.stop != nil {
		close(f.stop)
		<-f.stopped
	}
}

// flush writes the frames of the queue, without the last if that is not full
// and all is not set. It reports whether there is more to write.
func (c *committer) flush(all bool) (left bool) {
	c.disk.Lock()
	defer c.disk.Unlock()
	return c.flushLocked(all)
}

// flushAll writes everything that was acknowledged before, or returns why not.
func (c *committer) flushAll() error {
	c.flush(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stalled
}

func (c *committer) flushLocked(all bool) (left bool) {
	c.mu.Lock()
	var frames []*frame
	var last *frame
	if cur := c.cur; cur != nil && !all {
		frames = c.queue[: len(c.queue)-1 : len(c.queue)-1]
		c.queue = []*frame{cur}
		left = true
	} else {
		frames, last = c.take()
	}
	c.mu.Unlock()
	if last != nil {
		last.compress(c.comp)
	}
	if len(frames) == 0 {
		return left
	}
	n := c.writeAccepted(frames)
	if n < len(frames) && isNoSpace(frames[n].err) && c.s.ballast.give() {
		n += c.writeAccepted(frames[n:])
	}
	c.prepareNext()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finish(frames[:n])
	c.stalled = nil
	if n < len(frames) {
		// Acknowledged already, so kept until there is room.
		c.stalled = frames[n].err
		for _, f := range frames[n:] {
			f.err = nil
		}
		c.queue = append(frames[n:], c.queue...)
		left = c.failed == nil
	}
	return left
}

// syncQuietly is syncAll for the background. Most of what is to be written is so
// before it takes its turn at the disk, while writers go on.
func (c *committer) syncQuietly() error {
	if !c.async {
		return c.fatal() // what is visible is on disk
	}
	c.disk.Lock()
	sg := c.active
	sg.acquire()
	c.disk.Unlock()
	err := sg.file.SyncData()
	sg.release()
	if err != nil {
		c.disk.Lock()
		defer c.disk.Unlock()
		c.broken = c.fail(&syncError{file: sg.name(), err: err})
		return c.broken
	}
	return c.syncAll()
}

// writeAccepted writes the frames and publishes them at their place. It returns how
// many it has written. disk is held.
func (c *committer) writeAccepted(frames []*frame) int {
	from, n := c.write(frames)
	c.publishing.Lock()
	defer c.publishing.Unlock()
	c.publishAll(frames[from:n])
	return n
}

// syncAll writes and syncs everything that was acknowledged before.
func (c *committer) syncAll() error {
	c.disk.Lock()
	defer c.disk.Unlock()
	return c.syncAllLocked()
}

// syncAllLocked is syncAll for who holds disk.
func (c *committer) syncAllLocked() error {
	if c.async {
		c.flushLocked(true)
	}
	c.mu.Lock()
	err := c.stalled
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.syncLog()
}
