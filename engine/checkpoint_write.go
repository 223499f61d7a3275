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
	"github.com/firnkv/firn/segment"
)

const (
	// checkpointTail is how much opening reads beside a checkpoint, at least,
	// before a new one is written while nobody writes: some milliseconds' worth.
	checkpointTail = 1 << 20

	// While others write, a checkpoint is written for so many bytes of new
	// segments, or for as many times its own size, if that is more.
	checkpointEvery = 64 << 20
	checkpointTimes = 4

	// checkpointKeyBytes is what a key takes in a checkpoint, about.
	checkpointKeyBytes = 18
)

// checkpointed says what the checkpoint file holds. It belongs to the compactor,
// and after that to who closes the store.
type checkpointed struct {
	size    int64 // of the file; 0 if there is none
	behind  int64 // bytes of log and packed segments that are newer, without:
	logged  int64 // what had been written to the log at the time
	useless bool  // there is a file that was not used
}

// checkpointDue reports whether so much is newer than the checkpoint that another
// one is worth writing.
func (s *Store) checkpointDue(quiet bool) bool {
	c := &s.checkpointed
	size := max(c.size, int64(s.index.Len())*checkpointKeyBytes)
	behind := c.behind + s.committer.metrics.logBytes.Load() - c.logged
	if quiet {
		return behind >= max(checkpointTail, size/8)
	}
	return behind >= max(checkpointEvery, checkpointTimes*size)
}

// closeCheckpoint writes the index as it is, if that is worth it. Nobody may write
// to the store.
func (s *Store) closeCheckpoint() error {
	if !s.checkpointDue(true) {
		if s.checkpointed.useless {
			return s.fs.Remove(s.path(checkpointName))
		}
		return nil
	}
	c := &s.committer
	at := position{c.active.id, c.active.end.Load()}
	w := checkpointWriter{s: s, at: at, seq: c.seq, quiet: true, yield: func() error { return nil }}
	return w.write(func() (position, error) { return at, nil })
}

// checkpoint writes a checkpoint. Compaction rests meanwhile.
func (c *compactor) checkpoint() error {
	c.pace.begin(compaction.Job{}, false)
	return c.s.checkpointBeside(c.yield)
}

// checkpointBeside writes the index while others write to the store. It calls yield
// between shards, and gives up if that fails. No segment may be replaced meanwhile.
func (s *Store) checkpointBeside(yield func() error) error {
	size := int64(s.index.Len()) * (checkpointKeyBytes + checkpointKeyBytes/4)
	s.committer.promise(size)
	defer s.committer.promise(-size)
	at, seq := s.committer.mark()
	w := checkpointWriter{s: s, at: at, seq: seq, yield: yield}
	return w.write(func() (position, error) {
		// What the shards have must not get lost in a crash, when others
		// that were before it are not in the checkpoint any more.
		if err := s.committer.syncQuietly(); err != nil {
			return position{}, err
		}
		return s.committer.synced(), nil
	})
}

// tendCheckpoint writes a checkpoint if it is time to.
func (c *compactor) tendCheckpoint(quiet bool) (done bool) {
	s := c.s
	if time.Now().Before(c.retryCheckpoint) || s.ballast.missing() || !s.checkpointDue(quiet) {
		return false
	}
	err := c.checkpoint()
	if err == nil {
		return true
	}
	c.retryCheckpoint = time.Now().Add(retryAfter)
	if err = s.syncFailed(s.diskError(err)); !errors.Is(err, errHalted) {
		s.log.Warn("no checkpoint; opening after a crash takes longer", "dir", s.dir, "error", err)
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
	if c.async {
		c.flushLocked(true)
	}
	c.awaitPublished()
	c.mu.Lock()
	defer c.mu.Unlock()
	at, seq := position{c.active.id, c.active.end.Load()}, c.seq
	if len(c.queue) > 0 {
		first := c.queue[0]
		var rec segment.Record
		segment.DecodeRecord(first.raw[first.recs[0].start:], &rec)
		seq = rec.Seq - 1
	}
	return at, seq
}

// synced returns up to where the log is known to be on disk.
func (c *committer) synced() position {
	c.disk.Lock()
	defer c.disk.Unlock()
	return position{c.active.id, c.durable}
}

// checkpointWriter writes a checkpoint.
type checkpointWriter struct {
	s     *Store
	at    position // where it is begun
	seq   uint64   // the highest sequence number before that
	quiet bool     // nobody writes to the store
	yield func() error

	file vfs.File
	off  int64
}

// write writes the file. When all shards are in it, it calls finish, which returns
// the place up to which the log is on disk.
func (w *checkpointWriter) write(finish func() (position, error)) error {
	s := w.s
	logged := s.committer.metrics.logBytes.Load()
	err := w.create(finish)
	if err == nil {
		err = s.fs.Rename(s.path(checkpointTmpName), s.path(checkpointName))
	}
	if err == nil {
		err = s.fs.SyncDir(s.dir)
	}
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	s.checkpointed = checkpointed{size: w.off, logged: logged}
	s.checkpointBytes.Add(w.off)
	return nil
}

// create writes the file under its temporary name.
func (w *checkpointWriter) create(finish func() (position, error)) error {
	file, err := w.s.createTmp(checkpointTmpName)
	if err != nil {
		return err
	}
	if w.file = file; !w.quiet {
		w.file = &pacedFile{File: file, name: checkpointTmpName, written: new(atomic.Int64)}
	}
	if err = w.fill(finish); err != nil {
		defer w.s.fs.Remove(w.s.path(checkpointTmpName)) // on a full disk, others need the room
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (w *checkpointWriter) fill(finish func() (position, error)) error {
	s := w.s
	seed := s.checkpointSeed()
	w.off = checkpointHeader
	var part, lengths []byte
	for i := range index.Shards {
		if err := w.yield(); err != nil {
			return err
		}
		part = s.index.AppendShard(part[:0], i)
		lengths = binary.AppendUvarint(lengths, uint64(len(part)))
		part = binary.LittleEndian.AppendUint64(part, checkpointSum(seed+uint64(i)+1, part))
		if _, err := w.file.WriteAt(part, w.off); err != nil {
			return err
		}
		w.off += int64(len(part))
	}
	end, err := finish()
	if err != nil {
		return err
	}
	head := append(w.head(end), lengths...)
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

// head returns the head without the lengths of the shards. It names all segments
// that the shards may know: none has been removed since the first of them.
func (w *checkpointWriter) head(end position) []byte {
	s := w.s
	s.state.Lock()
	defer s.state.Unlock()
	head := binary.AppendUvarint(nil, w.at.segment)
	head = binary.AppendUvarint(head, uint64(w.at.offset))
	head = binary.AppendUvarint(head, uint64(s.clock.now()))
	head = binary.AppendUvarint(head, w.seq)
	head = binary.AppendUvarint(head, end.segment)
	head = binary.AppendUvarint(head, uint64(end.offset))
	m := &s.manifest.state
	head = binary.AppendUvarint(head, m.nextID)
	head = binary.AppendUvarint(head, m.lastSeq)
	head = binary.AppendUvarint(head, uint64(m.maxTime))
	lost := m.lost()
	head = binary.AppendUvarint(head, uint64(lost.Records))
	head = binary.AppendUvarint(head, uint64(lost.Bytes))
	quiet := uint64(0)
	if w.quiet {
		quiet = 1
	}
	head = binary.AppendUvarint(head, quiet)
	segs := s.segs.all()
	head = binary.AppendUvarint(head, uint64(len(segs)))
	for _, sg := range segs {
		head = binary.AppendUvarint(head, sg.id)
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
