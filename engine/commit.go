package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/firnkv/firn/index"
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

	lastRecs int   // in the last full frame
	failed   error // why no more writes are taken, for good
	stalled  error // why the flusher cannot write at the moment
	compute  sync.WaitGroup

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
	putBytes, logBytes     atomic.Int64
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
	c.durable, c.allocated = end, sg.allocated
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
	c.mu.Lock()
	if err := c.admit(ctx); err != nil {
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

// admit reports whether a write may be enqueued, and waits for room in the
// queue. mu is held.
func (c *committer) admit(ctx context.Context) error {
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
	if c.failed != nil {
		return c.failed
	}
	return c.stalled
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
	need += need/frameRaw*64 + 4096 // headers and padding of frames
	for !c.hasRoom(need) {
		switch {
		case c.failed != nil:
			return c.failed
		case len(c.next) > 0:
			if c.cur != nil {
				c.closeCurrent()
			}
			c.log, c.next, c.ahead = c.next[0], c.next[1:], 0
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
	return size < c.s.opts.SegmentBytes && size+need <= maxLog && c.log.keys.Load().size() < keyLogBytes
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
		c.compute.Go(func() { f.compress(c.comp) })
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

// write appends the frames to the log in order, and makes them durable if the mode
// wants that. It returns which of them it leaves to the caller to publish; those
// before have been published, and those behind have the error noted. It never
// parts the frames of a commit. disk is held.
func (c *committer) write(frames []*frame) (from, to int) {
	if err := c.fatal(); err != nil {
		for _, f := range frames {
			f.err = err
		}
		return 0, 0
	}
	for to < len(frames) {
		if to > from {
			// Before the log goes on in the next segment, all records
			// of the one before have to be among its keys: sealing may
			// begin.
			c.publishing.Lock()
			c.publishAll(frames[from:to])
			c.publishing.Unlock()
			from = to
		}
		run := sameSegment(frames[to:])
		done, err := c.writeRun(run)
		if !c.async {
			if syncErr := c.syncLog(); syncErr != nil {
				done, err = 0, syncErr
			}
		}
		to += done
		if err != nil {
			err = c.s.diskError(err)
			for _, f := range frames[to:] {
				f.err = err
			}
			break
		}
	}
	return from, to
}

func sameSegment(frames []*frame) []*frame {
	n := 1
	for n < len(frames) && frames[n].seg == frames[0].seg {
		n++
	}
	return frames[:n]
}

// writeRun appends frames of one segment. It returns how many of them are in the
// file: those before an error.
func (c *committer) writeRun(frames []*frame) (n int, err error) {
	if sg := frames[0].seg; sg != c.active {
		if err := c.roll(sg); err != nil {
			return 0, err
		}
	}
	now := c.s.clock.now()
	for i, f := range frames {
		<-f.ready
		f.off = c.active.end.Load() + int64(len(c.buf))
		c.buf = segment.AppendFrame(c.buf, f.seg.salt, f.off, segment.Frame{
			Type: segment.FrameRecords, Codec: f.codec, More: f.more, Raw: len(f.raw),
			Extended: true, Incarnation: f.seg.incarnation, Durable: c.durable, Time: now, Records: len(f.recs),
		}, f.payload)
		if last := i == len(frames)-1; last || len(c.buf) >= writeSize && !f.more {
			if err := c.flushBuf(); err != nil {
				return n, err
			}
			n = i + 1
		}
	}
	return n, nil
}

// flushBuf writes the gathered frames behind the end of the log. If that fails,
// the log is cut back, so that nothing of them is found later.
func (c *committer) flushBuf() error {
	if len(c.buf) == 0 {
		return nil
	}
	buf := c.buf
	c.buf = c.buf[:0]
	if cap(buf) > 4*writeSize {
		c.buf = nil // a large batch went through
	}
	end := c.active.end.Load()
	if err := c.allocate(end + int64(len(buf))); err != nil {
		return err
	}
	if err := c.zeroAhead(end, len(buf)); err != nil {
		return err
	}
	if _, err := c.active.file.WriteAt(buf, end); err != nil {
		if cutErr := c.cutBack(end); cutErr != nil {
			c.broken = c.fail(fmt.Errorf("cut %s back after a failed write: %w", c.active.name(), cutErr))
		}
		return fmt.Errorf("write %s at %d: %w", c.active.name(), end, err)
	}
	c.dirty = true
	c.active.end.Store(end + int64(len(buf)))
	c.metrics.logBytes.Add(int64(len(buf)))
	return nil
}

func (c *committer) cutBack(end int64) error {
	if err := c.active.file.Truncate(end); err != nil {
		return err
	}
	c.allocated, c.zeroed = end, 0
	return c.active.file.SyncData()
}

const (
	minAllocation = 256 << 10
	maxAllocation = 64 << 20
)

// allocate makes sure that the log has disk space up to end, so that a commit
// does not have to touch the metadata of the file system. It asks for as much
// again as there is, and on a full disk for just what is needed.
func (c *committer) allocate(end int64) error {
	if end <= c.allocated {
		return nil
	}
	target := max(c.allocated+min(max(c.allocated, minAllocation), maxAllocation), end)
	target = min(target, max(c.s.opts.SegmentBytes+minAllocation, end))
	err := c.active.file.Preallocate(c.allocated, target-c.allocated)
	if err != nil && isNoSpace(err) {
		target = end
		err = c.active.file.Preallocate(c.allocated, target-c.allocated)
	}
	if err != nil {
		return fmt.Errorf("preallocate %s: %w", c.active.name(), err)
	}
	c.allocated = target
	return nil
}

const (
	zeroStep  = 256 << 10
	zeroAfter = 16 // syncs: a command that puts one pair does without
)

// zeroBytes is what zeroAhead writes.
var zeroBytes [zeroStep]byte

// zeroAhead writes zeros where the next commits are going to be. To ext4, space
// that was allocated but never written is metadata that each commit would have to
// change: syncing 14 KiB takes 200 µs there, and 115 µs over zeros, with 400 µs
// for every 256 KiB of them.
func (c *committer) zeroAhead(end int64, n int) error {
	if c.async || n > zeroStep/4 || end+int64(n) <= c.zeroed || c.metrics.syncs.Load() < zeroAfter {
		return nil
	}
	from := max(end, c.zeroed)
	to := min(from+zeroStep, c.allocated)
	if _, err := c.active.file.WriteAt(zeroBytes[:to-from], from); err != nil {
		return fmt.Errorf("write %s at %d: %w", c.active.name(), from, err)
	}
	c.dirty = true
	c.zeroed = to
	return nil
}

// syncLog makes the log durable, and the large values that it points to before
// it. If that fails, the store is read-only from then on: what the disk has is
// not known. disk is held.
func (c *committer) syncLog() error {
	if c.broken != nil || !c.dirty {
		return c.broken
	}
	if err := c.s.values.sync(); err != nil {
		c.broken = c.fail(err)
		return c.broken
	}
	end := c.active.end.Load()
	if err := c.active.file.SyncData(); err != nil {
		c.broken = c.fail(&syncError{file: c.active.name(), err: err})
		return c.broken
	}
	c.metrics.syncs.Add(1)
	c.durable, c.dirty = end, false
	return nil
}

// roll goes on in the next log segment. The one before is on disk, in every
// mode, before the next takes a frame: so a scan after a crash has to doubt only
// the last.
func (c *committer) roll(next *seg) error {
	if err := c.syncLog(); err != nil {
		return err
	}
	c.awaitPublished()
	old := c.active
	if err := c.s.freeze(old, old.end.Load()); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.failIfSync(err)
	}
	c.active, c.durable = next, segment.HeaderSize
	c.allocated, c.zeroed = next.allocated, 0
	return nil
}

// publishAll makes the records of written frames visible at their place in the
// log. publishing is held.
func (c *committer) publishAll(frames []*frame) {
	for _, f := range frames {
		if c.async {
			c.settle(f)
		} else {
			c.publish(f)
		}
	}
}

// awaitPublished returns when the groups written so far are visible.
func (c *committer) awaitPublished() {
	c.publishing.Lock()
	defer c.publishing.Unlock()
}

func (c *committer) publish(f *frame) {
	c.eachRecord(f, func(i int, fr *frameRecord, rec *segment.Record) {
		loc := fr.at
		if loc == 0 {
			loc = index.MakeLocation(f.seg.slot, uint32(f.off/8), uint8(i))
		}
		fr.hot = c.s.apply(fr, loc, f.seg)
		c.s.remember(f.seg, loc, fr, rec)
	})
	f.written()
	c.recycle(f)
}

// eachRecord decodes the records of a frame and adds them to the keys of the
// log segment.
func (c *committer) eachRecord(f *frame, each func(i int, fr *frameRecord, rec *segment.Record)) {
	keys := f.seg.keys.Load()
	var rec segment.Record
	for i := range f.recs {
		fr := &f.recs[i]
		segment.DecodeRecord(f.raw[fr.start:], &rec)
		keys.add(&rec, f.off, i)
		c.metrics.putBytes.Add(fr.size)
		each(i, fr, &rec)
	}
}

// maxFree is how many frames are kept for another use.
const maxFree = 8

func (c *committer) recycle(f *frame) {
	// Larger frames are rare, and the writers of this one still look at err.
	if cap(f.raw) != frameRaw || f.err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.free) < maxFree {
		c.free = append(c.free, &frame{raw: f.raw, mem: f.mem, recs: f.recs})
	}
}

// publishPending makes the last record of f visible before it is written. mu is
// held.
func (c *committer) publishPending(f *frame) {
	i := len(f.recs) - 1
	fr := &f.recs[i]
	loc := fr.at
	if loc == 0 {
		loc = pendingLocation(f, i)
	}
	fr.hot = c.s.apply(fr, loc, f.seg)
}

// settle moves the entries of a frame that has been written to its place in the
// log.
func (c *committer) settle(f *frame) {
	c.eachRecord(f, func(i int, fr *frameRecord, rec *segment.Record) {
		if fr.at != 0 || fr.tombstone {
			return
		}
		loc := index.MakeLocation(f.seg.slot, uint32(f.off/8), uint8(i))
		if c.s.index.Move(fr.hash, pendingLocation(f, i), loc) {
			c.s.remember(f.seg, loc, fr, rec)
		}
	})
	f.written()
	c.pendingMu.Lock()
	delete(c.pending, f.id)
	c.pendingMu.Unlock()
}

// lookup returns the frame that a pending location names, or nil if it has been
// written meanwhile.
func (c *committer) lookup(loc index.Location) *frame {
	c.pendingMu.RLock()
	defer c.pendingMu.RUnlock()
	return c.pending[loc.Unit()&^pendingUnit]
}

// prepareNext has the next log segment made before it is needed.
func (c *committer) prepareNext() {
	c.mu.Lock()
	wanted := len(c.next) == 0 && c.failed == nil && c.log.end.Load() > c.s.opts.SegmentBytes/2
	c.mu.Unlock()
	if wanted {
		c.s.background.wake()
	}
}

// offer hands a new log segment to the committer, which refuses it if it has one.
func (c *committer) offer(make func() (*seg, error)) error {
	c.mu.Lock()
	wanted := len(c.next) == 0 && c.failed == nil && c.log.end.Load() > c.s.opts.SegmentBytes/2
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
