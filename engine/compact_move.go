package engine

import (
	"bytes"

	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// moveTries is how often move goes on after a read that failed.
const moveTries = 3

// move brings the index from the victims to the segments that replace them. It
// goes through both in the order of the keys, so it needs no memory for what was
// moved where. A key that was written or deleted since its record was copied is
// not where it was, and stays as it is.
//
// The manifest says already what belongs to the store, so this has to be brought
// to its end: after an error it goes on behind the last key.
func (j *compactJob) move(added []*seg) (err error) {
	var key []byte
	for range moveTries {
		if key, err = j.moveFrom(key, added); err == nil {
			return nil
		}
	}
	return err
}

// moveFrom moves the keys behind key, from the first on if that is nil, and
// returns the last one that it has moved.
func (j *compactJob) moveFrom(key []byte, added []*seg) ([]byte, error) {
	from, err := entriesOf(j.segs)
	if err != nil {
		return key, err
	}
	to, err := entriesOf(added)
	if err != nil {
		return key, err
	}
	var start []byte
	if key != nil {
		start = append(bytes.Clone(key), 0)
	}
	old, now := newMerger(from, start), newMerger(to, start)
	found := now.Next()
	for old.Next() {
		e := old.Entry()
		if key != nil && bytes.Equal(e.Key, key) {
			continue
		}
		if err := now.err(); err != nil {
			return key, err // it may lack the entry of this key
		}
		if found && bytes.Equal(now.Entry().Key, e.Key) {
			j.moveEntry(old.seg(), e, now.seg(), now.Entry())
			found = now.Next()
		} else {
			j.forget(old.seg(), e)
		}
		key = append(key[:0], e.Key...)
		j.yieldMove()
	}
	if err := old.err(); err != nil {
		return key, err
	}
	return key, now.err()
}

// entriesOf returns what segments hold, without metadata.
func entriesOf(segs []*seg) ([]*source, error) {
	var all []*source
	for _, sg := range segs {
		sources, err := sg.sources(false)
		if err != nil {
			return nil, err
		}
		all = append(all, sources...)
	}
	return all, nil
}

// yieldMove is Yield for what has to be brought to its end.
func (j *compactJob) yieldMove() { _ = j.Yield() }

// moveEntry moves the newest version of a key among the victims, which was written
// to home.
func (j *compactJob) moveEntry(was *seg, e *segment.Entry, home *seg, moved *segment.Entry) {
	s := j.s
	if moved.Tombstone {
		home.counts.tombstones.Add(1)
		j.forget(was, e)
		return
	}
	from, _, err := s.locate(was, e)
	if err != nil {
		return
	}
	to := index.MakeLocation(home.slot, uint32(moved.Offset/8), uint8(moved.Ordinal))
	if moved.HasPointer {
		if to, home = s.location(moved.Pointer); to == from {
			return
		}
	}
	hash := s.hasher.Sum(string(e.Key))
	home.counts.puts.add(e.Size())
	if s.index.Move(hash, from, to) {
		s.cache.Move(cacheID(j.home(was, e), from), cacheID(home, to))
		return
	}
	if _, ok := s.index.Get(hash); ok {
		home.counts.overwritten.add(e.Size())
	} else {
		home.counts.deleted.add(e.Size())
	}
}

// home returns the segment that holds the value of an entry.
func (j *compactJob) home(was *seg, e *segment.Entry) *seg {
	if e.HasPointer {
		return j.s.segs.find(e.Pointer.Segment)
	}
	return was
}

// forget takes a version that was dropped out of the index, if it is still there:
// then it has expired.
func (j *compactJob) forget(was *seg, e *segment.Entry) {
	if e.Tombstone || e.Expiration == 0 || e.Expiration > j.now {
		return
	}
	loc, home, err := j.s.locate(was, e)
	if err != nil {
		return
	}
	if _, ok := j.s.index.DeleteAt(j.s.hasher.Sum(string(e.Key)), loc); ok && home != was {
		home.counts.expired.add(e.Size())
	}
}
