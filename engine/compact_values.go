package engine

import (
	"fmt"

	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// takePointers makes the segments that point to live values in a victim victims
// too: where a value is can only be changed by writing anew what points to it. It
// reports whether they are all sealed.
func (j *compactJob) takePointers() (ready bool, err error) {
	j.values = &valueMover{j: j, victims: map[uint64]*seg{}}
	for _, sg := range j.segs {
		if sg.kind == segment.Value {
			j.values.victims[sg.id] = sg
		}
	}
	if len(j.values.victims) == 0 {
		return true, nil
	}
	// They take no more values, no stream is under way in them, and what was
	// put before is visible after this.
	// That others put more meanwhile does not matter.
	j.s.committer.settleQueue()
	j.s.committer.awaitPublished()
	if !j.values.alive() {
		return true, nil
	}
	for _, sg := range j.s.segs.all() {
		part := sg.sealed.Load()
		if part == nil || part.footer.Totals().Pointers == 0 {
			continue
		}
		n, err := j.pointersIn(sg)
		if err != nil {
			return false, inFile(sg.name(), err)
		}
		j.values.pointers += n
		if n > 0 && j.byID[sg.id] == nil && sg.acquire() {
			j.take(sg)
		}
	}
	// The rest are in a log segment that has no footer yet.
	if j.values.live() > j.values.pointers {
		_, err := j.s.committer.rollNow()
		return false, err
	}
	return true, nil
}

// pointersIn counts the live pointers from a segment to values that are to be
// moved.
func (j *compactJob) pointersIn(sg *seg) (n int64, err error) {
	blocks, err := sg.sealed.Load().index()
	if err != nil {
		return 0, err
	}
	it := blocks.Iterator(false)
	for it.Next() {
		if err := j.Yield(); err != nil {
			return 0, err
		}
		e := it.Entry()
		if !e.HasPointer || j.values.victims[e.Pointer.Segment] == nil {
			continue
		}
		loc, _, err := j.s.locate(sg, e)
		if err != nil {
			continue
		}
		if known, ok := j.s.index.Get(j.s.hasher.Sum(string(e.Key))); ok && known.Location == loc {
			n++
		}
	}
	return n, it.Err()
}

// valueMover copies the live values of victims to new value segments. Their chunks
// are copied as they are stored.
type valueMover struct {
	j        *compactJob
	victims  map[uint64]*seg
	pointers int64 // live ones into the victims
	outputs  []*valueOutput
	buf      segment.Buffer
}

// valueOutput is a value segment being written.
type valueOutput struct {
	info *segmentInfo
	sg   *seg
	w    *segment.FrameWriter
}

// live returns how many pairs the index knows in the victims.
func (m *valueMover) live() (n int64) {
	for _, sg := range m.victims {
		n += sg.counts.live().Records
	}
	return n
}

func (m *valueMover) alive() bool { return m.live() > 0 }

func (m *valueMover) used() bool { return len(m.outputs) > 0 }

// Relocate moves the value of a live pointer if it is in a victim.
func (j *compactJob) Relocate(e *segment.Entry) (segment.Pointer, error) {
	sg := j.values.victims[e.Pointer.Segment]
	if sg == nil {
		return e.Pointer, nil
	}
	to, err := j.values.copy(sg, e)
	if err != nil {
		return segment.Pointer{}, inFile(sg.name(), err)
	}
	return to, nil
}

func (m *valueMover) copy(from *seg, e *segment.Entry) (segment.Pointer, error) {
	var rec segment.Record
	if err := from.reader.ReadRecord(e.Pointer.Offset, 0, largeHint, &m.buf, &rec); err != nil {
		return segment.Pointer{}, err
	}
	if string(rec.Key) != string(e.Key) || rec.Length != e.Length {
		return segment.Pointer{}, &segment.CorruptError{Offset: e.Pointer.Offset, Reason: fmt.Sprintf("not the value of key %q", e.Key)}
	}
	rec.Key, rec.Metadata = e.Key, e.Metadata // others are part of the buffer
	o, err := m.output(rec.Length)
	if err != nil {
		return segment.Pointer{}, err
	}
	chunks := make([]segment.Chunk, 0, len(rec.Chunks))
	for _, c := range rec.Chunks {
		if err := m.j.Yield(); err != nil {
			return segment.Pointer{}, err
		}
		f, stored, err := from.reader.ReadStored(c.Offset, c.Stored+32, &m.buf)
		if err != nil {
			return segment.Pointer{}, err
		}
		to, err := o.w.AppendStored(f, stored)
		if err != nil {
			return segment.Pointer{}, err
		}
		chunks = append(chunks, to)
	}
	rec.Chunks = chunks
	at, err := o.w.Append(segment.FrameRecords, segment.AppendRecord(nil, &rec))
	return segment.Pointer{Segment: o.info.id, Offset: at.Offset}, err
}

// output returns a segment that has room for a value.
func (m *valueMover) output(length int64) (*valueOutput, error) {
	if n := len(m.outputs); n > 0 && m.outputs[n-1].w.Offset()+length+length/64 < valueSegmentBytes {
		return m.outputs[n-1], nil
	}
	s := m.j.s
	id, err := m.j.newID()
	if err != nil {
		return nil, err
	}
	info := &segmentInfo{id: id, kind: segment.Value, salt: randomUint64()}
	file, err := s.fs.Create(s.path(segmentName(id)))
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	paced := &pacedFile{File: file, name: segmentName(id), written: &m.j.c.written}
	o := &valueOutput{info: info, w: segment.NewFrameWriter(paced, info.salt, segment.HeaderSize, s.committer.comp)}
	_, err = file.WriteAt(s.header(info).Append(nil), 0)
	if err == nil {
		o.sg, err = s.newSeg(info, file)
	}
	if err != nil {
		_ = file.Close()
		_ = s.fs.Remove(s.path(segmentName(id))) // or the next open does
		return nil, err
	}
	m.outputs = append(m.outputs, o)
	return o, nil
}

// finish makes the values durable. It fails if one in a victim is known to the
// index that was not copied.
func (m *valueMover) finish() error {
	if live := m.live(); live > m.pointers {
		return fmt.Errorf("%d values in use, %d of them found", live, m.pointers)
	}
	for _, o := range m.outputs {
		if err := o.w.Flush(); err != nil {
			return err
		}
		if err := o.sg.file.Sync(); err != nil {
			return &syncError{file: o.sg.name(), err: err}
		}
		o.sg.end.Store(o.w.Offset())
	}
	return nil
}

// list adds the new segments to an edit. They take no more values.
func (m *valueMover) list(e edit) edit {
	for _, o := range m.outputs {
		e = e.add(o.info.id, o.info.kind, o.info.salt).seal(o.info.id, o.sg.end.Load())
	}
	return e
}

func (m *valueMover) added() []*seg {
	var added []*seg
	for _, o := range m.outputs {
		added = append(added, o.sg)
	}
	m.outputs = nil
	return added
}

func (m *valueMover) orphan() (names []string) {
	for _, o := range m.outputs {
		names = append(names, o.sg.name())
		o.sg.release()
	}
	m.outputs = nil
	return names
}

func (m *valueMover) abandon() {
	for _, name := range m.orphan() {
		_ = m.j.s.fs.Remove(m.j.s.path(name)) // or the next open does
	}
}

// location returns where the index has the value of a pointer.
func (s *Store) location(p segment.Pointer) (index.Location, *seg) {
	sg := s.segs.find(p.Segment)
	if sg == nil {
		return 0, nil
	}
	return index.MakeLocation(sg.slot, uint32(p.Offset/8), 0), sg
}
