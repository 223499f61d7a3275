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
	for len(frames) > 0 {
		part := frames[:portion(frames)]
		n := c.writeAccepted(part)
		if n < len(part) && isNoSpace(part[n].err) && c.s.ballast.give() {
			n += c.writeAccepted(part[n:])
		}
		c.prepareNext()
		frames = frames[n:]
		if c.written(part[:n], frames, n == len(part)) {
			return true
		}
		if n < len(part) {
			return left
		}
	}
	return left
}

// portionFrames is about how many frames are written before those who wait for
// room are told.
const portionFrames = 64

// portion returns how many of the frames are to be written first. It does not part
// the frames of a commit.
func portion(frames []*frame) int {
	n := min(portionFrames, len(frames))
	for n < len(frames) && frames[n-1].more {
		n++
	}
	return n
}

// written accounts for frames that have been written, and puts those that are left
// back if all is not set: they were acknowledged already, so they are kept until
// there is room. Then it reports whether to try again.
func (c *committer) written(done, left []*frame, all bool) (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finish(done)
	c.stalled = nil
	if all {
		return false
	}
	c.stalled = left[0].err
	for _, f := range left {
		f.err = nil
	}
	c.queue = append(left, c.queue...)
	return c.failed == nil
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
