package engine

import (
	"fmt"
	"time"

	"github.com/firnkv/firn/segment"
)

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
	c.writeOut(end + int64(len(buf)))
	c.active.end.Store(end + int64(len(buf)))
	c.active.spare.Store(c.allocated - end - int64(len(buf)))
	c.metrics.logBytes.Add(int64(len(buf)))
	return nil
}

// writeOutStep is how much of the log is written before the system is asked to send
// it to the disk, if nobody waits for a sync: with 16 MiB to send, the sync at a
// roll takes 20 ms, and for as long Go may leave a goroutine that is ready without a
// processor; see giveWay.
const writeOutStep = 1 << 20

func (c *committer) writeOut(end int64) {
	if n := end - c.sentOut; c.async && n >= writeOutStep {
		c.active.file.WriteOut(c.sentOut, n)
		c.sentOut = end
	}
}

func (c *committer) cutBack(end int64) error {
	if err := c.active.file.Truncate(end); err != nil {
		return err
	}
	c.allocated, c.zeroed, c.sentOut = end, 0, min(c.sentOut, end)
	c.active.spare.Store(0)
	return c.active.file.SyncData()
}

const (
	minAllocation = 64 << 10
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
	target = min(target, max(c.s.segmentBytes()+minAllocation, end))
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
	begun := time.Now()
	if err := c.s.values.sync(); err != nil {
		c.broken = c.fail(err)
		return c.broken
	}
	end := c.active.end.Load()
	if err := c.active.file.SyncData(); err != nil {
		c.broken = c.fail(&syncError{file: c.active.name(), err: err})
		return c.broken
	}
	c.metrics.synced(time.Since(begun))
	c.durable, c.dirty = end, false
	return nil
}

// rollNow ends the active log segment, if it holds anything, so that it can be
// sealed and packed. It reports whether it did: if frames for it are waiting, it
// has the log go on in the next one, and who writes them comes to that.
func (c *committer) rollNow() (bool, error) {
	c.disk.Lock()
	defer c.disk.Unlock()
	if c.async {
		c.flushLocked(true)
	}
	c.mu.Lock()
	err := c.advance(func() bool { return c.log == c.active && c.active.end.Load() > segment.HeaderSize })
	next, waiting := c.log, len(c.queue) > 0
	help := c.help
	c.help = nil
	c.mu.Unlock()
	if help != nil {
		help.compress(c.comp)
	}
	if err != nil || waiting || next == c.active {
		return false, err
	}
	return true, c.s.diskError(c.roll(next))
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
	c.active, c.durable, c.sentOut = next, segment.HeaderSize, segment.HeaderSize
	c.allocated, c.zeroed = next.allocated, 0
	return nil
}
