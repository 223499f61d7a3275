package engine

import (
	"runtime"

	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// publishAll makes the records of written frames visible at their place in the
// log. publishing is held.
func (c *committer) publishAll(frames []*frame) {
	for _, f := range frames {
		if c.async {
			c.settle(f)
			runtime.Gosched() // a long queue must not keep writers from their turn
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
