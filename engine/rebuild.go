package engine

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// mergeAll builds the index without a checkpoint: from the footers, and the keys
// of the log segments that have none.
func (s *Store) mergeAll() error {
	all := s.segs.all()
	keys := int64(0)
	for _, sg := range all {
		s.countSuperseded(sg)
		s.countLost(sg)
		if part := sg.sealed.Load(); part != nil && sg.kind != segment.Value {
			keys += part.footer.Totals().Entries
		}
	}
	return s.mergeRanges(all, int(keys), s.rebuildEntry)
}

// mergedEntry is a version of a key, from the newest on.
type mergedEntry struct {
	*segment.Entry
	seg     *seg
	newest  bool // of the key
	deleted bool // not the newest, and hidden by a delete
}

// mergeRanges goes through all versions of all keys in some segments and calls
// visit for each. As many goroutines do so as there are processors, each with a
// Filler and for a range of keys, in their order. keys is for index.NewFillers.
func (s *Store) mergeRanges(segs []*seg, keys int, visit func(e mergedEntry, into *index.Filler) error) error {
	bounds, err := mergeBounds(segs)
	if err != nil {
		return err
	}
	var merging sync.WaitGroup
	errs := make([]error, len(bounds)+1)
	for i, filler := range s.index.NewFillers(len(errs), keys) {
		var from, to []byte
		if i > 0 {
			from = bounds[i-1]
		}
		if i < len(bounds) {
			to = bounds[i]
		}
		merging.Go(func() {
			errs[i] = mergeRange(segs, from, to, func(e mergedEntry) error { return visit(e, filler) })
			filler.Flush()
		})
	}
	merging.Wait()
	for _, err := range errs {
		if err != nil {
			return err // that of the lowest keys
		}
	}
	return nil
}

// minMergeBlocks is how many blocks of keys are worth a goroutine: 128 keys each,
// and some 100 µs.
const minMergeBlocks = 256

// mergeBounds returns keys that part all keys into ranges of about the same number
// of entries in footers, one for each processor at most.
func mergeBounds(all []*seg) ([][]byte, error) {
	var firsts [][]byte
	for _, sg := range all {
		part := sg.sealed.Load()
		if part == nil || sg.kind == segment.Value {
			continue
		}
		blocks, err := part.index()
		if err != nil {
			return nil, inFile(sg.name(), err)
		}
		firsts = slices.AppendSeq(firsts, blocks.Firsts)
	}
	parts := min(runtime.GOMAXPROCS(0), len(firsts)/minMergeBlocks)
	slices.SortFunc(firsts, bytes.Compare)
	var bounds [][]byte
	for i := 1; i < parts; i++ {
		bounds = append(bounds, firsts[i*len(firsts)/parts])
	}
	return bounds, nil
}

// mergeRange calls visit for the versions of keys from from on, all before to. nil
// is before all keys, and behind them.
func mergeRange(segs []*seg, from, to []byte, visit func(e mergedEntry) error) error {
	entries, err := entriesOf(segs)
	if err != nil {
		return err
	}
	m := newMerger(entries, from)
	var key []byte   // of the version before
	var deletes bool // it hid what came before it by a delete
	for m.Next() {
		e := mergedEntry{m.Entry(), m.seg(), false, deletes}
		if to != nil && bytes.Compare(e.Key, to) >= 0 {
			return nil
		}
		if e.newest = !bytes.Equal(e.Key, key); e.newest {
			key = append(key[:0], e.Key...)
		}
		deletes = e.Deletes
		if err := visit(e); err != nil {
			return err
		}
	}
	return m.err()
}

// rebuildEntry accounts for a version, and enters it into the index if it is the
// newest of its key.
func (s *Store) rebuildEntry(e mergedEntry, into *index.Filler) error {
	footer := e.seg.sealed.Load() != nil // whose totals are counted already
	if e.Tombstone {
		if !footer {
			e.seg.counts.tombstones.Add(1)
		}
		return nil
	}
	loc, home, err := s.locate(e.seg, e.Entry)
	if err != nil && !e.newest {
		return nil // the value is gone: see locate
	}
	if err != nil {
		return err
	}
	if home != e.seg || !footer {
		home.counts.puts.add(e.Size())
	}
	switch {
	case e.newest:
		into.Put(s.hasher.Sum(string(e.Key)), index.Entry{
			Location: loc, Size: e.Size(), Expiration: indexExpiration(e.Expiration),
		})
	case e.deleted:
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
