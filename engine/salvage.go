package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// SalvageReport is what [Salvage] found.
type SalvageReport struct {
	Pairs   int64 // copied
	Bytes   int64 // of their keys, metadata and values
	Expired int64 // pairs left out because they have expired

	// Lost are the pairs that are known to have been there, and cannot be
	// read, in the order of their keys.
	Lost []LostPair

	// Damage are the parts of files that hold nothing that can be read. What
	// was in them is among Lost as far as a footer tells; if Unknown is set,
	// there may have been more: pairs, and versions newer than those copied,
	// also deletes.
	Damage  []DamagedRange
	Unknown bool
}

// LostPair is a pair whose newest version cannot be read.
type LostPair struct {
	Key    string
	File   string // where it was
	Offset int64
	Reason string
}

// DamagedRange is a part of a file that holds nothing that can be read.
type DamagedRange struct {
	File   string
	Offset int64
	Length int64 // in bytes; 0: the file as a whole, or what is not there
	Reason string
}

// SalvageOptions change how a store is salvaged.
type SalvageOptions struct {
	// Options are those of the new store. Its limits do not matter, the
	// clock says which pairs have expired: or the highest time that the
	// damaged store recorded, unless that is more than a day ahead of the
	// clock and AllowClockBehind is not set.
	Options Options

	// Progress, if not nil, is called now and then with the bytes of the
	// segments read so far and in all, from the goroutine of the caller.
	Progress func(done, total int64)
}

// Salvage copies everything that can be read of the store in dir, which is
// damaged, to a new store in dest, a directory that is empty or does not exist. It
// changes nothing in dir, and needs no more of it than the segments: where the
// manifest, the checkpoint or a footer is damaged, it goes by the frames alone.
//
// Only the newest version of a pair is copied. If that cannot be read, the pair is
// reported as lost: an older version would be wrong. That goes also for a large value
// that was not on disk yet when the power failed, with [SyncEvery] or [SyncNever],
// where [Open] goes back to the version before. A batch that was damaged may be there
// in part. Without the manifest, pairs that were deleted may be back, if the files
// were just being compacted, and the report says so by Unknown.
//
// All keys of the store are kept in memory, at some 150 bytes each beside the key.
// An error means that the copy could not be made, and that dest is of no use;
// damage in dir is no error. If another process has the store open for writing, it
// is [ErrLocked].
func Salvage(ctx context.Context, dir, dest string, opts *SalvageOptions) (*SalvageReport, error) {
	var o SalvageOptions
	if opts != nil {
		o = *opts
	}
	sv := &salvager{
		ctx: ctx, dir: filepath.Clean(dir), progress: o.Progress,
		opts: o.Options.withDefaults(), newest: map[string]salvaged{}, copies: map[string][]salvaged{},
		byID: map[uint64]*salvageSegment{},
	}
	sv.fs, sv.now = sv.opts.fs, sv.opts.Clock()
	sv.clock = sv.now.Unix()
	err := sv.run(dest)
	if err != nil {
		return nil, fmt.Errorf("salvage %s: %w", sv.dir, err)
	}
	return &sv.report, nil
}

type salvager struct {
	ctx      context.Context
	fs       vfs.FS
	dir      string
	opts     Options
	progress func(done, total int64)
	report   SalvageReport

	clock       int64     // what it said at the beginning, in Unix seconds
	now         time.Time // at which pairs have expired or not
	storeID     [16]byte
	leftover    []string // files that the manifest does not list, not opened
	segs        []*salvageSegment
	byID        map[uint64]*salvageSegment
	newest      map[string]salvaged
	copies      map[string][]salvaged // of the newest version, if its value is elsewhere
	frames      int64                 // read
	done, total int64                 // bytes
}

// salvageSegment is a segment of the damaged store.
type salvageSegment struct {
	*seg
	info *segmentInfo // what the manifest says, if it can be read
	size int64
	gaps []gap // that hold no valid frame, by offset
}

type gap struct{ from, to int64 }

// salvaged is the newest version of a key so far.
type salvaged struct {
	seq       uint64
	sg        *salvageSegment
	off       int64
	ordinal   int
	tombstone bool
	large     bool   // the value is in a value segment
	lost      string // why it cannot be read, or empty
}

func (sv *salvager) run(dest string) error {
	lock, err := sv.fs.LockShared(filepath.Join(sv.dir, lockName))
	if err == nil {
		defer lock.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := sv.checkDest(dest); err != nil {
		return err
	}
	defer func() {
		for _, sg := range sv.segs {
			sg.release()
		}
	}()
	if err := sv.openAll(); err != nil {
		return err
	}
	for _, sg := range sv.segs {
		if err := sv.read(sg); err != nil {
			return err
		}
	}
	return sv.copyAll(dest)
}

// recorded notes a time that the store has recorded, which never runs backwards.
func (sv *salvager) recorded(second int64) {
	if now := sv.now.Unix(); second > now && (second <= sv.clock+maxClockLag || sv.opts.AllowClockBehind) {
		sv.now = time.Unix(second, 0)
	}
}

// checkDest refuses what is not empty, or inside of the damaged store.
func (sv *salvager) checkDest(dest string) error {
	from, fromErr := filepath.Abs(sv.dir)
	to, toErr := filepath.Abs(dest)
	if err := errors.Join(fromErr, toErr); err != nil {
		return err
	}
	if rel, err := filepath.Rel(from, to); err == nil && rel != "." && filepath.IsLocal(rel) {
		return fmt.Errorf("%s is inside of the damaged store", dest)
	}
	names, err := sv.fs.List(dest)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s is not empty: %w", dest, fs.ErrExist)
	}
	return err
}

// openAll opens the segments that the manifest lists. If it is damaged, or not the
// newest, as segments that it lists are gone, or there are some that it should list,
// it opens all that there are.
func (sv *salvager) openAll() error {
	names, err := sv.fs.List(sv.dir)
	if err != nil {
		return err
	}
	m, err := openManifest(sv.fs, sv.dir, true)
	var listed map[uint64]*segmentInfo
	var c *CorruptError
	switch {
	case err == nil:
		sv.storeID = m.state.storeID
		sv.recorded(m.state.maxTime)
		whole, err := sv.openListed(m)
		if err != nil {
			return err
		}
		leftover, err := m.checkFiles(names)
		if err == nil && whole {
			sv.leftover = leftover
			return nil
		}
		if errors.As(err, &c) {
			sv.damaged(manifestName, c.Offset, 0, c.Reason)
		} else if err != nil {
			return err
		}
		listed = m.state.segments
	case errors.As(err, &c):
		sv.damaged(manifestName, c.Offset, 0, c.Reason)
	case errors.Is(err, fs.ErrNotExist):
		sv.damaged(manifestName, 0, 0, "there is none")
	default:
		return err
	}
	sv.report.Unknown = true
	for _, name := range names {
		if id, ok := segmentID(name); !ok || listed[id] != nil {
			continue
		}
		if _, err := sv.open(name, nil); err != nil {
			return err
		}
	}
	if len(sv.segs) == 0 {
		return fmt.Errorf("%w: there is neither a manifest nor a segment", ErrNotStore)
	}
	sv.dropForeign()
	return nil
}

// openListed opens what the manifest lists, and reports whether all of it is there.
func (sv *salvager) openListed(m *manifest) (whole bool, err error) {
	whole = true
	for _, info := range m.state.sorted() {
		want := m.state.header(info)
		sg, err := sv.open(segmentName(info.id), &want)
		if err != nil {
			return false, err
		}
		if sg == nil {
			whole = false
			continue
		}
		sg.info = info
	}
	return whole, nil
}

// dropForeign drops the segments of other stores than that of the manifest, or
// without it, than that of most.
func (sv *salvager) dropForeign() {
	reason := "of another store"
	if sv.storeID == [16]byte{} {
		reason = "of another store than most segments"
		count := map[[16]byte]int{}
		for _, sg := range sv.segs {
			id := sg.reader.Header().StoreID
			if count[id]++; count[id] > count[sv.storeID] {
				sv.storeID = id
			}
		}
	}
	sv.segs = slices.DeleteFunc(sv.segs, func(sg *salvageSegment) bool {
		if sg.reader.Header().StoreID == sv.storeID {
			return false
		}
		sv.damaged(sg.name(), 0, sg.size, reason)
		sv.total -= sg.size
		delete(sv.byID, sg.id)
		sg.release()
		return true
	})
}

// open opens a segment. It returns nil if nothing can be read of it. want is what
// its header should be: if that is damaged, it can be read all the same.
func (sv *salvager) open(name string, want *segment.Header) (*salvageSegment, error) {
	file, err := sv.fs.Open(filepath.Join(sv.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		sv.damaged(name, 0, 0, "there is no such file")
		return nil, nil
	}
	if errors.Is(err, ErrNotRegular) {
		sv.damaged(name, 0, 0, ErrNotRegular.Error())
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sg, err := sv.openFile(name, file, want)
	if sg == nil {
		_ = file.Close()
		return nil, err
	}
	sv.segs, sv.byID[sg.id] = append(sv.segs, sg), sg
	sv.total += sg.size
	return sg, err
}

func (sv *salvager) openFile(name string, file vfs.File, want *segment.Header) (*salvageSegment, error) {
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	reader, err := segment.NewReader(file)
	switch {
	case err != nil && size < segment.HeaderSize:
		sv.damaged(name, size, 0, "file cut short, nothing is left")
		return nil, nil
	case errors.Is(err, ErrCorrupt) && want != nil:
		sv.damaged(name, 0, segment.HeaderSize, "file header is damaged")
		if reader, err = segment.NewReader(&headed{file, want.Append(nil)}); err != nil {
			return nil, err
		}
	case errors.Is(err, ErrCorrupt):
		sv.damaged(name, 0, size, "file header is damaged, and with it the key of all checksums")
		return nil, nil
	case err != nil:
		return nil, inFile(name, err)
	case want != nil && reader.Header() != *want:
		sv.damaged(name, 0, size, "of another store, or an older copy")
		return nil, nil
	case segmentName(reader.Header().ID) != name:
		sv.damaged(name, 0, size, "a segment under another name")
		return nil, nil
	}
	h := reader.Header()
	sg := &seg{id: h.ID, kind: h.Kind, salt: h.Salt, file: file, reader: reader}
	sg.refs.Store(1)
	return &salvageSegment{seg: sg, size: size}, nil
}

// headed is a file with another header.
type headed struct {
	vfs.File
	header []byte
}

func (h *headed) ReadAt(b []byte, off int64) (int, error) {
	n, err := h.File.ReadAt(b, off)
	if off < int64(len(h.header)) {
		copy(b[:n], h.header[off:])
	}
	return n, err
}

func (sv *salvager) damaged(file string, off, length int64, reason string) {
	sv.report.Damage = append(sv.report.Damage, DamagedRange{file, off, length, reason})
}

// read notes what there is in a log or packed segment.
func (sv *salvager) read(sg *salvageSegment) error {
	if sg.kind == segment.Value {
		sv.done += sg.size
		return nil
	}
	end := sg.size
	sealed := sg.kind == segment.Packed
	if sg.info != nil {
		sealed = sg.info.state == stateSealed
		if sg.info.state != stateActive {
			end = min(end, sg.info.end)
		}
		if sg.info.end > sg.size {
			sv.damaged(sg.name(), sg.size, sg.info.end-sg.size, "file cut short")
			sg.gaps = append(sg.gaps, gap{sg.size, math.MaxInt64})
			sv.report.Unknown = true
		}
	}
	footer, footerErr := sg.reader.ReadFooter(end)
	if footerErr == nil {
		sealed = true
		sv.recorded(footer.Totals().MaxTime)
	}
	limit := end
	if footerErr == nil || sealed && sg.info != nil && sg.info.end == end {
		limit -= segment.TrailerSize // a file that was cut has frames up to its end
	}
	if err := sv.scan(sg, limit, sealed); err != nil {
		return err
	}
	if !sealed {
		return nil
	}
	if footerErr == nil {
		footerErr = sv.footer(sg, footer)
	}
	if footerErr == nil {
		return nil
	}
	var c *segment.CorruptError
	if !errors.As(footerErr, &c) {
		return inFile(sg.name(), footerErr)
	}
	if !sg.inGap(c.Offset) {
		sv.damaged(sg.name(), c.Offset, 0, c.Reason)
	}
	if len(sg.gaps) > 0 {
		sv.report.Unknown = true
	}
	return nil
}

func (sg *salvageSegment) inGap(off int64) bool {
	return slices.ContainsFunc(sg.gaps, func(g gap) bool { return g.from <= off && off < g.to })
}

// scan goes through the frames up to limit and notes their records.
func (sv *salvager) scan(sg *salvageSegment, limit int64, sealed bool) error {
	scan := sg.reader.Scan(segment.HeaderSize, limit)
	var commit []salvagedRecord // that is not complete yet
	for {
		for scan.Next() {
			if err := sv.frame(sg, scan, &commit); err != nil {
				return err
			}
		}
		from := scan.End()
		if err := scan.Err(); err != nil && !errors.Is(err, ErrCorrupt) {
			return fmt.Errorf("%s: %w", sg.name(), err)
		}
		if from >= limit || sealed && from == sg.size-segment.TrailerSize {
			break
		}
		found := scan.Search(from)
		if err := scan.Err(); err != nil && !errors.Is(err, ErrCorrupt) {
			return fmt.Errorf("%s: %w", sg.name(), err)
		}
		if !found && !sealed {
			return sv.tail(sg, from)
		}
		to := limit
		if found {
			to = scan.Offset()
		}
		sv.gap(sg, from, to, "no valid frame")
		if !sealed {
			sv.report.Unknown = true
		}
		// What is left of a commit was acknowledged: more follows it.
		sv.accept(commit)
		commit = commit[:0]
		if !found {
			break
		}
		if err := sv.frame(sg, scan, &commit); err != nil {
			return err
		}
	}
	if sealed {
		sv.accept(commit)
	}
	sv.done += sg.size
	return nil
}

// tail looks at what is behind the last frame of a log segment that takes frames,
// or took them last. A commit that is not complete there never counted.
func (sv *salvager) tail(sg *salvageSegment, from int64) error {
	sv.done += sg.size
	dirty, err := hasBytes(sg.seg, from, sg.size)
	if err != nil || !dirty && (sg.info == nil || sg.info.end <= from) {
		return err
	}
	sv.gap(sg, from, sg.size, "no valid frame: damaged, or a write that a crash interrupted")
	sv.report.Unknown = true
	return nil
}

func (sv *salvager) gap(sg *salvageSegment, from, to int64, reason string) {
	if n := len(sg.gaps); n > 0 && sg.gaps[n-1].to == from {
		sg.gaps[n-1].to = to
	} else {
		sg.gaps = append(sg.gaps, gap{from, to})
	}
	if n := len(sv.report.Damage); n > 0 {
		// Neighbours are one range: a dictionary that is lost takes every frame.
		if last := &sv.report.Damage[n-1]; last.File == sg.name() && last.Offset+last.Length == from && last.Reason == reason {
			last.Length += to - from
			return
		}
	}
	sv.damaged(sg.name(), from, to-from, reason)
}

type salvagedRecord struct {
	key string
	salvaged
}

// frame notes the records of the current frame, when their commit is complete.
func (sv *salvager) frame(sg *salvageSegment, scan *segment.Scanner, commit *[]salvagedRecord) error {
	if err := sv.ctx.Err(); err != nil {
		return err
	}
	if sv.frames++; sv.progress != nil && sv.frames%256 == 0 {
		sv.progress(sv.done+scan.Offset(), sv.total)
	}
	f := scan.Frame()
	if f.Type != segment.FrameRecords {
		return nil
	}
	if sg.kind == segment.Log && sg.info != nil && sg.info.state == stateActive && f.Incarnation != sg.info.incarnation(scan.Offset()) {
		return nil // left behind by an earlier life of the log
	}
	sv.recorded(f.Time)
	payload, err := scan.Payload()
	var c *segment.CorruptError
	if errors.As(err, &c) {
		sv.gap(sg, scan.Offset(), scan.End(), c.Reason)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", sg.name(), err)
	}
	var rec segment.Record
	for i := 0; len(payload) > 0; i++ {
		n, ok := segment.DecodeRecord(payload, &rec)
		if !ok {
			sv.gap(sg, scan.Offset(), scan.End(), fmt.Sprintf("record %d does not parse", i))
			break
		}
		payload = payload[n:]
		*commit = append(*commit, salvagedRecord{string(rec.Key), salvaged{
			seq: rec.Seq, sg: sg, off: scan.Offset(), ordinal: i, tombstone: rec.Tombstone, large: rec.Pointer != nil,
		}})
	}
	if !f.More {
		sv.accept(*commit)
		*commit = (*commit)[:0]
	}
	return nil
}

// accept notes versions of keys, where they are the newest so far. Of one that a
// crash in a compaction left twice, one may be a tombstone: then it has expired. The
// value of another may have been moved, so that only one of the two can be read.
func (sv *salvager) accept(records []salvagedRecord) {
	for i := range records {
		r := &records[i]
		old, ok := sv.newest[r.key]
		switch {
		case !ok:
		case r.seq > old.seq:
			delete(sv.copies, r.key)
		case r.seq < old.seq || old.tombstone:
			continue
		case r.tombstone || old.lost != "":
		case r.large && old.large && r.lost == "":
			sv.copies[r.key] = append(sv.copies[r.key], old)
		default:
			continue
		}
		sv.newest[r.key] = r.salvaged
	}
}

// footer notes the keys whose records are in gaps.
func (sv *salvager) footer(sg *salvageSegment, footer *segment.Footer) error {
	if len(sg.gaps) == 0 {
		return nil
	}
	blocks, err := footer.Blocks()
	if err != nil {
		return err
	}
	it := blocks.Iterator(false)
	for it.Next() {
		if e := it.Entry(); sg.inGap(e.Offset) {
			sv.accept([]salvagedRecord{{string(e.Key), salvaged{
				seq: e.Seq, sg: sg, off: e.Offset, ordinal: e.Ordinal, tombstone: e.Tombstone, lost: "its frame is damaged",
			}}})
		}
	}
	return it.Err()
}

// copyAll writes the newest versions to the new store.
func (sv *salvager) copyAll(dest string) error {
	opts := sv.opts
	opts.ReadOnly, opts.Sync = false, SyncNever
	opts.Clock = func() time.Time { return sv.now } // or pairs could expire on the way
	opts.Limits = Limits{
		KeyBytes: segment.MaxKey, ValueBytes: math.MaxInt64, MetadataBytes: segment.MaxMetadata, MinTTL: time.Second,
	}
	to, err := Open(dest, &opts)
	if err != nil {
		return err
	}
	err = sv.copyTo(to)
	if closeErr := to.Close(); err == nil {
		err = closeErr
	}
	return err
}

const (
	salvageBatch      = 1000
	salvageBatchBytes = 4 << 20
)

func (sv *salvager) copyTo(to *Store) error {
	keys := make([]string, 0, len(sv.newest))
	for key, v := range sv.newest {
		if !v.tombstone {
			keys = append(keys, key)
		}
	}
	// By place: each frame is read once or so from the disk.
	slices.SortFunc(keys, func(a, b string) int {
		x, y := sv.newest[a], sv.newest[b]
		return cmp.Or(cmp.Compare(x.sg.id, y.sg.id), cmp.Compare(x.off, y.off), cmp.Compare(x.ordinal, y.ordinal))
	})
	var batch Batch
	for _, key := range keys {
		if err := sv.ctx.Err(); err != nil {
			return err
		}
		if err := sv.copyPair(to, key, &batch); err != nil {
			return err
		}
		if batch.Len() == salvageBatch || batch.Bytes() >= salvageBatchBytes {
			if err := to.Write(sv.ctx, &batch); err != nil {
				return err
			}
			batch.Reset()
		}
	}
	slices.SortFunc(sv.report.Lost, func(a, b LostPair) int { return strings.Compare(a.Key, b.Key) })
	return to.Write(sv.ctx, &batch)
}

// copyPair copies one pair: to the batch, or if it is large, at once.
func (sv *salvager) copyPair(to *Store, key string, batch *Batch) error {
	v := sv.newest[key]
	if v.lost != "" {
		sv.lose(key, v.sg.name(), v.off, v.lost)
		return nil
	}
	damage, err := sv.copyVersion(to, key, &v, batch)
	for _, other := range sv.copies[key] {
		if damage == nil || err != nil {
			break
		}
		var still *CorruptError
		if still, err = sv.copyVersion(to, key, &other, batch); still == nil {
			damage = nil
		}
	}
	if damage != nil && err == nil {
		sv.lose(key, damage.File, damage.Offset, damage.Reason)
	}
	return err
}

// copyVersion copies a version of a pair, or says why it cannot be read.
func (sv *salvager) copyVersion(to *Store, key string, v *salvaged, batch *Batch) (*CorruptError, error) {
	var g getter
	sg, err := sv.record(&g, v)
	if err != nil {
		return damageOf(sg.name(), v.off, err)
	}
	rec := &g.rec
	switch {
	case string(rec.Key) != key || rec.Tombstone:
		return &CorruptError{File: sg.name(), Offset: v.off, Reason: "the record is that of another key"}, nil
	case rec.Expiration != 0 && rec.Expiration <= sv.now.Unix():
		sv.report.Expired++
		return nil, nil
	}
	opts := PutOptions{Metadata: cloneMetadata(rec.Metadata), Expiration: rec.Expiration}
	if rec.Chunks == nil {
		batch.Put(key, append([]byte(nil), rec.Value...), &opts)
		sv.count(rec)
		return nil, nil
	}
	r := &ValueReader{sg: sg.seg, chunks: rec.Chunks, left: rec.Length}
	if err := to.PutReader(sv.ctx, key, r, &opts); err != nil {
		if r.err != nil && errors.Is(err, r.err) {
			return damageOf(sg.name(), v.off, r.err)
		}
		return nil, err
	}
	sv.count(rec)
	return nil, nil
}

func (sv *salvager) count(rec *segment.Record) {
	sv.report.Pairs++
	sv.report.Bytes += int64(len(rec.Key)) + int64(len(rec.Metadata)) + rec.Length
}

// record reads that of a version, from the value segment if it is large, and
// returns the segment that it was in, or should have been.
func (sv *salvager) record(g *getter, v *salvaged) (*salvageSegment, error) {
	err := v.sg.reader.ReadRecord(v.off, v.ordinal, logHint, &g.buf, &g.rec)
	if err != nil || g.rec.Pointer == nil {
		return v.sg, err
	}
	p := *g.rec.Pointer
	home, err := sv.values(p.Segment)
	if err != nil {
		return v.sg, err
	}
	if home == nil {
		return v.sg, &segment.CorruptError{Offset: v.off, Reason: fmt.Sprintf("its value is in %s, which cannot be read", segmentName(p.Segment))}
	}
	return home, home.reader.ReadRecord(p.Offset, 0, largeHint, &g.buf, &g.rec)
}

// values returns the value segment with an id, or nil. One that the manifest does
// not list was dropped when nothing in it was in use any more; if something is, the
// edit that listed it is lost.
func (sv *salvager) values(id uint64) (*salvageSegment, error) {
	name := segmentName(id)
	at := slices.Index(sv.leftover, name)
	if at < 0 {
		return sv.byID[id], nil
	}
	sv.leftover = slices.Delete(sv.leftover, at, at+1)
	sg, err := sv.open(name, nil)
	if sg == nil || err != nil {
		return nil, err
	}
	if h := sg.reader.Header(); h.StoreID != sv.storeID || h.Kind != segment.Value {
		sv.segs = sv.segs[:len(sv.segs)-1]
		delete(sv.byID, id)
		sg.release()
		return nil, nil
	}
	sv.damaged(manifestName, 0, 0, fmt.Sprintf("it does not list %s, which is in use: it is not the newest", name))
	sv.report.Unknown = true
	return sg, nil
}

// damageOf tells damage from another error of reading a version.
func damageOf(file string, off int64, err error) (*CorruptError, error) {
	var c *CorruptError
	var in *segment.CorruptError
	switch {
	case errors.As(err, &c):
		return c, nil
	case errors.As(err, &in):
		return &CorruptError{File: file, Offset: in.Offset, Reason: in.Reason}, nil
	}
	return nil, fmt.Errorf("%s: at %d: %w", file, off, err)
}

func (sv *salvager) lose(key, file string, off int64, reason string) {
	sv.report.Lost = append(sv.report.Lost, LostPair{key, file, off, reason})
}
