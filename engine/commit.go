package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firnkv/firn/segment"
)

// committer takes writes to the log. The order in which its lock admits them is
// the order of their sequence numbers, of their records in the log, and of their
// becoming visible.
//
// With SyncAlways, writers put their records into frames and queue; the first
// of a group leads it: it waits for its turn at the disk, takes what has
// gathered meanwhile, writes it, syncs it, publishes it to the index and wakes
// the group. So one group gathers, and its full frames are compressed, while the
// one before it syncs.
//
// Otherwise, a record is published as soon as it stands in a frame, and reads
// are served from there; a flusher writes the frames behind the writers' backs.
type committer struct {
	s     *Store
	comp  *segment.Compressor
	async bool

	mu      sync.Mutex
	room    sync.Cond // with mu: frames have been written, or the store failed
	seq     uint64    // last one given out
	log     *seg      // where new frames go
	next    []*seg    // where the log goes on, by id, as far as made ahead
	making  bool      // the background is making next
	cur     *frame    // being filled; the last of queue, or nil
	queue   []*frame  // not yet taken by who writes
	group   *group    // of the writers of the queue, with SyncAlways
	writers int       // of that group
	before  int       // writers of the group before it
	leaders int       // of groups that are not done
	queued  int64     // bytes of closed frames not yet written
	ahead   int64     // those of them that go to log
	help    *frame    // closed, but nobody compresses it yet
	frameID uint32

	credit   int64 // bytes of disk for puts that are accepted before they are written
	promised int64 // bytes of disk that the background is about to take

	lastRecs int   // in the last full frame
	failed   error // why no more writes are taken, for good
	stalled  error // why the flusher cannot write at the moment
	compute  sync.WaitGroup

	// Closed frames wait for one of as many compressors as there are
	// processors. A goroutine for each would have a writer whose turn is over
	// wait for hundreds of them.
	raw         []*frame
	compressors int

	// publishing is held by who makes a written group visible. It is taken
	// before disk is given up, so that groups become visible in the order of
	// the log while the next one is already being written.
	publishing sync.Mutex

	// disk is held by who writes to the log.
	disk      sync.Mutex
	active    *seg  // the log segment that is written to
	allocated int64 // active has disk space up to here
	zeroed    int64 // and zeros were written up to here
	durable   int64 // active is on disk up to here
	sentOut   int64 // and the system was asked to write it up to here
	dirty     bool  // there is more in the file than on disk
	broken    error // a sync failed: what is on disk is not known
	buf       []byte
	free      []*frame // for another use, with SyncAlways; guarded by mu

	pendingMu sync.RWMutex
	pending   map[uint32]*frame // published, but not yet written

	flusher flusher
	metrics commitMetrics
}

type commitMetrics struct {
	groups, syncs, records atomic.Int64
	putBytes               atomic.Int64
	logBytes, valueBytes   atomic.Int64 // written to segments of the log, and of values
	syncTime, longestSync  atomic.Int64 // nanoseconds
}

// synced counts a sync of the log. Nobody else does so at the same time.
func (m *commitMetrics) synced(took time.Duration) {
	m.syncs.Add(1)
	m.syncTime.Add(int64(took))
	m.longestSync.Store(max(m.longestSync.Load(), int64(took)))
}

func (c *committer) init(s *Store, comp *segment.Compressor) {
	c.s, c.comp = s, comp
	c.async = s.opts.Sync.every != 0
	c.room.L = &c.mu
	c.pending = map[uint32]*frame{}
}

// begin makes sg the log segment that takes frames, from end on. Everything
// before it is on disk.
func (c *committer) begin(sg *seg, end int64) {
	sg.end.Store(end)
	c.log, c.active = sg, sg
	c.durable, c.sentOut, c.allocated = end, end, sg.allocated
	sg.spare.Store(c.allocated - end)
}

// check returns why no writes are taken, or nil.
func (c *committer) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// fatal returns the error that made the store read-only, or nil. Those who wait
// for their turn get it too.
func (c *committer) fatal() error {
	if err := c.check(); !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}

// settled returns the last sequence number given out, and whether all writes up
// to it are in the log and visible.
func (c *committer) settled() (seq uint64, all bool) {
	c.disk.Lock()
	defer c.disk.Unlock()
	if c.async {
		c.flushLocked(true)
	}
	c.awaitPublished()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seq, len(c.queue) == 0
}

func (c *committer) lastSeq() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seq
}

// drain takes no more writes, completes those under way and makes everything
// durable. It returns why that failed, or nil.
func (c *committer) drain() error {
	c.flusher.halt()
	c.mu.Lock()
	failed := c.failed
	if failed == nil {
		c.failed = ErrClosed
	}
	c.room.Broadcast()
	for c.leaders > 0 {
		c.room.Wait()
	}
	c.mu.Unlock()
	err := failed
	if err == nil {
		err = c.syncAll()
	}
	c.compute.Wait()
	return err
}

// group is the writers that share a sync.
type group struct {
	led  bool
	done chan struct{}
}

const (
	// maxQueued bounds the memory for frames that wait to be written.
	maxQueued = 16 << 20

	// writeSize is how many bytes of frames are written at once.
	writeSize = 1 << 20

	// maxGather is how often a leader looks for more writers.
	maxGather = 8

	// maxLog is the size that no log segment exceeds; see pendingUnit.
	maxLog = pendingUnit * 8
)

// commit puts the writes into the log, all or none, and returns when they are
// visible and as durable as the mode says. If ctx ends before, it returns the
// error of ctx, and it is not known whether they will be.
func (c *committer) commit(ctx context.Context, writes []write) error {
	c.s.throttle.wait(writes)
	c.mu.Lock()
	if err := c.admit(ctx, writes); err != nil {
		c.mu.Unlock()
		return err
	}
	frameID := c.frameID
	last, err := c.enqueue(writes)
	help := c.help
	c.help = nil
	if err != nil || c.async {
		begun := c.frameID != frameID
		c.mu.Unlock()
		if help != nil {
			help.compress(c.comp)
		}
		if begun {
			c.flusher.wake()
			// Go lets a goroutine run for 10 to 20 ms before another that
			// is ready gets its turn: the other writers would wait that long.
			runtime.Gosched()
		}
		return err
	}
	g := c.group
	c.writers++
	lead := !g.led
	if lead {
		g.led = true
		c.leaders++
	}
	c.mu.Unlock()
	if help != nil {
		help.compress(c.comp)
	}
	if lead {
		c.lead(g)
		return last.err
	}
	select {
	case <-g.done:
		return last.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// admit reports whether the writes may be enqueued, and waits for room in the
// queue. mu is held.
func (c *committer) admit(ctx context.Context, writes []write) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.failed == nil && c.stalled != nil {
		c.flusher.wake()
		return c.stalled
	}
	for c.async && c.queued > maxQueued && c.failed == nil && c.stalled == nil {
		c.room.Wait()
	}
	switch {
	case c.failed != nil:
		return c.failed
	case c.stalled != nil:
		return c.stalled
	case c.s.ballast.missing() && hasPuts(writes):
		return errBallast
	}
	return nil
}

// enqueue adds the writes to the frames of the queue and returns the last
// frame. mu is held.
func (c *committer) enqueue(writes []write) (*frame, error) {
	if err := c.reserve(writes); err != nil {
		return nil, err
	}
	if c.group == nil && !c.async {
		c.group = &group{done: make(chan struct{})}
	}
	for i := range writes {
		w := &writes[i]
		c.seq++
		w.rec.Seq = c.seq
		need := w.rec.MaxEncoded()
		if c.cur == nil || !c.cur.fits(need) {
			if c.cur != nil {
				c.cur.more = i > 0
				c.closeCurrent()
			}
			c.cur = c.newFrame(need)
			c.queue = append(c.queue, c.cur)
		}
		c.cur.add(w)
		if c.async {
			c.publishPending(c.cur)
		}
	}
	c.metrics.records.Add(int64(len(writes)))
	return c.cur, nil
}

// reserve makes sure that the log segment has room for the writes, which have
// to be in one: a scan after a crash looks for the end of a commit only there.
//
// While the background makes the next segment, it is waited for: the log has to
// go through its segments in the order of their ids.
func (c *committer) reserve(writes []write) error {
	var need int64
	for i := range writes {
		need += int64(writes[i].rec.MaxEncoded())
	}
	if c.async && hasPuts(writes) {
		if err := c.spend(need); err != nil {
			return err
		}
	}
	need += need/frameRaw*64 + 4096 // headers and padding of frames
	if c.hasRoom(need) {
		return nil
	}
	return c.advance(func() bool { return !c.hasRoom(need) })
}

// advance makes the log go on in the next segment, unless that is not wanted any
// more by the time there is one. mu is held, and given up for a while.
func (c *committer) advance(wanted func() bool) error {
	for wanted() {
		switch {
		case c.failed != nil:
			return c.failed
		case len(c.next) > 0:
			if c.cur != nil {
				c.closeCurrent()
			}
			c.log, c.next, c.ahead = c.next[0], c.next[1:], 0
			c.credit = 0 // what was set aside for the one before may stay unused
			return nil
		case c.making:
			c.room.Wait()
			if c.failed != nil {
				return c.failed // also if there is room by now: Close does not wait for us
			}
		default:
			next, err := c.s.createLog()
			if err != nil {
				return c.failIfSync(c.s.diskError(err))
			}
			c.next = append(c.next, next)
		}
	}
	return nil
}

func (c *committer) hasRoom(need int64) bool {
	size := c.log.end.Load() + c.ahead
	if c.cur != nil {
		size += int64(len(c.cur.raw))
	}
	return size < c.s.segmentBytes() && size+need <= maxLog && c.log.keys.Load().size() < keyLogBytes
}

func (c *committer) newFrame(need int) *frame {
	if n := len(c.free); n > 0 && need <= cap(c.free[n-1].raw) {
		f := c.free[n-1]
		c.free = c.free[:n-1]
		f.reuse(c.log)
		return f
	}
	c.frameID++
	f := newFrame(c.log, c.frameID, need, c.lastRecs)
	if c.async {
		c.pendingMu.Lock()
		c.pending[f.id] = f
		c.pendingMu.Unlock()
	}
	return f
}

// closeCurrent ends the frame that is being filled and has it compressed. If the
// queue is long, the writer has to do it, so that writers slow down as the queue
// grows. mu is held.
func (c *committer) closeCurrent() {
	f := c.cur
	c.cur = nil
	c.lastRecs = len(f.recs)
	c.queued += int64(len(f.raw))
	c.ahead += int64(len(f.raw))
	if c.queued > maxQueued/2 {
		f, c.help = c.help, f
	}
	if f != nil {
		c.raw = append(c.raw, f)
		if c.compressors < runtime.GOMAXPROCS(0) {
			c.compressors++
			c.compute.Go(c.compressAll)
		}
	}
}

// compressAll compresses frames until none is left.
func (c *committer) compressAll() {
	for {
		c.mu.Lock()
		if len(c.raw) == 0 {
			c.compressors--
			c.mu.Unlock()
			return
		}
		f := c.raw[0]
		c.raw = slices.Delete(c.raw, 0, 1)
		c.mu.Unlock()
		f.compress(c.comp)
		runtime.Gosched()
	}
}

// take returns the queue and ends the current frame, which the caller has to
// compress. mu is held.
func (c *committer) take() (frames []*frame, last *frame) {
	if last = c.cur; last != nil {
		c.cur = nil
		c.queued += int64(len(last.raw))
		c.ahead += int64(len(last.raw))
	}
	frames = c.queue
	c.queue = nil
	c.group = nil
	return frames, last
}

// lead writes the frames of the group and everybody's before it.
func (c *committer) lead(g *group) {
	c.disk.Lock()
	c.gather()
	c.mu.Lock()
	writers := c.writers
	c.before, c.writers = writers, 0
	frames, last := c.take()
	c.mu.Unlock()
	switch {
	case last == nil:
	case writers > 1:
		last.store() // compressing 14 KiB takes about as long as syncing it
	default:
		last.compress(c.comp)
	}
	from, to := c.write(frames)
	c.metrics.groups.Add(1)
	c.publishing.Lock()
	c.disk.Unlock()
	c.publishAll(frames[from:to])
	c.publishing.Unlock()
	close(g.done)
	c.prepareNext()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finish(frames)
	c.leaders--
}

// gather lets the writers of the group before, who were just woken, join this
// one: otherwise two halves of the writers take turns, and each sync serves only
// one of them. It stops when nobody comes any more.
func (c *committer) gather() {
	seen := -1
	for range maxGather {
		c.mu.Lock()
		writers, before := c.writers, c.before
		c.mu.Unlock()
		if writers == seen || before <= 1 {
			return
		}
		seen = writers
		runtime.Gosched()
	}
}

// finish accounts for frames that are no longer queued. mu is held.
func (c *committer) finish(frames []*frame) {
	for _, f := range frames {
		c.queued -= int64(len(f.raw))
		if f.seg == c.log {
			c.ahead -= int64(len(f.raw))
		}
	}
	c.room.Broadcast()
}

// prepareNext has the next log segment made before it is needed.
func (c *committer) prepareNext() {
	c.mu.Lock()
	wanted := c.wantsNext()
	c.mu.Unlock()
	if wanted {
		c.s.background.wakeMaker()
	}
}

// wantsNext reports whether a log segment is to be made. That takes four syncs, of
// some milliseconds each beside other work, and a quarter of the smallest segment is
// filled in 25 ms. mu is held.
func (c *committer) wantsNext() bool {
	return len(c.next) == 0 && c.failed == nil && c.log.end.Load()+c.ahead > c.s.segmentBytes()/4
}

// offer hands a new log segment to the committer, which refuses it if it has one.
func (c *committer) offer(make func() (*seg, error)) error {
	c.mu.Lock()
	wanted := c.wantsNext()
	c.making = wanted
	c.mu.Unlock()
	if !wanted {
		return nil
	}
	sg, err := make()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.making = false
	c.room.Broadcast()
	if err != nil {
		return err
	}
	c.next = append(c.next, sg)
	return nil
}

// fail makes the store read-only for good and returns the error that writers get
// from now on.
func (c *committer) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failLocked(err)
}

func (c *committer) failLocked(err error) error {
	if c.failed == nil || c.failed == ErrClosed {
		c.failed = fmt.Errorf("%w after an error: %w", ErrReadOnly, err)
		c.s.log.Error("store turned read-only; open it again to recover", "dir", c.s.dir, "error", err)
		c.room.Broadcast()
	}
	return c.failed
}

// failIfSync is failLocked for failed syncs, and gives other errors back.
func (c *committer) failIfSync(err error) error {
	var sync *syncError
	if errors.As(err, &sync) {
		return c.failLocked(err)
	}
	return err
}
