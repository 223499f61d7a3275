package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/segment"
)

// jobReport is what a job did.
type jobReport struct {
	compaction.Report
	read    int64 // bytes of the victims that hold records
	puts    int64 // in the victims, also those that their footers only count
	deletes int64 // tombstones, likewise
	removed int64 // victims
	freed   int64 // bytes that they took on disk
	made    int64 // bytes that the new segments take
}

// compactMemory bounds the memory for records that a job reads ahead from log
// segments. A log segment holds up to 160 MiB of records; each of its frames is
// decoded once for each time that the memory is filled.
const compactMemory = 32 << 20

// maxPacked is the size at which a full compaction goes on in the next segment.
const maxPacked = 128 << 20

// runJob rewrites the victims of a job. The order is:
//
//  1. New segments are written under ids that the manifest has given out, and
//     synced, as are their names. A crash up to here leaves files that the next
//     open removes.
//  2. The log is synced: what superseded a record that is dropped must not be lost
//     after it.
//  3. One edit of the manifest lists the new segments and drops the victims. It
//     also records the time, so that what was dropped as expired cannot be missed
//     at an earlier one, and the highest sequence number.
//  4. The index is moved to the new places, but for keys that were written
//     meanwhile.
//  5. The victims leave the table, and with the last reader their files go.
func (s *Store) runJob(ctx context.Context, c *compactor, job compaction.Job, full bool) (jobReport, error) {
	j, err := s.newJob(ctx, c, job)
	if err != nil {
		return jobReport{}, err
	}
	defer j.release()
	if job.Form == compaction.Values {
		job.Form = compaction.Settled // of the segments that point to the values
	}
	opts := compaction.Options{
		Form: job.Form, Now: j.now, MaxBytes: max(s.segmentBytes(), compaction.Unit(0)/4), Memory: compactMemory, Workers: 1,
	}
	if full || s.throttle.active() {
		opts.Workers = runtime.GOMAXPROCS(0) // writers wait for it
	}
	if full {
		opts.MaxBytes = maxPacked
	}
	if opts.Form == compaction.Young {
		opts.Dictionary = s.newestDictionary()
		opts.Train = opts.Dictionary == nil && !c.trained && s.diskBytes() >= trainFrom
		c.trained = c.trained || opts.Train // if it comes to nothing, a settled form may bring one
	}
	// Puts that are accepted before they are written leave the room.
	room := j.live()
	s.committer.promise(room)
	defer s.committer.promise(-room)
	if len(j.victims) > 0 {
		j.report.Report, err = compaction.Rewrite(ctx, j, j.victims, opts)
	}
	if err == nil {
		err = j.commit()
	}
	if err != nil {
		j.abandon()
		var v *compaction.VictimError
		if errors.As(err, &v) {
			err = inFile(segmentName(v.ID), v.Err)
		}
		return j.report, err
	}
	return j.report, nil
}

// trainFrom is how many bytes on disk a store has so that a dictionary is trained
// for young segments, from which the others take it over. That takes a processor for
// half a second: with 64 writers, who had filled a store in one, half of all the work.
const trainFrom = 128 << 20

// newestDictionary returns that of the newest packed segment which has one, nil if
// none has.
func (s *Store) newestDictionary() []byte {
	for _, sg := range slices.Backward(s.segs.all()) {
		if sg.kind != segment.Packed || !sg.acquire() {
			continue
		}
		d, err := sg.reader.Dictionary()
		sg.release()
		if err == nil && d != nil {
			return d
		}
	}
	return nil
}

// compactJob is a job under way. It is the host of the rewrite.
type compactJob struct {
	s       *Store
	ctx     context.Context
	c       *compactor
	now     int64
	segs    []*seg // the victims, with references
	victims []*compaction.Victim
	byID    map[uint64]*seg
	ids     idRange
	outputs []*jobOutput
	values  *valueMover
	lost    map[uint64]Count // see lostValues
	report  jobReport
}

// errNotReady: values are to be moved, but the segments that point to them cannot
// all be rewritten yet.
var errNotReady = errors.New("not all that has to be rewritten is sealed")

// newJob takes the victims.
func (s *Store) newJob(ctx context.Context, c *compactor, job compaction.Job) (*compactJob, error) {
	j := &compactJob{s: s, ctx: ctx, c: c, now: s.clock.now(), byID: map[uint64]*seg{}}
	logs := int64(0)
	for _, id := range job.Victims {
		sg := s.segs.find(id)
		if sg == nil {
			continue
		}
		if sg.kind == segment.Log {
			// What is live in them is read ahead: the rest is for the next job.
			live := sg.counts.live().Bytes
			if logs > 0 && logs+live > compactMemory {
				continue
			}
			logs += live
		}
		if sg.acquire() {
			j.take(sg)
		}
	}
	ready, err := j.takePointers()
	if err == nil && !ready {
		err = errNotReady
	}
	if err == nil {
		err = j.openVictims()
	}
	if err != nil {
		j.release()
		return nil, err
	}
	return j, nil
}

func (j *compactJob) take(sg *seg) {
	j.segs = append(j.segs, sg)
	j.byID[sg.id] = sg
}

// release gives the victims back. If they are not in use any more, their files go:
// that takes milliseconds each, in which Go may not see that others are ready.
func (j *compactJob) release() {
	for _, sg := range j.segs {
		sg.release()
		runtime.Gosched()
	}
	j.segs = nil
}

// live estimates what the outputs take on disk.
func (j *compactJob) live() (n int64) {
	for _, sg := range j.segs {
		if puts := sg.counts.puts.count().Bytes; puts > 0 {
			n += int64(float64(j.s.allocated(sg)) * float64(sg.counts.live().Bytes) / float64(puts))
		}
	}
	return n
}

func (j *compactJob) openVictims() error {
	for _, sg := range j.segs {
		if sg.kind == segment.Value {
			continue
		}
		part := sg.sealed.Load()
		blocks, err := part.index()
		if err != nil {
			return inFile(sg.name(), err)
		}
		t := part.footer.Totals()
		j.victims = append(j.victims, &compaction.Victim{
			ID: sg.id, File: sg.file, Reader: sg.reader, Blocks: blocks, Totals: t,
		})
		j.report.read += part.size
		j.report.puts += t.Puts + t.Pointers
		j.report.deletes += t.Tombstones
	}
	return nil
}

// Judge asks the index: it has the newest version of each key.
func (j *compactJob) Judge(v *compaction.Victim, e *segment.Entry) compaction.Verdict {
	loc, _, err := j.s.locate(j.byID[v.ID], e)
	if err != nil {
		return compaction.Superseded // or the value would not be gone: see locate
	}
	known, ok := j.s.index.Get(j.s.hasher.Sum(string(e.Key)))
	switch {
	case !ok || known.Location != loc:
		return compaction.Superseded
	case known.Expiration != 0 && int64(known.Expiration) <= j.now:
		return compaction.Expired
	}
	return compaction.Live
}

// Needed looks the markers up in every segment that is not a victim and may have
// older records: first in its filter, and then in its footer. Log segments without
// a footer have newer records than all that have one.
func (j *compactJob) Needed(markers []compaction.Marker) error {
	newest := uint64(0)
	for i := range markers {
		newest = max(newest, markers[i].Seq)
	}
	for _, sg := range j.s.segs.all() {
		part := sg.sealed.Load()
		if j.byID[sg.id] != nil || part == nil || part.footer.Totals().MinSeq >= newest {
			continue
		}
		if err := j.neededBy(sg, part, markers); err != nil {
			return inFile(sg.name(), err)
		}
	}
	return nil
}

func (j *compactJob) neededBy(sg *seg, part *sealedPart, markers []compaction.Marker) error {
	least := part.footer.Totals().MinSeq
	filter, err := part.footer.Filter()
	if err != nil {
		return err
	}
	for i := range markers {
		m := &markers[i]
		if m.Needed || m.Seq <= least || !filter.MayContain(m.Hash) {
			continue
		}
		if err := j.Yield(); err != nil {
			return err
		}
		blocks, err := part.index()
		if err != nil {
			return err
		}
		e, ok, err := blocks.Lookup(m.Key)
		if err != nil {
			return err
		}
		m.Needed = ok && e.Seq < m.Seq
	}
	return nil
}

// Yield ends the job when the store is being closed.
func (j *compactJob) Yield() error { return j.c.yield() }

// commit makes the outputs count instead of the victims.
func (j *compactJob) commit() error {
	s := j.s
	if err := j.values.finish(); err != nil {
		return err
	}
	if len(j.outputs) > 0 || j.values.used() {
		if err := s.fs.SyncDir(s.dir); err != nil {
			return &syncError{file: s.dir, err: err}
		}
	}
	var added []*seg
	for _, o := range j.outputs {
		sg, err := o.open()
		if err != nil {
			return err
		}
		added = append(added, sg)
	}
	var err error
	if j.lost, err = j.lostValues(added); err != nil {
		return err
	}
	if err := s.committer.syncQuietly(); err != nil {
		return err
	}
	if s.compactor.halting.Load() {
		return errHalted
	}
	j.c.pace.moving = true
	if err := j.replace(added); err != nil {
		return err
	}
	if err := j.move(added); err != nil {
		// The index still needs the victims. Opening again builds it anew.
		return s.committer.fail(err)
	}
	j.drop(added)
	return nil
}

// replace is the step that makes the outputs count.
func (j *compactJob) replace(added []*seg) error {
	s := j.s
	s.state.Lock()
	defer s.state.Unlock()
	if !s.segs.room(len(added) + len(j.values.outputs)) {
		return errTooManySegments // after the edit it would be too late
	}
	var e edit
	for _, sg := range added {
		e = e.add(sg.id, sg.kind, sg.salt).seal(sg.id, sg.end.Load())
	}
	e = j.values.list(e)
	seq := s.manifest.state.lastSeq
	for _, sg := range j.segs {
		e = e.remove(sg.id)
		if part := sg.sealed.Load(); part != nil {
			seq = max(seq, part.footer.Totals().MaxSeq)
		}
	}
	e = j.listLost(e)
	e = e.reached(max(j.now, s.manifest.state.maxTime), seq)
	if err := s.commitEdit(e); err != nil {
		// The next open may find the edit: the outputs have to stay until
		// another edit is in its place.
		j.orphan()
		return err
	}
	j.outputs = nil
	for _, sg := range append(added, j.values.added()...) {
		_ = s.segs.add(sg) // there is room
		j.report.made += s.allocated(sg)
	}
	for _, sg := range added {
		s.checkpointed.behind += sg.end.Load()
	}
	return nil
}

// drop takes the victims out of the table. What still reads them keeps their
// files.
func (j *compactJob) drop(added []*seg) {
	s := j.s
	oldest := ^uint64(0)
	s.state.Lock()
	for _, sg := range j.segs {
		if part := sg.sealed.Load(); part != nil {
			if t := part.footer.Totals(); t.Puts+t.Pointers > 0 {
				oldest = min(oldest, t.MinSeq)
			}
		}
		j.report.removed++
		j.report.freed += s.allocated(sg)
		sg.onClose = func() { s.removeSegment(sg) }
		s.segs.remove(sg)
		sg.release()
	}
	s.state.Unlock()
	// Tombstones that hid something in them may have become superfluous, and
	// pointers have if the values are gone; not those that were judged just now.
	values := len(j.values.victims) > 0
	for _, sg := range s.segs.all() {
		if !sg.kept || slices.Contains(added, sg) {
			continue
		}
		if t := sg.sealed.Load().footer.Totals(); t.Tombstones > 0 && t.MaxSeq > oldest || values && t.Pointers > 0 {
			sg.kept = false
		}
	}
}

// removeSegment removes the file of a segment that the manifest does not list any
// more. If that fails, the next open does.
func (s *Store) removeSegment(sg *seg) {
	if err := s.fs.Remove(s.path(sg.name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("cannot remove a segment that is not in use any more", "dir", s.dir, "segment", sg.name(), "error", err)
	}
}

// idRange is a range of ids that the manifest has given out.
type idRange struct{ next, end uint64 }

// idBlock is how many ids a job takes at a time: each edit of the manifest is a
// sync. The last of a block is never used, so that the last id that was given out
// is not that of a segment with frames that is not listed; see checkUnlisted.
const idBlock = 8

func (j *compactJob) newID() (uint64, error) {
	if j.ids.next+1 >= j.ids.end {
		s := j.s
		s.state.Lock()
		defer s.state.Unlock()
		first := s.manifest.state.nextID
		if err := s.manifest.commit(edit(nil).next(first + idBlock)); err != nil {
			return 0, err
		}
		j.ids = idRange{first, first + idBlock}
		j.c.removeOrphans() // the edit is in the place of theirs
	}
	j.ids.next++
	return j.ids.next - 1, nil
}

// orphan gives the outputs up but leaves their files.
func (j *compactJob) orphan() {
	for _, o := range j.outputs {
		j.c.orphans = append(j.c.orphans, o.name)
		o.close()
	}
	j.c.orphans = append(j.c.orphans, j.values.orphan()...)
	j.outputs = nil
}

// removeOrphans removes what jobs left behind whose edit failed.
func (c *compactor) removeOrphans() {
	for _, name := range c.orphans {
		_ = c.s.fs.Remove(c.s.path(name)) // or the next open does
	}
	c.orphans = nil
}

// abandon removes what was written. It never counted.
func (j *compactJob) abandon() {
	for _, o := range j.outputs {
		o.close()
		_ = j.s.fs.Remove(j.s.path(o.name)) // or the next open does
	}
	j.outputs = nil
	j.values.abandon()
}

// jobOutput is a packed segment being written.
type jobOutput struct {
	j    *compactJob
	info *segmentInfo
	name string
	file *pacedFile
	size int64
}

// Create makes the file of a packed segment.
func (j *compactJob) Create() (compaction.Output, error) {
	if !j.s.segs.room(1) {
		return nil, errTooManySegments
	}
	id, err := j.newID()
	if err != nil {
		return nil, err
	}
	o := &jobOutput{j: j, info: &segmentInfo{id: id, kind: segment.Packed, salt: randomUint64()}, name: segmentName(id)}
	file, err := j.s.fs.Create(j.s.path(o.name))
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	o.file = &pacedFile{File: file, name: o.name, written: &j.c.written}
	j.outputs = append(j.outputs, o)
	return o, nil
}

func (o *jobOutput) WriteAt(b []byte, off int64) (int, error) { return o.file.WriteAt(b, off) }

// Header returns what the file begins with.
func (o *jobOutput) Header() segment.Header { return o.j.s.header(o.info) }

// Finish makes the segment durable.
func (o *jobOutput) Finish(size int64) error {
	o.size = size
	if err := o.file.Sync(); err != nil {
		return &syncError{file: o.name, err: err}
	}
	return nil
}

// open makes a segment of what was written.
func (o *jobOutput) open() (*seg, error) {
	sg, err := o.j.s.newSeg(o.info, o.file.File)
	if err != nil {
		return nil, err
	}
	footer, err := sg.reader.ReadFooter(o.size)
	if err != nil {
		return nil, inFile(o.name, err)
	}
	sg.end.Store(o.size)
	sg.sealed.Store(o.j.s.newSealedPart(sg, o.size, footer))
	sg.kept = true
	return sg, nil
}

func (o *jobOutput) close() { _ = o.file.Close() }

// header returns the file header of a segment.
func (s *Store) header(info *segmentInfo) segment.Header {
	return segment.Header{Kind: info.kind, StoreID: s.manifest.state.storeID, ID: info.id, Salt: info.salt}
}
