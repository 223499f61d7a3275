package engine

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/firnkv/firn/segment"
)

// background seals log and value segments, and makes the next log segment ahead of
// need. These are two goroutines: sealing takes its time, and writers cannot wait
// for it.
type background struct {
	s       *Store
	seals   chan struct{} // there may be something to seal
	makes   chan struct{} // a log segment may be wanted
	stop    chan struct{}
	stopped sync.WaitGroup
	halting atomic.Bool
	sealing sync.Mutex // held by who seals
}

var errHalted = errors.New("the store is being closed")

func (b *background) start(s *Store) {
	b.s = s
	b.seals = make(chan struct{}, 1)
	b.makes = make(chan struct{}, 1)
	b.stop = make(chan struct{})
	b.stopped.Go(func() {
		b.run(b.seals, func() error {
			b.s.ballast.tend()
			return b.sealNow()
		})
	})
	b.stopped.Go(func() {
		b.run(b.makes, func() error { return s.syncFailed(s.diskError(s.committer.offer(s.createLog))) })
	})
	b.wake()
	b.wakeMaker()
}

// wake has it look for something to seal soon.
func (b *background) wake() { notify(b.seals) }

// wakeMaker has it look soon whether a log segment is wanted.
func (b *background) wakeMaker() { notify(b.makes) }

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// halt stops the goroutines and waits for them.
func (b *background) halt() {
	b.halting.Store(true)
	close(b.stop)
	b.stopped.Wait()
}

func (b *background) run(signal chan struct{}, work func() error) {
	for {
		select {
		case <-b.stop:
			return
		case <-signal:
		}
		if err := work(); err != nil && !errors.Is(err, errHalted) {
			// It is not urgent: writers go on, and the next roll or the
			// next open tries again.
			b.s.log.Error("background work failed", "dir", b.s.dir, "error", err)
		}
	}
}

// sealNow seals what takes no more frames or values.
func (b *background) sealNow() error {
	b.sealing.Lock()
	defer b.sealing.Unlock()
	s := b.s
	if err := s.sealRetired(); err != nil {
		return s.syncFailed(s.diskError(err))
	}
	for _, sg := range s.segs.all() {
		s.state.Lock()
		info := s.manifest.state.segments[sg.id]
		frozen := info != nil && info.state == stateFrozen
		s.state.Unlock()
		if !frozen || sg.kind != segment.Log {
			continue
		}
		if s.ballast.missing() {
			// The footer would take the room that deletes need. Nor are
			// those behind it sealed before it: compaction drops
			// tombstones that hide nothing in a sealed segment.
			return nil
		}
		if err := s.seal(sg, info.end); err != nil {
			return s.syncFailed(s.diskError(fmt.Errorf("seal %s: %w", sg.name(), err)))
		}
	}
	return nil
}

// syncFailed makes the store read-only if err is a failed sync.
func (s *Store) syncFailed(err error) error {
	s.committer.mu.Lock()
	defer s.committer.mu.Unlock()
	return s.committer.failIfSync(err)
}

// seal writes the footer of a frozen log segment behind its frames, which are on
// disk. A crash on the way leaves it frozen, and the next open seals it again.
// Only when the footer is on disk does the manifest say so, and only then are
// the keys in memory given up.
func (s *Store) seal(sg *seg, end int64) error {
	keys := sg.keys.Load()
	if err := keys.ensure(); err != nil {
		return err
	}
	most := keys.size() // a footer takes less than what it is made of
	s.committer.promise(most)
	defer s.committer.promise(-most)
	w := segment.NewFrameWriter(sg.file, sg.salt, end, s.committer.comp)
	size, err := s.writeFooter(w, keys, end)
	if isNoSpace(err) {
		_ = sg.file.Truncate(end) // others need the room
	}
	if err != nil {
		return err
	}
	if err := sg.file.Truncate(size); err != nil {
		return err
	}
	if err := sg.file.Sync(); err != nil {
		return &syncError{file: sg.name(), err: err}
	}
	footer, err := sg.reader.ReadFooter(size)
	if err != nil {
		return inFile(sg.name(), err)
	}
	s.state.Lock()
	defer s.state.Unlock()
	if err := s.commitEdit(edit(nil).seal(sg.id, size)); err != nil {
		return err
	}
	sg.sealed.Store(s.newSealedPart(sg, size, footer))
	sg.keys.Store(nil)
	s.compactor.wake()
	return nil
}

func (s *Store) writeFooter(w *segment.FrameWriter, keys *keyLog, end int64) (int64, error) {
	totals := segment.Totals{DataEnd: end, MinSeq: ^uint64(0), MaxTime: s.clock.now()}
	it := keys.merged()
	for n := 0; it.Next(); n++ {
		giveWay(n)
		totals.MinSeq = min(totals.MinSeq, it.Entry().Seq)
	}
	fw := segment.NewFooterWriter(w, totals.MinSeq)
	it.rewind()
	for n := 0; it.Next() && !s.background.halting.Load(); n++ {
		giveWay(n)
		e := it.Entry()
		totals.Count(e)
		if !it.newest() {
			continue
		}
		if it.more() {
			e.Deletes = it.supersede(&totals)
		}
		if err := fw.Add(e); err != nil {
			return 0, err
		}
	}
	if s.background.halting.Load() {
		return 0, errHalted
	}
	return fw.Finish(totals)
}

// giveWay lets others run now and then: Go itself makes them wait for 10 ms. It is
// called with the number of a step that takes about a microsecond.
func giveWay(step int) {
	if step%64 == 63 {
		runtime.Gosched()
	}
}

// rewind goes back before the first entry.
func (it *keyIterator) rewind() { it.next = 0 }

// newest reports whether the current entry is the newest of its key.
func (it *keyIterator) newest() bool {
	return it.next < 2 || !bytes.Equal(refKey(it.blocks, it.run[it.next-2]), it.entry.Key)
}

// more reports whether there are older versions of the current key.
func (it *keyIterator) more() bool {
	return it.next < len(it.run) && bytes.Equal(refKey(it.blocks, it.run[it.next]), it.entry.Key)
}

// supersede counts the versions of the current key that are older than the
// current one, and reports whether the oldest of all is a tombstone. The iterator
// does not move.
func (it *keyIterator) supersede(totals *segment.Totals) (deletes bool) {
	older := *it
	deletes = it.entry.Tombstone
	for older.Next() && bytes.Equal(older.entry.Key, it.entry.Key) {
		if !older.entry.Tombstone {
			group := supersededGroup(totals, &older.entry)
			if deletes {
				group.DeletedCount++
				group.DeletedBytes += older.entry.Size()
			} else {
				group.OverwrittenCount++
				group.OverwrittenBytes += older.entry.Size()
			}
		}
		deletes = older.entry.Tombstone
	}
	return deletes
}

// supersededGroup returns the group of the segment that holds the entry's value.
func supersededGroup(totals *segment.Totals, e *segment.Entry) *segment.Superseded {
	var id uint64
	if e.HasPointer {
		id = e.Pointer.Segment
	}
	for i := range totals.Superseded {
		if totals.Superseded[i].Segment == id {
			return &totals.Superseded[i]
		}
	}
	totals.Superseded = append(totals.Superseded, segment.Superseded{Segment: id})
	return &totals.Superseded[len(totals.Superseded)-1]
}
