package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// VerifyReport is what [Store.Verify] found.
type VerifyReport struct {
	Segments int64
	Frames   int64
	Records  int64
	Bytes    int64 // read
	Damage   []*CorruptError
}

// VerifyOptions change how a store is verified.
type VerifyOptions struct {
	// BytesPerSecond is how fast it reads at most, so that a store in use can
	// be verified all the time. 0: as fast as it can.
	BytesPerSecond int64

	// Progress, if not nil, is called now and then with the bytes read so far
	// and in all, from the goroutine of the caller.
	Progress func(done, total int64)
}

// Verify reads everything in the store and checks it: every frame against its
// checksums, every record, the footers against the records, every live pair
// through the index, the counters against a recount. Damage is reported, not
// returned as an error; an error means that the check could not be done. Writes
// and compaction may go on meanwhile; what they add is not checked, and the
// counters are not compared then. Nor is what nobody can read any more in value
// segments, as an interrupted stream leaves it too. Segments that are compacted
// away stay on disk until it is done.
func (s *Store) Verify(ctx context.Context, opts *VerifyOptions) (*VerifyReport, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	v := &verifier{s: s, ctx: ctx, started: time.Now(), report: &VerifyReport{}}
	if opts != nil {
		v.progress, v.rate = opts.Progress, opts.BytesPerSecond
	}
	v.seq, v.quiet = s.committer.settled()
	v.changes = s.segs.changes.Load()
	v.segs = s.acquireAll()
	defer releaseAll(v.segs)
	for _, sg := range v.segs {
		v.total += v.end(sg)
	}
	for _, sg := range v.segs {
		if err := v.segment(sg); err != nil {
			return nil, err
		}
		v.report.Segments++
	}
	if err := v.pairs(); err != nil {
		return nil, err
	}
	return v.report, v.manifest()
}

type verifier struct {
	s        *Store
	ctx      context.Context
	progress func(done, total int64)
	report   *VerifyReport
	segs     []*seg
	total    int64
	before   int64 // bytes of the segments that are done

	rate    int64 // bytes a second, or 0
	started time.Time
	read    int64 // bytes

	// seq was the last sequence number at the beginning. If quiet is set, all
	// writes up to it were in the log and visible.
	seq     uint64
	quiet   bool
	changes int64 // of the segment table at the beginning
}

// end returns how far a segment is checked.
func (v *verifier) end(sg *seg) int64 {
	if part := sg.sealed.Load(); part != nil {
		return part.size
	}
	return sg.end.Load()
}

// pace notes that n bytes were read, and waits if that is more than the rate allows.
func (v *verifier) pace(n int64) error {
	v.read += n
	if v.rate <= 0 {
		return v.ctx.Err()
	}
	ahead := time.Duration(float64(v.read)/float64(v.rate)*float64(time.Second)) - time.Since(v.started)
	if ahead < 10*time.Millisecond { // timers are not worth less
		return v.ctx.Err()
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-v.ctx.Done():
		return v.ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (v *verifier) damage(file string, off int64, reason string) {
	v.report.Damage = append(v.report.Damage, &CorruptError{File: file, Offset: off, Reason: reason})
}

// failed notes the error as damage, or returns it if it is something else.
func (v *verifier) failed(file string, err error) error {
	var c *CorruptError
	var inSegment *segment.CorruptError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &c):
		v.report.Damage = append(v.report.Damage, c)
	case errors.As(err, &inSegment):
		v.damage(file, inSegment.Offset, inSegment.Reason)
	case errors.Is(err, ErrCorrupt):
		v.damage(file, 0, err.Error())
	default:
		return err
	}
	return nil
}

// segment checks the frames of a segment and its footer. The frames of a value
// segment that belong to live pairs are read through the index: what lies
// between them may be what an interrupted stream left.
func (v *verifier) segment(sg *seg) error {
	part := sg.sealed.Load() // or not, if it is being sealed right now
	end := sg.end.Load()
	if part != nil {
		end = part.size
	}
	defer func() { v.before += end }()
	if _, err := segment.NewReader(sg.file); err != nil {
		return v.failed(sg.name(), err)
	}
	if sg.kind == segment.Value {
		return nil
	}
	if part != nil {
		end -= segment.TrailerSize
	}
	found := &footerCheck{places: map[recordPlace]struct{}{}}
	if err := v.frames(sg, end, part, found); err != nil {
		return err
	}
	if part == nil {
		return nil
	}
	return v.failed(sg.name(), v.footer(sg, found))
}

// footerCheck is what a footer is compared with: the places of the records in
// the frames.
type footerCheck struct {
	places map[recordPlace]struct{}
}

type recordPlace struct {
	off     int64
	ordinal int
	seq     uint64
}

func (v *verifier) frames(sg *seg, end int64, part *sealedPart, found *footerCheck) error {
	scan := sg.reader.Scan(segment.HeaderSize, end)
	for from := int64(segment.HeaderSize); ; {
		for scan.Next() {
			if err := v.pace(scan.Frame().Size()); err != nil {
				return err
			}
			v.frame(sg, scan, part, found)
		}
		from = scan.End()
		if err := scan.Err(); err != nil && !errors.Is(err, segment.ErrCorrupt) {
			return fmt.Errorf("%s: %w", sg.name(), err)
		}
		if from >= end {
			break
		}
		ok := scan.Search(from + 8)
		to := end
		if ok {
			to = scan.Offset()
		}
		v.damage(sg.name(), from, fmt.Sprintf("%d bytes hold no valid frame", to-from))
		if !ok {
			break
		}
		v.frame(sg, scan, part, found)
	}
	v.report.Bytes += end
	return nil
}

func (v *verifier) frame(sg *seg, scan *segment.Scanner, part *sealedPart, found *footerCheck) {
	v.report.Frames++
	if v.progress != nil && v.report.Frames%256 == 0 {
		v.progress(v.before+scan.End(), v.total)
	}
	payload, err := scan.Payload()
	if err != nil {
		_ = v.failed(sg.name(), err)
		return
	}
	if scan.Frame().Type != segment.FrameRecords {
		return
	}
	var rec segment.Record
	for i := 0; len(payload) > 0; i++ {
		n, ok := segment.DecodeRecord(payload, &rec)
		if !ok {
			v.damage(sg.name(), scan.Offset(), fmt.Sprintf("record %d does not parse", i))
			return
		}
		payload = payload[n:]
		v.report.Records++
		if part != nil {
			found.places[recordPlace{scan.Offset(), i, rec.Seq}] = struct{}{}
		}
	}
}

// footer checks that every entry of a footer names a record that is there.
func (v *verifier) footer(sg *seg, found *footerCheck) error {
	footer, err := sg.reader.ReadFooter(v.end(sg))
	if err != nil {
		return err
	}
	blocks, err := footer.Blocks()
	if err != nil {
		return err
	}
	filter, err := footer.Filter()
	if err != nil {
		return err
	}
	var entries int64
	it := blocks.Iterator(true)
	for it.Next() {
		e := it.Entry()
		entries++
		if _, ok := found.places[recordPlace{e.Offset, e.Ordinal, e.Seq}]; !ok {
			v.damage(sg.name(), e.Offset, fmt.Sprintf("the footer lists a record of key %q here, there is none", e.Key))
		}
		if !filter.MayContain(segment.KeyHash(e.Key)) {
			v.damage(sg.name(), e.Offset, fmt.Sprintf("the filter of the footer lacks key %q", e.Key))
		}
	}
	totals := footer.Totals()
	if it.Err() == nil && entries != totals.Entries {
		v.damage(sg.name(), v.end(sg), fmt.Sprintf("the footer lists %d keys and counts %d", entries, totals.Entries))
	}
	if n := totals.Puts + totals.Pointers + totals.Tombstones; n != int64(len(found.places)) {
		v.damage(sg.name(), v.end(sg), fmt.Sprintf("the footer counts %d records, there are %d", n, len(found.places)))
	}
	return it.Err()
}

// pairs reads every live pair that the footers and logs list, as a get does but
// for the cache, and compares the counters with what it finds.
func (v *verifier) pairs() error {
	var all []*source
	for _, sg := range v.segs {
		sources, err := sg.sources(false)
		if err != nil {
			if err := v.failed(sg.name(), err); err != nil {
				return err
			}
			continue
		}
		all = append(all, sources...)
	}
	before := v.s.index.Totals(v.s.clock.now())
	var live Count
	m := newMerger(all, nil)
	for m.Next() {
		e := m.Entry()
		if err := v.pace(0); err != nil {
			return err
		}
		loc, home, err := v.s.locate(m.seg(), e)
		if err != nil {
			continue // not the newest of its key, or opening would have failed
		}
		known, ok := v.s.index.Get(v.s.hasher.Sum(string(e.Key)))
		if e.Tombstone || !ok || known.Location != loc {
			continue
		}
		live.add(e.Size())
		if err := v.failed(home.name(), v.pair(home, loc, e)); err != nil {
			return err
		}
	}
	if m.err() == nil && v.quiet && !v.s.closed.Load() && v.unchanged() && (Count{before.Keys, before.Bytes}) != live {
		v.damage("index", 0, fmt.Sprintf("it counts %d pairs of %d bytes, there are %d of %d",
			before.Keys, before.Bytes, live.Records, live.Bytes))
	}
	return v.failed(manifestName, m.err())
}

// unchanged reports whether nothing was written or moved since the beginning.
// While a job moves the index, its victims are in the table, but not in the
// manifest any more.
func (v *verifier) unchanged() bool {
	s := v.s
	if v.seq != s.committer.lastSeq() || v.changes != s.segs.changes.Load() {
		return false
	}
	s.state.Lock()
	defer s.state.Unlock()
	return !slices.ContainsFunc(v.segs, func(sg *seg) bool { return s.manifest.state.segments[sg.id] == nil })
}

func (v *verifier) pair(home *seg, loc index.Location, e *segment.Entry) error {
	var g getter
	off := int64(loc.Unit()) * 8
	if err := home.reader.ReadRecord(off, int(loc.Ordinal()), readHint(home, e.Size()), &g.buf, &g.rec); err != nil {
		return err
	}
	if string(g.rec.Key) != string(e.Key) || g.rec.Length != e.Length || len(g.rec.Metadata) != e.MetadataLen {
		return &CorruptError{File: home.name(), Offset: off, Reason: fmt.Sprintf("the record is not that of key %q", e.Key)}
	}
	if g.rec.Chunks == nil {
		return nil
	}
	v.report.Records++
	v.report.Frames += 1 + int64(len(g.rec.Chunks))
	v.report.Bytes += g.rec.Length
	r := &ValueReader{sg: home, chunks: g.rec.Chunks, left: g.rec.Length}
	_, err := io.Copy(io.Discard, &pacedReader{v, r})
	return err
}

// pacedReader reads a value at the rate of the verifier.
type pacedReader struct {
	v *verifier
	r io.Reader
}

func (p *pacedReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if paceErr := p.v.pace(int64(n)); err == nil {
		err = paceErr
	}
	return n, err
}

// manifest checks the files that are read only when a store is opened.
func (v *verifier) manifest() error {
	v.s.state.Lock()
	_, err := openManifest(v.s.fs, v.s.dir, true)
	v.s.state.Unlock()
	if err := v.failed(manifestName, err); err != nil {
		return err
	}
	file, err := v.s.fs.Open(v.s.path(checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, ErrNotRegular) {
		v.damage(checkpointName, 0, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = v.s.readCheckpoint(file, v.s.checkShard)
	switch {
	case errors.Is(err, errStale):
		return nil
	case errors.Is(err, errCheckpoint), errors.Is(err, ErrVersion), errors.Is(err, io.EOF):
		v.damage(checkpointName, 0, err.Error())
		return nil
	}
	return err
}
