package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// compactor is the goroutine that rewrites segments, one job at a time. What to
// do next is decided by package compaction; this is about when, how fast, and
// what is made of the outcome.
type compactor struct {
	s       *Store
	signal  chan struct{}
	stop    chan struct{}
	stopped chan struct{}
	halting atomic.Bool

	unit atomic.Int64 // see Store.segmentBytes

	mu     sync.Mutex
	paused int
	resume sync.Cond // with mu
	waits  []*compactRequest
	status CompactionStats

	written atomic.Int64 // bytes, by the job under way

	// Of the goroutine alone.
	pace            pace
	activity        activity
	expired         expiredScan
	retry           time.Time // not before, after a job that failed
	retryCheckpoint time.Time // likewise
	trained         bool      // a dictionary, for a young form
	orphans         []string  // files of jobs whose edit failed; see compactJob.replace
}

// tick is how often the compactor looks for work if nobody wakes it: pairs expire
// without any write.
const tick = time.Second

// retryAfter is how long it waits after a job that failed.
const retryAfter = 5 * time.Second

func (c *compactor) init(s *Store) {
	c.s = s
	c.signal = make(chan struct{}, 1)
	c.stop = make(chan struct{})
	c.stopped = make(chan struct{})
	c.resume.L = &c.mu
}

func (c *compactor) start() { go c.run() }

// wake has the goroutine look for work soon.
func (c *compactor) wake() { notify(c.signal) }

// halt stops the goroutine and waits for it. A job under way is given up: nothing
// of it counts.
func (c *compactor) halt() {
	c.mu.Lock()
	c.halting.Store(true)
	c.resume.Broadcast()
	c.mu.Unlock()
	close(c.stop)
	<-c.stopped
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.waits {
		w.end(ErrClosed)
	}
	c.waits = nil
}

func (c *compactor) run() {
	defer close(c.stopped)
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-c.signal:
		case <-timer.C:
		}
		for c.step() {
		}
		timer.Reset(tick)
	}
}

// step does one job, if there is one, and reports whether there may be more.
func (c *compactor) step() (more bool) {
	if !c.awaitResume() {
		return false
	}
	if w := c.request(); w != nil {
		w.end(w.work(c, w.ctx))
		return true
	}
	if c.s.opts.ManualCompaction || time.Now().Before(c.retry) || c.s.committer.fatal() != nil {
		return false
	}
	if err := c.sealValues(worthSealing); err != nil {
		c.retry = time.Now().Add(retryAfter)
		return false
	}
	st := c.state()
	c.s.throttle.set(compaction.Pressure(st))
	if !c.s.throttle.active() && c.tendCheckpoint(st, false) {
		return true
	}
	job, ok := compaction.Pick(st)
	if !ok {
		if st.Quiet >= quietAfter && !c.rollQuiet() {
			c.tendCheckpoint(st, true)
		}
		return false
	}
	return c.do(context.Background(), job, false) == nil
}

// awaitResume waits while compaction is paused. It returns false if the store is
// being closed.
func (c *compactor) awaitResume() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.paused > 0 && !c.halting.Load() {
		c.resume.Wait()
	}
	return !c.halting.Load()
}

// do does a job and notes what came of it.
func (c *compactor) do(ctx context.Context, job compaction.Job, full bool) error {
	c.pace.begin(job, full)
	c.begin(job)
	report, err := c.s.runJob(ctx, c, job, full)
	c.end(job, report, err)
	if err == nil || errors.Is(err, errHalted) || ctx.Err() != nil {
		return err
	}
	if err == errNotReady {
		c.retry = time.Now().Add(tick)
		return err
	}
	c.retry = time.Now().Add(retryAfter)
	err = c.s.syncFailed(c.s.diskError(err))
	c.s.log.Error("compaction failed", "dir", c.s.dir, "reason", string(job.Reason), "error", err)
	return err
}

// worthSealing is the share of garbage from which on a value segment takes no more
// values, so that compaction can take it.
const worthSealing = 0.5

// sealLeast is how large a value segment has to be for that.
const sealLeast = 1 << 20

// sealValues ends value segments of which at least such a share is garbage, as far
// as the pairs in them tell.
func (c *compactor) sealValues(share float64) error {
	for _, sg := range c.s.segs.all() {
		end := sg.end.Load()
		if sg.kind != segment.Value || end < sealLeast || c.s.isSealed(sg) {
			continue
		}
		puts, live := sg.counts.puts.count().Bytes, sg.counts.live().Bytes
		if float64(puts-live) < share*float64(puts) || puts == 0 {
			continue
		}
		if _, err := c.s.sealValues(sg); err != nil {
			return c.s.syncFailed(c.s.diskError(err))
		}
	}
	return nil
}

// quietRoll is the least that a log segment holds to be ended when nobody writes,
// so that it can be packed.
const quietRoll = 1 << 20

// quietAfter is for how many seconds nobody has written when the store is quiet.
const quietAfter = 2

// rollQuiet ends the active log segment when nothing has been written for a while:
// what it holds is then packed like the rest. It returns false if there is too
// little in it.
func (c *compactor) rollQuiet() bool {
	if c.s.logBytes() < quietRoll {
		return false
	}
	if _, err := c.s.committer.rollNow(); err != nil {
		c.retry = time.Now().Add(retryAfter)
		c.s.log.Error("the log cannot go on in a new segment", "dir", c.s.dir, "error", err)
	}
	return true // sealing wakes us
}

// logBytes returns how many bytes the log holds that have no footer.
func (s *Store) logBytes() int64 {
	s.committer.mu.Lock()
	defer s.committer.mu.Unlock()
	return s.committer.log.end.Load()
}

// segmentBytes is the size at which the log goes on in a new segment.
func (s *Store) segmentBytes() int64 {
	if n := s.opts.SegmentBytes; n != 0 {
		return n
	}
	return max(s.compactor.unit.Load(), compaction.Unit(0))
}

// state describes the store to the policy.
func (c *compactor) state() *compaction.State {
	s := c.s
	now := s.clock.now()
	st := &compaction.State{
		Now: now, Target: s.opts.SpaceTarget, Quiet: c.activity.quiet(s), Free: -1,
	}
	if free, err := s.fs.Free(s.dir); err == nil {
		st.Free = free
	}
	expired := c.expired.bySlot(s, now)
	total := int64(0)
	for _, sg := range s.segs.all() {
		live := sg.counts.live().Bytes - expired[sg.slot].Bytes
		if !s.rewritable(sg) {
			disk := s.allocated(sg)
			st.Fixed += disk
			st.FixedLive += max(live, 0)
			total += disk
			continue
		}
		d := s.describe(sg, max(live, 0))
		total += d.Disk
		st.Segments = append(st.Segments, d)
	}
	st.Fixed += manifestSpace
	c.unit.Store(compaction.Unit(total))
	s.ballast.reserve(total, st.Free)
	return st
}

// rewritable reports whether a segment is one that compaction may take: sealed.
func (s *Store) rewritable(sg *seg) bool {
	if sg.kind != segment.Value {
		return sg.sealed.Load() != nil
	}
	s.state.Lock()
	defer s.state.Unlock()
	info := s.manifest.state.segments[sg.id]
	return info != nil && info.state == stateSealed
}

// allocated returns the bytes that a segment takes on disk.
func (s *Store) allocated(sg *seg) int64 {
	if part := sg.sealed.Load(); part != nil {
		return part.disk
	}
	info, err := s.fs.Stat(s.path(sg.name()))
	if err != nil {
		return sg.end.Load()
	}
	return info.Allocated
}

func (s *Store) describe(sg *seg, live int64) compaction.Segment {
	d := compaction.Segment{
		ID: sg.id, Form: sg.form(), Disk: s.allocated(sg),
		Puts: sg.counts.puts.count().Bytes, Live: live,
		Tombstones: sg.counts.tombstones.Load(), Kept: sg.kept,
	}
	if part := sg.sealed.Load(); part != nil {
		totals := part.footer.Totals()
		d.Pointers, d.Expires, d.Newest = totals.Pointers, totals.Expires, totals.MaxTime
	}
	return d
}

// form returns how a sealed segment holds its records.
func (sg *seg) form() compaction.Form {
	switch {
	case sg.kind == segment.Log:
		return compaction.Log
	case sg.kind == segment.Value:
		return compaction.Values
	case sg.sealed.Load().young:
		return compaction.Young
	}
	return compaction.Settled
}

// newSealedPart describes a segment that has a footer: nothing writes to it any
// more.
func (s *Store) newSealedPart(sg *seg, size int64, footer *segment.Footer) *sealedPart {
	part := &sealedPart{size: size, disk: size, footer: footer, young: sg.kind == segment.Packed && footer.Totals().FrameRecords > 1}
	if info, err := s.fs.Stat(s.path(sg.name())); err == nil {
		part.disk = info.Allocated
	}
	if sg.kind == segment.Packed {
		sg.file.MapReads(size) // records are read one by one
	}
	return part
}

// activity tells for how long nothing has been written.
type activity struct {
	records int64
	since   time.Time
}

func (a *activity) quiet(s *Store) float64 {
	n, now := s.committer.metrics.records.Load(), time.Now()
	if n != a.records {
		a.records, a.since = n, now
	}
	return now.Sub(a.since).Seconds()
}

// expiredScan knows what has expired in each segment. Finding out means to go
// through the index, so it is done again only when enough has expired since.
type expiredScan struct {
	known  map[uint16]Count
	totals index.Totals
	at     int64 // changes of the segment table when it was done
}

// expiredStep is how many bytes have to expire for another scan, at least: and a
// hundredth of what there is.
const expiredStep = 256 << 10

func (x *expiredScan) bySlot(s *Store, now int64) map[uint16]Count {
	totals := s.index.Totals(now)
	more := totals.ExpiredBytes - x.totals.ExpiredBytes
	if totals.ExpiredKeys == 0 {
		x.known = nil
	} else if x.known == nil || max(more, -more) > max(expiredStep, totals.Bytes/100) || x.at != s.segs.changes.Load() {
		x.at = s.segs.changes.Load()
		x.known, x.totals = s.expiredBySlot(), totals
	}
	return x.known
}
