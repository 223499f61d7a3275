package engine

import (
	"runtime"
	"slices"
	"sync"

	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// catchUp brings the index from a checkpoint up to date, though compaction has
// replaced segments since, or others wrote to the store while it was written.
//
// A key's newest version is what counts: that with the highest sequence number in
// all segments. Call S the one up to which the checkpoint has all records, at a
// place in the log. Segments are old, if the checkpoint knows them, or newer.
//
//   - All records behind S are in the log from that place on, or in newer packed
//     segments: what was packed when the checkpoint was begun is of before it.
//     So the newest version of a key there counts, if it is behind S.
//   - If it is not, the checkpoint knew it, and at least as new a one. If the
//     record of that is in a segment that is still there, it counts. If not,
//     compaction has moved it to a newer one, where it is the newest version
//     still, or has dropped it: then there is none, or compaction would have left
//     a tombstone of what had expired.
//   - If the checkpoint does not have the key at all, it had been deleted, and
//     what newer segments have of it up to S is older still.
//
// The index knows a large value by its place in a value segment, which outlives the
// records with pointers to it. So whether there is still one is looked up.
//
// So first the packed segments that are newer and the log segments that have a
// footer, from the one with that place on, are merged; then the log segments without
// a footer are read, which are newer than all others.
//
// What is garbage follows from what is in the segments and what the index knows of
// it. By which cause is not known of what became so since the checkpoint: that counts
// as overwritten.
func (s *Store) catchUp(cp *checkpoint, all []*seg) error {
	unconfirmed := s.largeValues(all)
	var newer []*seg
	for _, sg := range all {
		s.countSuperseded(sg)
		s.countLost(sg)
		_, known := cp.counts[sg]
		if sg.sealed.Load() == nil {
			s.checkpointed.behind += sg.logged()
			continue
		}
		if sg.kind == segment.Packed && !known || sg.kind == segment.Log && sg.id >= cp.at.segment {
			newer = append(newer, sg)
			s.checkpointed.behind += sg.logged()
		}
	}
	if err := s.mergeRanges(newer, 0, func(e mergedEntry, into *index.Filler) error {
		if e.newest {
			s.catchUpEntry(cp, e, into)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, sg := range all {
		if sg.keys.Load() != nil {
			if err := s.catchUpLog(sg, unconfirmed); err != nil {
				return err
			}
		}
	}
	for _, sg := range all {
		if err := s.countPointers(sg, unconfirmed); err != nil {
			return err
		}
	}
	for hash, loc := range unconfirmed {
		s.index.DeleteAt(hash, loc)
	}
	s.recount(cp, all)
	return nil
}

// pointers are places of large values, and whose.
type pointers map[index.Hash]index.Location

// confirm notes that there is a record with a pointer.
func (p pointers) confirm(hash index.Hash, loc index.Location) {
	if p[hash] == loc {
		delete(p, hash)
	}
}

// largeValues returns what the index knows in value segments.
func (s *Store) largeValues(all []*seg) pointers {
	values := pointers{}
	if !slices.ContainsFunc(all, func(sg *seg) bool { return sg.kind == segment.Value }) {
		return values
	}
	for i := range index.Shards {
		s.index.Scan(i, func(h index.Hash, e index.Entry) bool {
			if sg := s.segs.at(e.Location.Slot()); sg != nil && sg.kind == segment.Value {
				values[h] = e.Location
			}
			return true
		})
	}
	return values
}

// catchUpEntry enters the newest version of a key in the newer segments, if it
// counts.
func (s *Store) catchUpEntry(cp *checkpoint, e mergedEntry, into *index.Filler) {
	hash := s.hasher.Sum(string(e.Key))
	if e.Seq <= cp.maxSeq {
		if known, ok := s.index.Get(hash); !ok || known.Location != 0 {
			return
		}
	}
	if e.Tombstone {
		s.index.Delete(hash)
		return
	}
	loc, _, err := s.locate(e.seg, e.Entry)
	if err != nil {
		s.recovered.dangles(string(e.Key), err)
		s.index.Delete(hash)
		return
	}
	into.Put(hash, index.Entry{Location: loc, Size: e.Size(), Expiration: indexExpiration(e.Expiration)})
}

// catchUpLog enters what a log segment without a footer has, collects its keys, and
// counts.
func (s *Store) catchUpLog(sg *seg, unconfirmed pointers) error {
	keys := sg.keys.Load()
	return s.eachLogged(sg, segment.HeaderSize, func(rec *segment.Record, off int64, ordinal int) error {
		keys.add(rec, off, ordinal)
		fr, loc, err := s.located(rec, sg, off, ordinal)
		switch {
		case rec.Tombstone:
			sg.counts.tombstones.Add(1)
		case err == nil:
			s.segs.at(loc.Slot()).counts.puts.add(rec.Size())
			unconfirmed.confirm(fr.hash, loc)
		}
		s.recovered.noteDangling(string(rec.Key), err)
		if rec.Tombstone || err != nil {
			s.index.Delete(fr.hash)
		} else {
			s.index.Put(fr.hash, index.Entry{Location: loc, Size: fr.size, Expiration: fr.expiration})
		}
		return nil
	})
}

// countPointers counts the values that a segment with a footer has pointers to.
func (s *Store) countPointers(sg *seg, unconfirmed pointers) error {
	part := sg.sealed.Load()
	if part == nil || part.footer.Totals().Pointers == 0 {
		return nil
	}
	blocks, err := part.index()
	if err != nil {
		return inFile(sg.name(), err)
	}
	it := blocks.Iterator(false)
	for it.Next() {
		e := it.Entry()
		if !e.HasPointer {
			continue
		}
		loc, home, err := s.locate(sg, e)
		if err != nil {
			continue // dead, or it would not be gone
		}
		home.counts.puts.add(e.Size())
		unconfirmed.confirm(s.hasher.Sum(string(e.Key)), loc)
	}
	if err := it.Err(); err != nil {
		return inFile(sg.name(), err)
	}
	return nil
}

// recount sets what is garbage in each segment: what the index does not know.
func (s *Store) recount(cp *checkpoint, all []*seg) {
	live := s.sweepIndex()
	for _, sg := range all {
		c := &sg.counts
		garbage := c.puts.count()
		garbage.Records -= live[sg.slot].Records
		garbage.Bytes -= live[sg.slot].Bytes
		deleted := c.deleted.count()
		if known, ok := cp.counts[sg]; ok && known.deleted.within(garbage) {
			deleted = known.deleted
		}
		if !deleted.within(garbage) {
			deleted = Count{}
		}
		c.deleted.set(deleted)
		c.overwritten.set(Count{garbage.Records - deleted.Records, garbage.Bytes - deleted.Bytes})
	}
}

// within reports whether n may be a part of o.
func (n Count) within(o Count) bool { return n.Records <= o.Records && n.Bytes <= o.Bytes }

// sweepIndex takes entries that have no location out of the index, and adds up what
// it knows in each segment, by slot.
func (s *Store) sweepIndex() []Count {
	workers := runtime.GOMAXPROCS(0)
	sums := make([][]Count, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			sum := make([]Count, len(*s.segs.bySlot.Load()))
			for i := w; i < index.Shards; i += workers {
				var gone []index.Hash
				s.index.Scan(i, func(h index.Hash, e index.Entry) bool {
					if e.Location == 0 {
						gone = append(gone, h)
					} else {
						sum[e.Location.Slot()].add(e.Size)
					}
					return true
				})
				for _, h := range gone {
					s.index.Delete(h)
				}
			}
			sums[w] = sum
		})
	}
	group.Wait()
	for _, sum := range sums[1:] {
		for slot, n := range sum {
			sums[0][slot].addCount(n)
		}
	}
	return sums[0]
}
