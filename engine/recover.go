package engine

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// recovery is what opening found.
type recovery struct {
	cutBytes   int64 // of a torn tail
	maxTime    int64
	maxSeq     uint64
	checkpoint bool // was used
	fits       bool // and only the log went on since
	useless    bool // there is one that was not used
	scanned    int64
	leftover   []string // files that do not belong to the store

	// dangling are keys whose newest version so far points into a value
	// segment that is gone. It was dead when it was removed, so the log goes
	// on to say so, or is damaged.
	dangling   map[string]error
	danglingMu sync.Mutex
}

// dangles notes that the value of a key's newest version is gone. It is safe for
// concurrent use.
func (r *recovery) dangles(key string, err error) {
	r.danglingMu.Lock()
	defer r.danglingMu.Unlock()
	r.noteDangling(key, err)
}

// noteDangling notes that a version of the key was found, and err if its value is
// gone.
func (r *recovery) noteDangling(key string, err error) {
	switch {
	case err == nil && r.dangling != nil:
		delete(r.dangling, key)
	case err != nil && r.dangling == nil:
		r.dangling = map[string]error{key: err}
	case err != nil:
		r.dangling[key] = err
	}
}

// seqSkip is added to the sequence numbers after a log that was not closed: a
// torn tail may have held records that nobody will see, at most one for every 16
// bytes of a log segment that was not synced.
const seqSkip = maxLog / 16

// recover opens the segments and brings the index to the state that they say.
func (s *Store) recover() error {
	s.recovered.maxTime = s.manifest.state.maxTime
	s.recovered.maxSeq = s.manifest.state.lastSeq
	logs, err := s.openSegments()
	if err != nil {
		return err
	}
	cp, err := s.loadCheckpoint()
	if err != nil {
		return err
	}
	tail, err := s.findEnds(logs)
	if err != nil {
		return err
	}
	if err := s.fillIndex(cp); err != nil {
		return err
	}
	for _, err := range s.recovered.dangling {
		return err
	}
	if err := s.checkClock(s.recovered.maxTime); err != nil {
		return err
	}
	s.committer.seq = s.recovered.maxSeq
	if s.opts.ReadOnly {
		if tail.sg != nil {
			s.committer.begin(tail.sg, tail.end)
		}
		return nil
	}
	if err := s.removeLeftover(); err != nil {
		return err
	}
	if err := s.removeCheckpoint(); err != nil {
		return err
	}
	if err := s.branchOff(); err != nil {
		return err
	}
	return s.continueLog(logs, tail)
}

// removeCheckpoint removes a checkpoint that was not used, before anything is written.
// Otherwise it might seem to be one of this store later on: when the manifest has
// reached what it was of, by another way.
func (s *Store) removeCheckpoint() error {
	if !s.recovered.useless {
		return nil
	}
	if err := s.fs.Remove(s.path(checkpointName)); err != nil {
		return err
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return &syncError{file: s.dir, err: err}
	}
	return nil
}

// fillIndex brings the index to the state that the segments say, from the
// checkpoint on if there is one.
func (s *Store) fillIndex(cp *checkpoint) error {
	all := s.segs.all()
	if cp == nil {
		for _, sg := range all {
			s.checkpointed.behind += sg.logged()
			if err := s.collectKeys(sg); err != nil {
				return err
			}
		}
		return s.mergeAll()
	}
	if err := s.reaches(cp.end); err != nil {
		return err
	}
	if !cp.fits {
		return s.catchUp(cp, all)
	}
	cp.restore()
	for _, sg := range all {
		if err := s.replay(sg, cp.at); err != nil {
			return err
		}
	}
	return nil
}

// reaches checks that the log has not become shorter than a checkpoint says.
func (s *Store) reaches(end position) error {
	sg := s.segs.find(end.segment)
	if sg == nil {
		return nil // it was sealed, and compaction has replaced it
	}
	has := sg.end.Load()
	if part := sg.sealed.Load(); part != nil {
		has = part.footer.Totals().DataEnd
	}
	if has < end.offset {
		return &CorruptError{File: sg.name(), Offset: has, Reason: "log ends here, but the checkpoint knew more of it"}
	}
	return nil
}

// logged returns how many bytes a log or packed segment has.
func (sg *seg) logged() int64 {
	if sg.kind == segment.Value {
		return 0
	}
	return sg.end.Load()
}

// openSegments opens everything that the manifest lists and returns the log
// segments without a footer.
func (s *Store) openSegments() (logs []*seg, err error) {
	for _, info := range s.manifest.state.sorted() {
		sg, err := s.openSegment(info)
		if err != nil {
			return nil, err
		}
		if err := s.segs.add(sg); err != nil {
			sg.release()
			return nil, err
		}
		switch {
		case info.state == stateSealed && info.kind == segment.Value:
			err = s.openSealedValues(sg, info.end)
		case info.state == stateSealed:
			err = s.openFooter(sg, info.end)
		case info.kind == segment.Value:
			err = s.openValues(sg)
		default:
			logs = append(logs, sg)
			err = s.openLog(sg)
		}
		if err != nil {
			return nil, err
		}
	}
	return logs, nil
}

func (s *Store) openFooter(sg *seg, size int64) error {
	footer, err := sg.reader.ReadFooter(size)
	if err != nil {
		return inFile(sg.name(), err)
	}
	sg.sealed.Store(s.newSealedPart(sg, size, footer))
	sg.end.Store(size)
	totals := footer.Totals()
	s.noteSeq(totals.MaxSeq, totals.MaxTime)
	sg.counts.puts.set(Count{totals.Puts, totals.Bytes})
	sg.counts.tombstones.Store(totals.Tombstones)
	return nil
}

// openSealedValues opens a value segment that takes no more values.
func (s *Store) openSealedValues(sg *seg, end int64) error {
	size, err := sg.file.Size()
	if err != nil {
		return err
	}
	if size < end {
		return &CorruptError{File: sg.name(), Offset: size, Reason: fmt.Sprintf("file cut short: it had %d bytes", end)}
	}
	sg.end.Store(end)
	return nil
}

// openValues goes on behind whatever is in a value segment: the place of what a
// crash left there is not used again.
func (s *Store) openValues(sg *seg) error {
	size, err := openSize(sg)
	if err != nil {
		return err
	}
	sg.end.Store(max(segment.HeaderSize, (size+7)&^7))
	s.values.open = append(s.values.open, sg)
	return nil
}

// openSize returns the size of a segment that has no footer. More than there can be
// is not looked at: it may have no end.
func openSize(sg *seg) (int64, error) {
	size, err := sg.file.Size()
	if err == nil && size > segment.MaxSize {
		err = &CorruptError{File: sg.name(), Offset: segment.MaxSize, Reason: fmt.Sprintf("file of %d bytes is longer than a segment can be", size)}
	}
	return size, err
}

func (s *Store) openLog(sg *seg) error {
	size, err := openSize(sg)
	if err != nil {
		return err
	}
	sg.allocated = size
	sg.keys.Store(&keyLog{load: func(into *keyLog, end int64) error {
		return s.eachRecord(sg, segment.HeaderSize, end, func(rec *segment.Record, off int64, ordinal int) error {
			into.add(rec, off, ordinal)
			return nil
		})
	}})
	return nil
}

func (s *Store) noteSeq(seq uint64, time int64) {
	s.recovered.maxSeq = max(s.recovered.maxSeq, seq)
	s.recovered.maxTime = max(s.recovered.maxTime, time)
}

// position is a place in the log: everything before it is known.
type position struct {
	segment uint64
	offset  int64
}

func (p position) before(o position) bool {
	return p.segment < o.segment || p.segment == o.segment && p.offset < o.offset
}

// logTail is the end of the last log segment that takes or has taken frames.
type logTail struct {
	sg      *seg
	end     int64 // of the last whole commit
	durable int64 // up to here it is known to be on disk
	size    int64 // of the file
	torn    bool  // there is something behind end, or was when the log was cut there
	large   []*segment.Pointer
}

// findEnds finds the end of each log segment without a footer, and so the end of
// the log.
func (s *Store) findEnds(logs []*seg) (*logTail, error) {
	tail := &logTail{}
	for _, sg := range logs {
		info := s.manifest.state.segments[sg.id]
		t, err := s.findEnd(sg, info)
		if err != nil {
			return nil, err
		}
		if tail.sg != nil && t.end > segment.HeaderSize {
			return nil, manifestCorrupt(s.manifest.off, fmt.Sprintf("%s has frames, but %s before it is not known to be finished: it is not the newest",
				sg.name(), tail.sg.name()))
		}
		if info.state == stateActive && tail.sg == nil {
			tail = t
		}
		sg.end.Store(t.end)
	}
	return tail, nil
}

// collectKeys collects the keys of a log segment that has no footer.
func (s *Store) collectKeys(sg *seg) error {
	keys := sg.keys.Load()
	if keys == nil {
		return nil
	}
	return s.eachLogged(sg, segment.HeaderSize, func(rec *segment.Record, off int64, ordinal int) error {
		keys.add(rec, off, ordinal)
		return nil
	})
}

// eachLogged calls f for the records of a log segment from an offset on.
func (s *Store) eachLogged(sg *seg, from int64, f func(rec *segment.Record, off int64, ordinal int) error) error {
	end := sg.end.Load()
	if part := sg.sealed.Load(); part != nil {
		end = part.footer.Totals().DataEnd
	}
	s.recovered.scanned += end - from
	return s.eachRecord(sg, from, end, func(rec *segment.Record, off int64, ordinal int) error {
		s.noteSeq(rec.Seq, 0)
		return f(rec, off, ordinal)
	})
}

// replay applies what a log segment has behind a place to the index, from the
// frames or the footer. Of one without a footer, it collects the keys.
func (s *Store) replay(sg *seg, from position) error {
	if sg.kind != segment.Log {
		return nil
	}
	keys := sg.keys.Load()
	start := int64(segment.HeaderSize)
	switch {
	case sg.id < from.segment && keys == nil:
		return nil
	case sg.id > from.segment && keys == nil:
		s.checkpointed.behind += sg.logged()
		return s.applyFooter(sg)
	case sg.id < from.segment:
		start = sg.end.Load()
	case sg.id == from.segment:
		start = from.offset
	}
	s.checkpointed.behind += sg.logged() - start
	if keys != nil && start > segment.HeaderSize {
		keys.missing = start
	}
	return s.eachLogged(sg, start, func(rec *segment.Record, off int64, ordinal int) error {
		if keys != nil {
			keys.add(rec, off, ordinal)
		}
		fr, loc, err := s.located(rec, sg, off, ordinal)
		s.recovered.noteDangling(string(rec.Key), err)
		if err != nil {
			// What it replaced is dead all the same.
			if old, ok := s.index.Delete(fr.hash); ok {
				s.segs.at(old.Location.Slot()).counts.overwritten.add(old.Size)
			}
			return nil
		}
		s.apply(&fr, loc, sg)
		return nil
	})
}

// located describes a record that was found on disk the way publishing wants it.
func (s *Store) located(rec *segment.Record, sg *seg, off int64, ordinal int) (frameRecord, index.Location, error) {
	fr := frameRecord{
		hash:       s.hasher.Sum(string(rec.Key)),
		tombstone:  rec.Tombstone,
		expiration: indexExpiration(rec.Expiration),
		size:       rec.Size(),
	}
	loc := index.MakeLocation(sg.slot, uint32(off/8), uint8(ordinal))
	if rec.Pointer != nil {
		v := s.segs.find(rec.Pointer.Segment)
		if v == nil {
			return fr, 0, &CorruptError{File: sg.name(), Offset: off,
				Reason: fmt.Sprintf("key %q is in %s, which does not exist", rec.Key, segmentName(rec.Pointer.Segment))}
		}
		loc = index.MakeLocation(v.slot, uint32(rec.Pointer.Offset/8), 0)
		fr.at = loc
	}
	return fr, loc, nil
}

// eachRecord calls f for the records of a log segment in the range, which has
// been verified.
func (s *Store) eachRecord(sg *seg, from, to int64, f func(rec *segment.Record, off int64, ordinal int) error) error {
	scan := sg.reader.Scan(from, to)
	var rec segment.Record
	for scan.Next() {
		payload, err := scan.Payload()
		if err != nil {
			return inFile(sg.name(), err)
		}
		for i := range scan.Frame().Records {
			n, ok := segment.DecodeRecord(payload, &rec)
			if !ok {
				return &CorruptError{File: sg.name(), Offset: scan.Offset(), Reason: fmt.Sprintf("record %d does not parse", i)}
			}
			payload = payload[n:]
			if err := f(&rec, scan.Offset(), i); err != nil {
				return err
			}
		}
	}
	if err := scan.Err(); err != nil {
		return inFile(sg.name(), err)
	}
	if scan.End() != to {
		return &CorruptError{File: sg.name(), Offset: scan.End(), Reason: "frames end here, they should go on"}
	}
	return nil
}

// findEnd finds where the commits of a log segment end. A frozen one has to
// reach its end. In an active one, a torn write is told from damage: a frame
// that is not valid is damage if the manifest or a later frame says that the log
// was on disk beyond it, and otherwise the end.
func (s *Store) findEnd(sg *seg, info *segmentInfo) (*logTail, error) {
	size, err := sg.file.Size()
	if err != nil {
		return nil, err
	}
	t := &logTail{sg: sg, end: segment.HeaderSize, durable: max(info.end, segment.HeaderSize), size: size}
	limit := size
	if info.state == stateFrozen {
		limit = min(size, info.end)
	}
	sg.incarnation = info.incarnation(segment.MaxSize)
	scan := sg.reader.Scan(segment.HeaderSize, limit)
	broken, err := s.walk(scan, info, t)
	if err != nil {
		return nil, err
	}
	if broken < t.durable {
		return nil, damaged(sg, broken, scan.Err())
	}
	if info.state == stateFrozen {
		return t, nil
	}
	if err := s.searchBehind(sg, info, broken, size); err != nil {
		return nil, err
	}
	if err := s.checkUnvouched(t); err != nil {
		return nil, err
	}
	t.torn, err = hasBytes(sg, t.end, size)
	if n := len(info.cuts); n > 0 && info.cuts[n-1].from > t.end {
		// A recovery cut the log, and a crash then took frames before the cut:
		// what it goes on with has to be of another incarnation than they.
		t.torn = true
	}
	return t, err
}

// walk goes along the valid frames. It sets the end of the last whole commit and
// how far a frame says that the log was durable, and returns where the walk had
// to stop.
func (s *Store) walk(scan *segment.Scanner, info *segmentInfo, t *logTail) (int64, error) {
	for scan.Next() {
		f := scan.Frame()
		want := info.incarnation(scan.Offset())
		if !f.Extended || f.Type != segment.FrameRecords || f.Incarnation < want {
			return scan.Offset(), nil // left behind by an earlier life of the log
		}
		if f.Incarnation > want {
			return 0, manifestCorrupt(s.manifest.off, fmt.Sprintf("it knows of incarnation %d of %s, but there is %d: it is not the newest",
				want, segmentName(info.id), f.Incarnation))
		}
		if f.Durable > scan.Offset() {
			return scan.Offset(), nil
		}
		t.durable = max(t.durable, f.Durable)
		s.noteSeq(0, f.Time)
		if !f.More {
			t.end = scan.End()
		}
	}
	if err := scan.Err(); err != nil && !errors.Is(err, ErrCorrupt) {
		return 0, fmt.Errorf("%s: %w", segmentName(info.id), err)
	}
	return scan.End(), nil
}

// searchBehind looks for frames behind the place where the walk stopped that
// vouch for it.
func (s *Store) searchBehind(sg *seg, info *segmentInfo, broken, size int64) error {
	scan := sg.reader.Scan(broken, size)
	for from := broken; scan.Search(from); from = scan.End() {
		f := scan.Frame()
		if f.Extended && f.Incarnation == info.incarnation(scan.Offset()) && f.Durable > broken {
			return damaged(sg, broken, nil)
		}
	}
	if err := scan.Err(); err != nil {
		return fmt.Errorf("%s: %w", sg.name(), err)
	}
	return nil
}

func damaged(sg *seg, off int64, err error) error {
	reason := "no valid frame, though the log was on disk beyond"
	var c *segment.CorruptError
	if errors.As(err, &c) {
		reason = c.Reason + ", though the log was on disk beyond"
	}
	return &CorruptError{File: sg.name(), Offset: off, Reason: reason}
}

// checkUnvouched looks at the large values of commits that nothing vouches for.
// Such a commit may be on disk without them; it is the end of the log then.
func (s *Store) checkUnvouched(t *logTail) error {
	if t.durable >= t.end {
		return nil
	}
	commit := t.durable // where the current commit starts
	scan := t.sg.reader.Scan(t.durable, t.end)
	var rec segment.Record
	for scan.Next() {
		payload, err := scan.Payload()
		if err != nil {
			return inFile(t.sg.name(), err)
		}
		for range scan.Frame().Records {
			n, ok := segment.DecodeRecord(payload, &rec)
			if !ok {
				break // replay reports it
			}
			payload = payload[n:]
			if rec.Pointer == nil {
				continue
			}
			if s.segs.find(rec.Pointer.Segment) == nil {
				continue // removed when it was dead; replay makes sure of that
			}
			if err := s.readLarge(rec.Pointer); errors.Is(err, ErrCorrupt) {
				t.end = commit
				return nil
			} else if err != nil {
				return err
			}
			t.large = append(t.large, rec.Pointer)
		}
		if !scan.Frame().More {
			commit = scan.End()
		}
	}
	if err := scan.Err(); err != nil {
		return inFile(t.sg.name(), err)
	}
	return nil
}

// readLarge reads all of a large value, whose segment exists, and drops it.
func (s *Store) readLarge(p *segment.Pointer) error {
	sg := s.segs.find(p.Segment)
	var buf segment.Buffer
	var rec segment.Record
	if err := sg.reader.ReadRecord(p.Offset, 0, largeHint, &buf, &rec); err != nil {
		return inFile(sg.name(), err)
	}
	chunks := rec.Chunks
	for _, c := range chunks {
		if _, err := sg.reader.ReadChunk(c, &buf); err != nil {
			return inFile(sg.name(), err)
		}
	}
	return nil
}

// hasBytes reports whether there is anything but zeros in the range.
func hasBytes(sg *seg, from, to int64) (bool, error) {
	buf := make([]byte, min(max(to-from, 0), 1<<20))
	for from < to {
		n, err := sg.file.ReadAt(buf[:min(int64(len(buf)), to-from)], from)
		for _, b := range buf[:n] {
			if b != 0 {
				return true, nil
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("read %s: %w", sg.name(), err)
		}
		if n == 0 {
			break
		}
		from += int64(n)
	}
	return false, nil
}

// continueLog makes the log ready for new frames.
func (s *Store) continueLog(logs []*seg, tail *logTail) error {
	c := &s.committer
	if tail.sg == nil {
		sg, err := s.createLog()
		if err != nil {
			return s.diskError(err)
		}
		c.begin(sg, segment.HeaderSize)
		return nil
	}
	if err := s.secure(tail); err != nil {
		return s.diskError(err)
	}
	c.begin(tail.sg, tail.end)
	for _, sg := range logs {
		if sg.id > tail.sg.id {
			c.next = append(c.next, sg)
			sg.incarnation = max(sg.incarnation, 1)
		}
	}
	return nil
}

// secure makes sure that the log is on disk up to its end, and that nothing
// behind the end ever counts again.
//
// What nothing vouches for may be in the page cache only: a sync that failed
// before the crash leaves pages there that the system takes for written. So it is
// written again, which makes them dirty, and synced.
func (s *Store) secure(t *logTail) error {
	if t.durable >= t.end && !t.torn {
		if t.end == s.manifest.state.segments[t.sg.id].end {
			return nil // closed cleanly
		}
		// A truncation after a failed write may not be on disk.
		if err := t.sg.file.Sync(); err != nil {
			return &syncError{file: t.sg.name(), err: err}
		}
		return nil
	}
	s.committer.seq += seqSkip
	for _, p := range t.large {
		if err := s.rewriteLarge(p); err != nil {
			return err
		}
	}
	if err := rewrite(t.sg, t.durable, t.end); err != nil {
		return err
	}
	if t.torn {
		if err := s.cutLog(t); err != nil {
			return err
		}
	}
	if err := t.sg.file.Sync(); err != nil {
		return &syncError{file: t.sg.name(), err: err}
	}
	s.log.Info("recovered the log", "dir", s.dir, "segment", t.sg.name(), "end", t.end, "written again", t.end-t.durable, "torn", t.torn)
	return nil
}

// cutLog ends the log at the last whole commit. The manifest says so first: from
// then on, frames behind the cut are of an incarnation that is over, whether the
// file is truncated or not.
func (s *Store) cutLog(t *logTail) error {
	next := cut{incarnation: t.sg.incarnation + 1, from: t.end}
	if err := s.commitEdit(edit(nil).cut(t.sg.id, next)); err != nil {
		return err
	}
	t.sg.incarnation = next.incarnation
	if err := t.sg.file.Truncate(t.end); err != nil {
		return err
	}
	s.recovered.cutBytes = t.size - t.end
	s.log.Warn("cut a torn tail off the log; nothing in it was acknowledged as durable", "dir", s.dir,
		"segment", t.sg.name(), "offset", t.end, "bytes", s.recovered.cutBytes)
	t.size, t.sg.allocated = t.end, t.end
	return nil
}

// rewrite writes a range of a segment again.
func rewrite(sg *seg, from, to int64) error {
	buf := make([]byte, min(max(to-from, 0), 1<<20))
	for from < to {
		b := buf[:min(int64(len(buf)), to-from)]
		if _, err := sg.file.ReadAt(b, from); err != nil {
			return fmt.Errorf("read %s at %d: %w", sg.name(), from, err)
		}
		if _, err := sg.file.WriteAt(b, from); err != nil {
			return fmt.Errorf("write %s at %d: %w", sg.name(), from, err)
		}
		from += int64(len(b))
	}
	return nil
}

// rewriteLarge writes a large value again and syncs it. A sealed segment was on
// disk before the manifest said that it is sealed.
func (s *Store) rewriteLarge(p *segment.Pointer) error {
	if s.manifest.state.segments[p.Segment].state == stateSealed {
		return nil
	}
	sg := s.segs.find(p.Segment)
	var buf segment.Buffer
	var rec segment.Record
	frame, _, err := sg.reader.ReadFrame(p.Offset, largeHint, &buf)
	if err != nil {
		return inFile(sg.name(), err)
	}
	if err := sg.reader.ReadRecord(p.Offset, 0, largeHint, &buf, &rec); err != nil {
		return inFile(sg.name(), err)
	}
	for _, c := range rec.Chunks {
		if err := rewrite(sg, c.Offset, c.End()); err != nil {
			return err
		}
	}
	if err := rewrite(sg, p.Offset, p.Offset+frame.Size()); err != nil {
		return err
	}
	if err := sg.file.SyncData(); err != nil {
		return &syncError{file: sg.name(), err: err}
	}
	return nil
}

// path returns that of a file of the store.
func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }
