package engine

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/firnkv/firn/compaction"
)

// CompactionStats say what compaction does and has done since the store was
// opened.
type CompactionStats struct {
	// Running is why segments are being rewritten right now: dead, space,
	// pack, settle, merge or, for Compact, full. Empty: nothing is.
	Running      string
	RunningBytes int64    // that have been written for it so far
	Victims      []uint64 // ids of the segments that are being rewritten
	Paused       bool
	Delayed      bool // writers are slowed down, for compaction to keep up

	Jobs       map[string]int64 // that were done, by reason
	Made       map[string]int64 // MadeBytes by reason
	ReadBytes  int64            // of segments that were rewritten
	MadeBytes  int64            // that the new segments take on disk
	FreedBytes int64            // that the old ones took
	Removed    int64            // segments

	Kept       int64 // puts that were written again
	Dropped    int64 // puts that were overwritten, deleted or expired
	Tombstones int64 // that were dropped: what they hid is gone

	LastError string // of the last job, if it failed
}

// Compact rewrites until everything is packed and nothing that is dead takes
// space, and returns then, or when ctx ends. It uses all processors, and does not
// rest. What is written meanwhile may stay as it is.
//
// Nobody has to call it: compaction runs by itself, at a pace that others do not
// feel, unless [Options.ManualCompaction] is set.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.committer.check(); err != nil {
		return err
	}
	return s.compactor.serve(ctx, (*compactor).full)
}

// CompactionStats returns what [Store.Stats] says about compaction, at hardly any
// cost.
func (s *Store) CompactionStats() CompactionStats { return s.compactor.stats() }

// PauseCompaction has compaction do nothing until the returned function is called.
// A job under way pauses too. Meanwhile garbage stays, but is counted. Pauses add
// up.
func (s *Store) PauseCompaction() (resume func()) {
	c := &s.compactor
	c.mu.Lock()
	c.paused++
	c.mu.Unlock()
	once := false
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !once {
			once = true
			c.paused--
			c.resume.Broadcast()
			c.wake()
		}
	}
}

// compactRequest is work for the goroutine that somebody waits for.
type compactRequest struct {
	ctx  context.Context
	work func(*compactor, context.Context) error
	done chan error
}

func (w *compactRequest) end(err error) { w.done <- err }

// serve has the goroutine do work, and returns when that is done or ctx ends.
func (c *compactor) serve(ctx context.Context, work func(*compactor, context.Context) error) error {
	w := &compactRequest{ctx: ctx, work: work, done: make(chan error, 1)}
	if err := c.enqueue(w); err != nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *compactor) enqueue(w *compactRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.halting.Load() {
		return ErrClosed
	}
	c.waits = append(c.waits, w)
	c.wake()
	return nil
}

// request returns the next one that waits, or nil.
func (c *compactor) request() *compactRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waits) == 0 {
		return nil
	}
	w := c.waits[0]
	c.waits = c.waits[1:]
	return w
}

// full does what Compact asks for.
func (c *compactor) full(ctx context.Context) error {
	err := c.packLog()
	until := c.nextID()
	for tries := 0; err == nil; {
		if err = ctx.Err(); err != nil {
			break
		}
		job, ok := compaction.PickAll(c.stateBefore(until))
		if !ok {
			break
		}
		err = c.do(ctx, job, true)
		if err == nil {
			tries = 0
		} else if err == errNotReady && tries < fullTries {
			tries++
			err = c.packLog()
		}
	}
	if errors.Is(err, errHalted) {
		err = ErrClosed
	}
	return err
}

// nextID returns the id of the segment that comes next.
func (c *compactor) nextID() uint64 {
	c.s.state.Lock()
	defer c.s.state.Unlock()
	return c.s.manifest.state.nextID
}

// stateBefore describes the segments that are older than an id, so that a full
// compaction ends though others write. Of what jobs have written since, it has
// only what may have become superfluous: that becomes less with each job.
func (c *compactor) stateBefore(until uint64) *compaction.State {
	st := c.state()
	st.Segments = slices.DeleteFunc(st.Segments, func(s compaction.Segment) bool {
		written := s.Form == compaction.Young || s.Form == compaction.Settled
		return s.ID >= until && (!written || s.Kept || s.Tombstones+s.Pointers == 0)
	})
	return st
}

// fullTries is how often a full compaction tries to move values that are being
// written to.
const fullTries = 3

// packLog ends the active log segment, and value segments with garbage, and has
// everything before sealed.
func (c *compactor) packLog() error {
	if err := c.sealValues(0.01); err != nil {
		return err
	}
	if _, err := c.s.committer.rollNow(); err != nil {
		return c.s.syncFailed(err)
	}
	return c.s.background.sealNow()
}

// begin and end keep the status.
func (c *compactor) begin(job compaction.Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written.Store(0)
	c.status.Running = string(job.Reason)
	c.status.Victims = job.Victims
}

func (c *compactor) end(job compaction.Job, r jobReport, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := &c.status
	st.Running, st.Victims, st.LastError = "", nil, ""
	if err == errNotReady {
		return
	}
	if err != nil {
		st.LastError = err.Error()
		return
	}
	if st.Jobs == nil {
		st.Jobs, st.Made = map[string]int64{}, map[string]int64{}
	}
	st.Jobs[string(job.Reason)]++
	st.Made[string(job.Reason)] += r.made
	st.ReadBytes += r.read
	st.MadeBytes += r.made
	st.FreedBytes += r.freed
	st.Removed += r.removed
	st.Kept += r.Kept
	st.Dropped += r.puts - r.Kept
	st.Tombstones += max(r.deletes-r.Needed, 0) // expired records may have become tombstones
}

// stats returns a copy of the status.
func (c *compactor) stats() CompactionStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.status
	st.Paused = c.paused > 0
	st.Delayed = c.s.throttle.active()
	st.Jobs, st.Made = maps.Clone(st.Jobs), maps.Clone(st.Made)
	if st.Running != "" {
		st.RunningBytes = c.written.Load()
	}
	return st
}
