package engine

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// BackupReport is what [Store.Backup] did, in segments and bytes.
type BackupReport struct {
	Linked int64 // segments that share their file with the store
	Copied int64 // segments that were copied, or a part of them
	Kept   int64 // segments that were there from an earlier backup

	CopiedBytes int64
	Bytes       int64 // of all segments of the backup
}

// Backup makes dest a copy of the store as it is at one instant: what was
// acknowledged before the call is in it, a batch as a whole or not at all, and
// nothing that is written after a write that is not. Writers wait only while that
// instant is noted.
//
// dest is a directory with a store in it. Opened read-only, it is a snapshot of
// this store. The first time that it is opened for writing, it becomes a store of
// its own; then it cannot take backups any more. Nothing that is written to one
// of the two is seen in the other.
//
// dest is made if it is missing. It may be empty, or hold an earlier backup of
// the same store: then only what is new since is linked or copied. Other
// directories are refused with [ErrNotBackup], and so is a backup that holds
// what this store does not have; one that somebody has open, with [ErrLocked].
// A crash leaves dest as it was before or as it is to be, or with a first backup
// that is not complete, which is not a store; the next backup clears up.
//
// Segments that are never modified again are linked if the file system can do
// that, and otherwise copied. A read-only store can be backed up too.
//
// progress, if not nil, is called now and then with the bytes done so far and in
// all, from the goroutine of the caller. The report is also valid in part if
// there is an error.
func (s *Store) Backup(ctx context.Context, dest string, progress func(done, total int64)) (BackupReport, error) {
	b := &backup{s: s, ctx: ctx, dir: filepath.Clean(dest), progress: progress}
	err := b.run()
	if err != nil {
		err = fmt.Errorf("back up %s to %s: %w", s.dir, b.dir, s.diskError(err))
	}
	return b.report, err
}

// backup is a backup under way.
//
// The manifest of the backup is replaced last, so everything that is done to the
// directory before has to leave the old backup as it is:
//
//   - Files of segments that the old manifest does not list may come and go, once
//     their ids are reserved in it.
//   - A file that the old manifest lists as sealed stays.
//   - A file that it lists as frozen or active belongs to the backup alone. It may
//     become longer: of a frozen log, only what is before its end counts, and in a
//     value segment only what records point to. It is never replaced by a link:
//     whoever opens the old backup for writing modifies it.
//
// So that the log can become longer, it is frozen in the backup. Opening that for
// writing begins a new log segment.
type backup struct {
	s        *Store
	ctx      context.Context
	dir      string
	progress func(done, total int64)
	report   BackupReport
	storeID  [16]byte

	lock     io.Closer
	manifest *manifest     // of the backup that is there, or nil
	old      manifestState // what it says

	state manifestState // what the new one is to say
	parts []backupPart
	done  int64
	buf   []byte
}

// backupPart is a segment as it is at the instant of the backup.
type backupPart struct {
	sg   *seg // with a reference
	info *segmentInfo
	end  int64
}

func (b *backup) run() error {
	if err := b.check(); err != nil {
		return err
	}
	defer b.close()
	b.s.state.Lock()
	b.storeID = b.s.manifest.state.storeID
	b.s.state.Unlock()
	if err := b.openDest(); err != nil {
		return err
	}
	if err := b.s.sealForBackup(); err != nil {
		return err
	}
	if err := b.note(); err != nil {
		return err
	}
	if err := b.checkDescent(); err != nil {
		return err
	}
	if err := b.prepare(); err != nil {
		return err
	}
	for _, p := range b.parts {
		if err := b.place(p); err != nil {
			return fmt.Errorf("%s: %w", p.sg.name(), err)
		}
	}
	if err := b.s.fs.SyncDir(b.dir); err != nil {
		return &syncError{file: b.dir, err: err}
	}
	if err := b.check(); err != nil {
		return err
	}
	if err := b.commit(); err != nil {
		return err
	}
	return b.sweep(nil)
}

func (b *backup) check() error { return b.s.check(b.ctx) }

func (b *backup) close() {
	for _, p := range b.parts {
		p.sg.release()
	}
	if b.manifest != nil {
		_ = b.manifest.close()
	}
	if b.lock != nil {
		_ = b.lock.Close()
	}
}

// backupSeal is the size from which on a value segment is sealed for a backup, so
// that it can be linked. Those below are copied: sealing each would make many
// small ones.
const backupSeal = 4 << 20

func (s *Store) sealForBackup() error {
	if s.opts.ReadOnly {
		return nil
	}
	for _, sg := range s.segs.all() {
		if sg.kind != segment.Value || sg.end.Load() < backupSeal {
			continue
		}
		if _, err := s.sealValues(sg); err != nil {
			return s.syncFailed(fmt.Errorf("seal %s: %w", sg.name(), err))
		}
	}
	return nil
}

// note makes everything durable that was acknowledged, and notes what the store
// consists of: with the locks held that keep the log and the manifest as they are.
func (b *backup) note() error {
	s := b.s
	c := &s.committer
	c.disk.Lock()
	defer c.disk.Unlock()
	if err := b.check(); err != nil {
		return err // Close has to wait for disk from here on
	}
	if !s.opts.ReadOnly {
		if err := c.fatal(); err != nil {
			return err
		}
		if err := c.syncAllLocked(); err != nil {
			return err
		}
	}
	seq := c.loggedSeq() // takes the committer's mu, which comes before state
	s.state.Lock()
	defer s.state.Unlock()
	b.state = s.manifest.state.clone()
	b.state.maxTime = max(b.state.maxTime, s.clock.now())
	b.state.lastSeq = seq
	for _, info := range b.state.sorted() {
		if err := b.noteSegment(info, info.id == activeID(c)); err != nil {
			return err
		}
	}
	for _, p := range b.parts {
		b.report.Bytes += p.end
	}
	return nil
}

// activeID returns the id of the log segment that is written to, or 0.
func activeID(c *committer) uint64 {
	if c.active == nil {
		return 0
	}
	return c.active.id
}

// loggedSeq returns the highest sequence number that can be in the log. disk is
// held.
func (c *committer) loggedSeq() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return c.seq
	}
	var rec segment.Record
	segment.DecodeRecord(c.queue[0].raw[c.queue[0].recs[0].start:], &rec)
	return rec.Seq - 1
}

func (b *backup) noteSegment(info *segmentInfo, isLog bool) error {
	sg := b.s.segs.find(info.id)
	if sg == nil || !sg.acquire() {
		if b.s.closed.Load() {
			return ErrClosed // read-only: Close waits for nothing
		}
		return fmt.Errorf("%s is listed, but not open", segmentName(info.id))
	}
	p := backupPart{sg, info, info.end}
	if info.state == stateActive {
		p.end = sg.end.Load()
		info.end = 0
		if isLog {
			info.state, info.end = stateFrozen, p.end
		}
		if p.end == segment.HeaderSize || info.kind == segment.Log && !isLog {
			sg.release() // nothing is in it yet
			delete(b.state.segments, info.id)
			return nil
		}
	}
	b.parts = append(b.parts, p)
	return nil
}

// commit makes the directory the new backup.
func (b *backup) commit() error {
	m := b.manifest
	if m == nil {
		m = &manifest{fs: b.s.fs, dir: b.dir, state: b.state}
		b.manifest = m
	}
	return m.rewrite(b.state)
}

// advance notes that n more bytes are done.
func (b *backup) advance(n int64) {
	b.done += n
	if b.progress != nil {
		b.progress(b.done, b.report.Bytes)
	}
}

// place brings a segment to the backup.
func (b *backup) place(p backupPart) error {
	if err := b.check(); err != nil {
		return err
	}
	old := b.old.segments[p.info.id]
	if p.info.state != stateSealed || old != nil && old.state != stateSealed {
		return b.placeOwn(p, old)
	}
	present, err := b.holds(p)
	if err != nil {
		return err
	}
	if present {
		b.report.Kept++
		b.advance(p.end)
		return nil
	}
	if err := b.remove(p.sg.name()); err != nil {
		return err
	}
	if b.s.fs.Link(b.s.path(p.sg.name()), b.path(p.sg.name())) == nil {
		b.report.Linked++
		b.advance(p.end)
		return nil
	}
	// Another file system, one without links, too many of them, or not
	// allowed: whatever it is, the file can be copied.
	return b.copyWhole(p)
}

// holds reports whether the file of a sealed segment is there as a whole.
func (b *backup) holds(p backupPart) (bool, error) {
	file, err := b.open(b.s.fs.Open, p.info)
	if file == nil {
		return false, err
	}
	defer file.Close()
	size, err := file.Size()
	return size == p.end, err
}

// copyWhole copies a segment. The file gets its name when it is on disk: so it can
// be relied on when a backup goes on that was interrupted.
func (b *backup) copyWhole(p backupPart) error {
	tmp := b.path(p.sg.name() + backupTmpSuffix)
	file, err := b.s.fs.Create(tmp)
	if err != nil {
		return err
	}
	err = b.copyFrom(p, file, 0)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	b.report.Copied++
	return b.s.fs.Rename(tmp, b.path(p.sg.name()))
}

// placeOwn brings a segment to the backup that shares its file with nobody. Of a
// log, it copies what is new. Of a value segment all: values that were being
// streamed in have left gaps.
func (b *backup) placeOwn(p backupPart, old *segmentInfo) error {
	if old == nil {
		if err := b.remove(p.sg.name()); err != nil {
			return err
		}
		return b.copyWhole(p)
	}
	file, err := b.open(b.s.fs.OpenReadWrite, p.info)
	if err != nil {
		return err
	}
	if file == nil {
		// The old backup is damaged.
		if err := b.remove(p.sg.name()); err != nil {
			return err
		}
		return b.copyWhole(p)
	}
	err = b.extend(p, file, old)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (b *backup) extend(p backupPart, file vfs.File, old *segmentInfo) error {
	size, err := file.Size()
	if err != nil {
		return err
	}
	var from int64
	if p.info.kind == segment.Log && size >= old.end {
		from = old.end
	}
	if from == p.end && size == p.end {
		b.report.Kept++
		b.advance(p.end)
		return nil
	}
	b.advance(from)
	b.report.Copied++
	return b.copyFrom(p, file, from)
}

const copyChunk = 1 << 20

// copyFrom makes file the same as the segment from an offset on, and syncs it. The
// segment's file may be shorter than the segment, if a write at the end failed or
// is under way.
func (b *backup) copyFrom(p backupPart, file vfs.File, from int64) error {
	if b.buf == nil {
		b.buf = make([]byte, copyChunk)
	}
	off := from
	for off < p.end {
		if err := b.check(); err != nil {
			return err
		}
		n, err := p.sg.file.ReadAt(b.buf[:min(copyChunk, p.end-off)], off)
		if err != nil && err != io.EOF {
			return fmt.Errorf("read at %d: %w", off, err)
		}
		if _, err := file.WriteAt(b.buf[:n], off); err != nil {
			return fmt.Errorf("write at %d: %w", off, err)
		}
		off += int64(n)
		b.report.CopiedBytes += int64(n)
		b.advance(int64(n))
		if err == io.EOF {
			break
		}
	}
	b.advance(p.end - off)
	if err := file.Truncate(p.end); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return &syncError{file: b.path(p.sg.name()), err: err}
	}
	return nil
}
