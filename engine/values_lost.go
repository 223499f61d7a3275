package engine

import "github.com/firnkv/firn/segment"

// lostValues counts, for each value segment that stays, the values whose records
// go with the victims of a job. They are garbage from then on that nothing on disk
// tells of but the manifest: without it, they would be forgotten when the store is
// closed, and their space never be won back.
func (j *compactJob) lostValues(added []*seg) (map[uint64]Count, error) {
	lost := map[uint64]Count{}
	for _, sg := range j.segs {
		if err := j.eachPointer(sg, func(id uint64, n Count) {
			if j.values.victims[id] == nil && j.s.segs.find(id) != nil {
				c := lost[id]
				c.addCount(n)
				lost[id] = c
			}
		}); err != nil {
			return nil, err
		}
	}
	for _, sg := range added {
		if err := j.eachPointer(sg, func(id uint64, n Count) {
			if c, ok := lost[id]; ok { // or it is where the values of a victim are now
				c.addCount(Count{-n.Records, -n.Bytes})
				lost[id] = c
			}
		}); err != nil {
			return nil, err
		}
	}
	return lost, nil
}

// eachPointer calls f for the values in value segments that a segment has records
// of, those included that others in the segment replaced.
func (j *compactJob) eachPointer(sg *seg, f func(id uint64, n Count)) error {
	part := sg.sealed.Load()
	if sg.kind == segment.Value || part == nil {
		return nil
	}
	totals := part.footer.Totals()
	for _, g := range totals.Superseded {
		if g.Segment != 0 {
			f(g.Segment, Count{g.OverwrittenCount + g.DeletedCount, g.OverwrittenBytes + g.DeletedBytes})
		}
	}
	if totals.Pointers == 0 {
		return nil
	}
	blocks, err := part.index()
	if err != nil {
		return inFile(sg.name(), err)
	}
	it := blocks.Iterator(false)
	for it.Next() {
		if err := j.Yield(); err != nil {
			return err
		}
		if e := it.Entry(); e.HasPointer {
			f(e.Pointer.Segment, Count{1, e.Size()})
		}
	}
	if err := it.Err(); err != nil {
		return inFile(sg.name(), err)
	}
	return nil
}

// listLost adds what was lost to an edit. The state lock is held.
func (j *compactJob) listLost(e edit) edit {
	for _, info := range j.s.manifest.state.sorted() {
		if n := j.lost[info.id]; n.Records > 0 {
			n.addCount(info.lost)
			e = e.lost(info.id, n)
		}
	}
	return e
}

// countLost accounts for the values whose records are gone. Whether they were
// deleted or overwritten is not known any more.
func (s *Store) countLost(sg *seg) {
	lost := s.manifest.state.segments[sg.id].lost
	sg.counts.puts.addCount(lost)
	sg.counts.deleted.addCount(lost)
}
