package engine

import (
	"context"
	"errors"
	"fmt"
)

// commit is that of the committer. On a full disk it gives the ballast up for
// writes that only delete.
//
// Before that, all writes under way come to their end, and no puts are admitted
// any more: they would take the room.
func (s *Store) commit(ctx context.Context, writes []write) error {
	if hasPuts(writes) {
		if err := s.ballast.admitPut(); err != nil {
			return err
		}
		return s.committer.commit(ctx, writes)
	}
	err := s.committer.commit(ctx, writes)
	if !errors.Is(err, ErrNoSpace) || !s.ballast.refusePuts() {
		return err
	}
	s.values.settle()
	s.committer.settleQueue()
	if s.ballast.give() && s.committer.async {
		_ = s.committer.flushAll() // the commit gets the error
	}
	return s.committer.commit(ctx, writes)
}

func hasPuts(writes []write) bool {
	for i := range writes {
		if !writes[i].rec.Tombstone {
			return true
		}
	}
	return false
}

// commitEdit commits an edit of the manifest that makes room or is needed to close
// the store. On a full disk it gives the ballast up. The state lock is held.
func (s *Store) commitEdit(e edit) error {
	err := s.manifest.commit(e)
	if isNoSpace(err) && s.ballast.give() {
		err = s.manifest.commit(e)
	}
	return err
}

// settleQueue returns when what was queued before has been written, or has failed.
func (c *committer) settleQueue() {
	if c.async {
		c.flush(true)
		return
	}
	c.mu.Lock()
	g := c.group
	c.mu.Unlock()
	if g != nil {
		<-g.done
	}
	c.disk.Lock() // the group before it
	defer c.disk.Unlock()
}

// creditStep is how many bytes are accepted into memory until the free space of
// the disk is looked at again, which takes a microsecond or two.
const creditStep = 4 << 20

// errNoCredit refuses puts.
var errNoCredit = fmt.Errorf("%w: puts that wait in memory need what is left", ErrNoSpace)

// spend takes n bytes of disk for a put that is accepted before it is written, or
// returns why it cannot be: what is accepted should not have to wait in memory
// until the user makes room, with all deletes behind it. Others may use the disk
// too, so this does not rule it out. mu is held.
func (c *committer) spend(n int64) error {
	if c.credit < n {
		c.credit = c.available(max(n, creditStep))
	}
	if c.credit < n {
		return errNoCredit
	}
	c.credit -= n
	return nil
}

// promise has spend leave n bytes of disk to the background, which is about to
// take them; or a negative n no longer.
func (c *committer) promise(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.promised += n
	c.credit = 0
}

// available returns how much of limit the disk has room for beside the frames
// that wait. mu is held.
func (c *committer) available(limit int64) int64 {
	// Before the disk is asked: what is set aside for the log in between
	// must not count twice.
	waiting := c.queued + c.promised - max(0, min(c.log.spare.Load(), c.s.segmentBytes()-c.log.end.Load()))
	if c.cur != nil {
		waiting += int64(len(c.cur.raw))
	}
	free, err := c.s.fs.Free(c.s.dir)
	if err != nil {
		return limit // writing tells
	}
	return min(free, limit+waiting) - waiting
}

// admitChunk is for a part of a large value that is about to be written.
func (c *committer) admitChunk(n int64) error {
	if c.s.ballast.missing() {
		return errBallast
	}
	if !c.async {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spend(n)
}
