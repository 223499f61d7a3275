package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/index"
)

const (
	// A checkpoint is written at a close if so many bytes of segments are newer
	// than the last one, or an eighth of its size if that is more: reading them
	// takes some milliseconds.
	checkpointTail = 1 << 20

	// While the store is open and nobody writes, it is written for so many, or
	// as many as its size.
	checkpointQuiet = 8 << 20

	// While others write, it is written for so many, or four times its size.
	checkpointBusy  = 64 << 20
	checkpointTimes = 4

	// checkpointAgain is how long the compactor waits after one that failed.
	checkpointAgain = 5 * time.Minute

	// checkpointKeyBytes is what a key takes in a checkpoint, about.
	checkpointKeyBytes = 18
)

// checkpointed says what the checkpoint file holds. When the store is open, it
// belongs to the compactor, and after that to who closes it.
type checkpointed struct {
	size   int64 // of the file; 0 if there is none
	behind int64 // bytes of log and packed segments that were newer when it was written or read
	logged int64 // bytes of the log since the store was opened, at that time
}

// checkpointBehind returns how many bytes of log and packed segments are newer than
// the checkpoint.
func (s *Store) checkpointBehind() int64 {
	c := &s.checkpointed
	return c.behind + s.committer.metrics.logBytes.Load() - c.logged
}

// checkpointSize estimates how large a new checkpoint is.
func (s *Store) checkpointSize() int64 {
	return max(s.checkpointed.size, int64(s.index.Len())*checkpointKeyBytes)
}

// checkpointDue reports whether so much is newer than the checkpoint that another
// one is worth writing.
func (s *Store) checkpointDue(quiet bool) bool {
	behind, size := s.checkpointBehind(), s.checkpointSize()
	if quiet {
		return behind >= max(checkpointQuiet, size)
	}
	return behind >= max(checkpointBusy, checkpointTimes*size)
}

// closeCheckpoint writes the index as it is, if that is worth it. Nobody may write
// to the store.
func (s *Store) closeCheckpoint() error {
	if s.checkpointBehind() < max(checkpointTail, s.checkpointSize()/8) {
		return nil
	}
	c := &s.committer
	w := checkpointWriter{s: s, at: position{c.active.id, c.active.end.Load()}, seq: c.seq}
	w.end = w.at
	return w.write()
}

// checkpoint writes a checkpoint. Compaction rests meanwhile.
func (c *compactor) checkpoint() error {
	c.pace.begin(compaction.Job{}, false)
	return c.s.checkpointBeside(c.yield)
}

// checkpointBeside writes the index while others write to the store. It calls yield
// between shards, and gives up if that fails. No segment may be replaced meanwhile.
func (s *Store) checkpointBeside(yield func() error) error {
	return s.besideWriter(yield).write()
}

func (s *Store) besideWriter(yield func() error) *checkpointWriter {
	w := &checkpointWriter{s: s, yield: yield}
	w.at, w.seq = s.committer.mark()
	w.finish = func() error {
		// What the shards have must not get lost in a crash, when what was
		// there before it is not in the checkpoint.
		if err := s.committer.syncQuietly(); err != nil {
			return err
		}
		w.end = s.committer.synced()
		return nil
	}
	return w
}

// tendCheckpoint writes a checkpoint if it is time to, and if it takes nothing of the
// room that puts and compaction need.
func (c *compactor) tendCheckpoint(st *compaction.State, quiet bool) (done bool) {
	s := c.s
	if time.Now().Before(c.retryCheckpoint) || !s.checkpointDue(quiet) {
		return false
	}
	total := st.Fixed
	for i := range st.Segments {
		total += st.Segments[i].Disk
	}
	room := st.Free - compaction.Reserve(total)
	if s.ballast.missing() || st.Free >= 0 && room < 2*s.checkpointSize() {
		return false
	}
	err := c.checkpoint()
	if err == nil {
		return true
	}
	if !errors.Is(err, errHalted) {
		c.retryCheckpoint = time.Now().Add(checkpointAgain)
		s.log.Warn("no checkpoint; opening after a crash takes longer", "dir", s.dir, "error", s.diskError(err))
	}
	return false
}

// mark returns a place in the log and the sequence number so that all records up to
// that number are before that place and visible, and all others behind it.
func (c *committer) mark() (position, uint64) {
	c.disk.Lock()
	defer c.disk.Unlock()
	return c.markLocked()
}

// markLocked is mark for who holds disk.
func (c *committer) markLocked() (position, uint64) {
	c.awaitPublished()
	return position{c.active.id, c.active.end.Load()}, c.loggedSeq()
}

// synced returns up to where the log is known to be on disk.
func (c *committer) synced() position {
	c.disk.Lock()
	defer c.disk.Unlock()
	return position{c.active.id, c.durable}
}

// checkpointWriter writes a checkpoint.
type checkpointWriter struct {
	s   *Store
	at  position // where it is begun
	seq uint64   // the highest sequence number before that
	end position // up to where the log is on disk when it is finished

	// If others write: yield is called between shards, and finish, which sets
	// end, behind the last.
	yield, finish func() error

	file vfs.File
	off  int64
}

func (w *checkpointWriter) write() error {
	s := w.s
	logged := s.committer.metrics.logBytes.Load()
	err := w.create()
	if err == nil {
		err = s.fs.Rename(s.path(checkpointTmpName), s.path(checkpointName))
	}
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		// The next who syncs the directory may not be told.
		return s.syncFailed(&syncError{file: s.dir, err: err})
	}
	s.checkpointed = checkpointed{size: w.off, logged: logged}
	s.checkpointBytes.Add(w.off)
	return nil
}

// create writes the file under its temporary name.
func (w *checkpointWriter) create() error {
	file, err := w.s.createTmp(checkpointTmpName)
	if err != nil {
		return err
	}
	if w.file = file; w.yield != nil {
		w.file = &pacedFile{File: file, name: checkpointTmpName, written: new(atomic.Int64)}
	}
	if err = w.fill(); err != nil {
		defer w.s.fs.Remove(w.s.path(checkpointTmpName)) // on a full disk, others need the room
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (w *checkpointWriter) fill() error {
	s := w.s
	seed := s.checkpointSeed()
	w.off = checkpointHeader
	var part, lengths []byte
	for i := range index.Shards {
		if w.yield != nil {
			if err := w.yield(); err != nil {
				return err
			}
		}
		part = s.index.AppendShard(part[:0], i)
		lengths = binary.AppendUvarint(lengths, uint64(len(part)))
		part = binary.LittleEndian.AppendUint64(part, checkpointSum(seed+uint64(i)+1, part))
		if _, err := w.file.WriteAt(part, w.off); err != nil {
			return err
		}
		w.off += int64(len(part))
	}
	if w.finish != nil {
		if err := w.finish(); err != nil {
			return err
		}
	}
	head := append(w.head(), lengths...)
	if _, err := w.file.WriteAt(head, w.off); err != nil {
		return err
	}
	b := []byte(checkpointMagic)
	b = binary.LittleEndian.AppendUint32(b, checkpointVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(head)))
	b = binary.LittleEndian.AppendUint64(b, uint64(w.off))
	b = binary.LittleEndian.AppendUint64(b, checkpointSum(seed, b, head))
	if _, err := w.file.WriteAt(b, 0); err != nil {
		return err
	}
	w.off += int64(len(head))
	return w.file.Sync()
}

// head returns the head without the lengths of the shards.
func (w *checkpointWriter) head() []byte {
	s := w.s
	segments := s.appendCounts(nil)
	// Behind that: a write that is in the counts has its number by now.
	quiet := uint64(0)
	if s.committer.lastSeq() == w.seq {
		quiet = 1
	}
	s.state.Lock()
	defer s.state.Unlock()
	m := &s.manifest.state
	head := binary.AppendUvarint(nil, w.at.segment)
	head = binary.AppendUvarint(head, uint64(w.at.offset))
	head = binary.AppendUvarint(head, w.seq)
	head = binary.AppendUvarint(head, w.end.segment)
	head = binary.AppendUvarint(head, uint64(w.end.offset))
	head = binary.AppendUvarint(head, m.nextID)
	head = binary.AppendUvarint(head, m.lastSeq)
	head = binary.AppendUvarint(head, uint64(m.maxTime))
	lost := m.lost()
	head = binary.AppendUvarint(head, uint64(lost.Records))
	head = binary.AppendUvarint(head, uint64(lost.Bytes))
	head = binary.AppendUvarint(head, m.lastBranch())
	head = binary.AppendUvarint(head, quiet)
	return append(head, segments...)
}

// appendCounts appends the part of a head that is about segments: all that the
// shards may know, as none has been removed since the first of them was saved.
func (s *Store) appendCounts(head []byte) []byte {
	segs := s.segs.all()
	head = binary.AppendUvarint(head, uint64(len(segs)))
	for _, sg := range segs {
		head = binary.AppendUvarint(head, sg.id)
		head = binary.AppendUvarint(head, sg.salt)
		head = binary.AppendUvarint(head, uint64(sg.slot))
		c := &sg.counts
		puts, overwritten, deleted, expired := c.puts.count(), c.overwritten.count(), c.deleted.count(), c.expired.count()
		for _, v := range []int64{puts.Records, puts.Bytes, c.tombstones.Load(),
			overwritten.Records, overwritten.Bytes, deleted.Records, deleted.Bytes, expired.Records, expired.Bytes} {
			head = binary.AppendUvarint(head, uint64(v))
		}
	}
	return head
}
