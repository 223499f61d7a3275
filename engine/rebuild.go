package engine

import (
	"bytes"
	"fmt"

	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// mergeAll builds the index without a checkpoint: from the footers, and the keys
// of the log segments that have none.
func (s *Store) mergeAll() error {
	var all []*source
	for _, sg := range s.segs.all() {
		sources, err := sg.sources(false)
		if err != nil {
			return err
		}
		all = append(all, sources...)
		s.countSuperseded(sg)
		s.countLost(sg)
	}
	m := newMerger(all, nil)
	var key []byte   // of the version before
	var deletes bool // it hid what came before it by a delete
	for m.Next() {
		e := m.Entry()
		newest := !bytes.Equal(e.Key, key)
		if err := s.rebuildEntry(m.seg(), e, newest, deletes); err != nil {
			return err
		}
		if newest {
			key = append(key[:0], e.Key...)
		}
		deletes = e.Deletes
	}
	return m.err()
}

// rebuildEntry accounts for a version, and enters it into the index if it is the
// newest of its key.
func (s *Store) rebuildEntry(sg *seg, e *segment.Entry, newest, deletes bool) error {
	footer := sg.sealed.Load() != nil // whose totals are counted already
	if e.Tombstone {
		if !footer {
			sg.counts.tombstones.Add(1)
		}
		return nil
	}
	loc, home, err := s.locate(sg, e)
	if err != nil && !newest {
		return nil // the value is gone: see locate
	}
	if err != nil {
		return err
	}
	if home != sg || !footer {
		home.counts.puts.add(e.Size())
	}
	switch {
	case newest:
		s.index.Put(s.hasher.Sum(string(e.Key)), index.Entry{
			Location: loc, Size: e.Size(), Expiration: indexExpiration(e.Expiration),
		})
	case deletes:
		home.counts.deleted.add(e.Size())
	default:
		home.counts.overwritten.add(e.Size())
	}
	return nil
}

// locate returns where an entry's value is, and in which segment. A value segment
// is removed when the index knows nothing in it any more: so pointers into it are
// left in other segments, but none of them is the newest version of its key.
func (s *Store) locate(sg *seg, e *segment.Entry) (index.Location, *seg, error) {
	if !e.HasPointer {
		return index.MakeLocation(sg.slot, uint32(e.Offset/8), uint8(e.Ordinal)), sg, nil
	}
	v := s.segs.find(e.Pointer.Segment)
	if v == nil {
		return 0, nil, &CorruptError{File: sg.name(), Offset: e.Offset,
			Reason: fmt.Sprintf("key %q is in %s, which does not exist", e.Key, segmentName(e.Pointer.Segment))}
	}
	return index.MakeLocation(v.slot, uint32(e.Pointer.Offset/8), 0), v, nil
}

// countSuperseded accounts for the versions that a footer does not list: those
// replaced within its segment.
func (s *Store) countSuperseded(sg *seg) {
	part := sg.sealed.Load()
	if part == nil {
		return
	}
	totals := part.footer.Totals()
	for _, group := range totals.Superseded {
		home := sg
		if group.Segment != 0 {
			if home = s.segs.find(group.Segment); home == nil {
				continue // all of it was garbage, and compaction has removed it
			}
			home.counts.puts.addCount(Count{group.OverwrittenCount + group.DeletedCount, group.OverwrittenBytes + group.DeletedBytes})
		}
		home.counts.overwritten.addCount(Count{group.OverwrittenCount, group.OverwrittenBytes})
		home.counts.deleted.addCount(Count{group.DeletedCount, group.DeletedBytes})
	}
}

// applyFooter brings the index from the end of the log segment before to the end
// of this one, which is sealed.
func (s *Store) applyFooter(sg *seg) error {
	sources, err := sg.sources(false)
	if err != nil {
		return err
	}
	s.countSuperseded(sg)
	it := sources[0]
	for it.Next() {
		if err := s.applyEntry(sg, it.Entry()); err != nil {
			return err
		}
	}
	if err := it.Err(); err != nil {
		return inFile(sg.name(), err)
	}
	return nil
}

func (s *Store) applyEntry(sg *seg, e *segment.Entry) error {
	hash := s.hasher.Sum(string(e.Key))
	var old index.Entry
	var replaced bool
	loc, home, err := s.locate(sg, e)
	s.recovered.noteDangling(string(e.Key), err)
	if e.Tombstone || err != nil {
		old, replaced = s.index.Delete(hash)
	} else {
		if home != sg {
			home.counts.puts.add(e.Size())
		}
		old, replaced = s.index.Put(hash, index.Entry{Location: loc, Size: e.Size(), Expiration: indexExpiration(e.Expiration)})
	}
	if !replaced {
		return nil
	}
	counts := &s.segs.at(old.Location.Slot()).counts // nothing is removed yet
	if e.Deletes {
		counts.deleted.add(old.Size)
	} else {
		counts.overwritten.add(old.Size)
	}
	return nil
}
