package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// The checkpoint is the index as it was at a place in the log, so that opening
// does not have to read the keys of all segments. It can be deleted at any time
// while the store is closed: it is made again. All integers are little-endian.
//
//	offset size
//	     0    8  magic "FIRNCKP\n"
//	     8    4  format version, 2 (hashes in files of version 1 are other ones)
//	    12    4  length of the head
//	    16    8  offset of the head
//	    24    8  XXH64(seed, bytes 0 to 23 and the head)
//	    32       parts of the 256 shards in turn (index.Index.AppendShard), each
//	             followed by u64 XXH64(seed + number of the shard + 1, part)
//	             head, all uvarint:
//	               id of the log segment, offset in it
//	               highest time, highest sequence number
//	               number of segments; for each: id, slot in the index,
//	                 puts, bytes, tombstones, overwritten records and bytes,
//	                 deleted records and bytes, expired records and bytes
//	               for each shard: length of its part
//
// seed is the first 8 bytes of the store's id. The file is written beside the old
// one, synced, and renamed over it.
const (
	checkpointName    = "CHECKPOINT"
	checkpointTmpName = "CHECKPOINT.tmp"
	checkpointMagic   = "FIRNCKP\n"
	checkpointVersion = 2
	checkpointHeader  = 32

	// Opening reads what the log holds behind the checkpoint. Up to this
	// many bytes that costs some milliseconds, and no checkpoint is written.
	checkpointTail = 1 << 20

	// After a compaction the checkpoint is of no use, and opening reads the
	// footers: with fewer keys than this, in some milliseconds.
	checkpointKeys = 10_000
)

// checkpoint is a checkpoint that is being read.
type checkpoint struct {
	at      position
	maxTime int64
	maxSeq  uint64
	slots   []*seg // by slot when it was written
	counts  map[*seg]checkpointCounts
	parts   []int64 // lengths
	size    int64
}

type checkpointCounts struct {
	puts, overwritten, deleted, expired Count
	tombstones                          int64
}

func (s *Store) checkpointSeed() uint64 {
	return binary.LittleEndian.Uint64(s.manifest.state.storeID[:])
}

// writeCheckpoint writes the index as it is. Nobody may write to the store.
//
// A log that has hardly grown since the last one is not worth it: the next open
// reads that much instead.
func (s *Store) writeCheckpoint() error {
	c := &s.committer
	at := position{c.active.id, c.active.end.Load()}
	if s.checkpointed.stale && s.index.Len() < checkpointKeys {
		err := s.fs.Remove(s.path(checkpointName))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	if !s.checkpointed.stale && s.tailSince(at) < max(checkpointTail, s.checkpointed.size/8) {
		return nil
	}
	file, err := s.createTmp(checkpointTmpName)
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if err = s.fillCheckpoint(file, at); err != nil {
		defer s.fs.Remove(s.path(checkpointTmpName)) // on a full disk, others need the room
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = s.fs.Rename(s.path(checkpointTmpName), s.path(checkpointName))
	}
	if err == nil {
		err = s.fs.SyncDir(s.dir)
	}
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

func (s *Store) createTmp(name string) (vfs.File, error) {
	if err := s.fs.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return s.fs.Create(s.path(name))
}

func (s *Store) fillCheckpoint(file vfs.File, at position) error {
	seed := s.checkpointSeed()
	head := s.checkpointHead(at)
	off := int64(checkpointHeader)
	var part []byte
	for i := range index.Shards {
		part = s.index.AppendShard(part[:0], i)
		head = binary.AppendUvarint(head, uint64(len(part)))
		part = binary.LittleEndian.AppendUint64(part, checkpointSum(seed+uint64(i)+1, part))
		if _, err := file.WriteAt(part, off); err != nil {
			return err
		}
		off += int64(len(part))
	}
	if _, err := file.WriteAt(head, off); err != nil {
		return err
	}
	b := []byte(checkpointMagic)
	b = binary.LittleEndian.AppendUint32(b, checkpointVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(head)))
	b = binary.LittleEndian.AppendUint64(b, uint64(off))
	b = binary.LittleEndian.AppendUint64(b, checkpointSum(seed, b, head))
	if _, err := file.WriteAt(b, 0); err != nil {
		return err
	}
	return file.Sync()
}

// tailSince returns how many bytes of the log are behind the checkpoint.
func (s *Store) tailSince(at position) int64 {
	var n int64
	for _, sg := range s.segs.all() {
		if sg.kind != segment.Log || sg.id < s.checkpointed.at.segment {
			continue
		}
		n += sg.end.Load()
		if sg.id == s.checkpointed.at.segment {
			n -= s.checkpointed.at.offset
		}
	}
	return n
}

func (s *Store) checkpointHead(at position) []byte {
	head := binary.AppendUvarint(nil, at.segment)
	head = binary.AppendUvarint(head, uint64(at.offset))
	head = binary.AppendUvarint(head, uint64(s.clock.now()))
	head = binary.AppendUvarint(head, s.committer.seq)
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

func checkpointSum(seed uint64, parts ...[]byte) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	for _, p := range parts {
		_, _ = d.Write(p)
	}
	return d.Sum64()
}

// loadCheckpoint fills the index from the checkpoint, if there is one that fits
// what the manifest says, and returns the place in the log that it is of. It
// returns nil if there is none, or if it is damaged: everything in it is
// elsewhere too.
func (s *Store) loadCheckpoint() (*position, error) {
	file, err := s.fs.Open(s.path(checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, ErrNotRegular) {
		s.checkpointNotUsed(err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cp, err := s.readCheckpoint(file, s.loadShard)
	if err != nil {
		s.checkpointNotUsed(err)
		s.index.Close()
		s.index = index.New()
		return nil, nil
	}
	for sg, counts := range cp.counts {
		if sg.kind == segment.Log && sg.id > cp.at.segment {
			continue // it was empty; what it holds now is counted elsewhere
		}
		sg.counts.puts.set(counts.puts)
		sg.counts.overwritten.set(counts.overwritten)
		sg.counts.deleted.set(counts.deleted)
		sg.counts.expired.set(counts.expired)
		sg.counts.tombstones.Store(counts.tombstones)
	}
	s.checkpointed = checkpointed{at: cp.at, size: cp.size}
	s.recovered.checkpoint = true
	s.noteSeq(cp.maxSeq, cp.maxTime)
	return &cp.at, nil
}

func (s *Store) checkpointNotUsed(reason error) {
	s.log.Info("checkpoint not used; the index is built from the segments", "dir", s.dir, "reason", reason)
	s.checkpointed.stale = true
}

// checkpointed says what the checkpoint file holds.
type checkpointed struct {
	at   position
	size int64

	// stale is set when segments that it is of have been replaced. Guarded by
	// the state lock.
	stale bool
}

var (
	errCheckpoint = errors.New("damaged")

	// errStale: the checkpoint is of segments that have been replaced since, or
	// of another version of the program.
	errStale = errors.New("out of date")
)

func (s *Store) readCheckpointHead(file vfs.File) (*checkpoint, error) {
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	var header [checkpointHeader]byte
	if _, err := file.ReadAt(header[:], 0); err != nil {
		return nil, err
	}
	if string(header[:8]) != checkpointMagic {
		return nil, errCheckpoint
	}
	if v := binary.LittleEndian.Uint32(header[8:]); v != checkpointVersion {
		if v == 1 {
			return nil, fmt.Errorf("%w: it is of format version 1", errStale)
		}
		return nil, fmt.Errorf("%w %d", ErrVersion, v)
	}
	length := int64(binary.LittleEndian.Uint32(header[12:]))
	off := int64(binary.LittleEndian.Uint64(header[16:]))
	if off < checkpointHeader || off > size || length != size-off {
		return nil, errCheckpoint
	}
	head := make([]byte, length)
	if _, err := file.ReadAt(head, off); err != nil {
		return nil, err
	}
	if checkpointSum(s.checkpointSeed(), header[:24], head) != binary.LittleEndian.Uint64(header[24:]) {
		return nil, errCheckpoint
	}
	cp := &checkpoint{size: size}
	return cp, s.decodeCheckpointHead(cp, head, off)
}

func (s *Store) decodeCheckpointHead(cp *checkpoint, head []byte, end int64) error {
	d := editDecoder{b: head}
	cp.at = position{d.uvarint(), d.offset()}
	cp.maxTime, cp.maxSeq = int64(d.uvarint()), d.uvarint()
	cp.slots = make([]*seg, 1<<16)
	cp.counts = map[*seg]checkpointCounts{}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		id, slot := d.uvarint(), uint16(d.uvarint())
		var v [9]int64
		for i := range v {
			v[i] = int64(d.uvarint())
		}
		sg := s.segs.find(id)
		if sg == nil {
			return fmt.Errorf("%w: it is of a time when there was %s", errStale, segmentName(id))
		}
		cp.slots[slot] = sg
		cp.counts[sg] = checkpointCounts{
			puts: Count{v[0], v[1]}, tombstones: v[2],
			overwritten: Count{v[3], v[4]}, deleted: Count{v[5], v[6]}, expired: Count{v[7], v[8]},
		}
	}
	for range index.Shards {
		cp.parts = append(cp.parts, int64(d.uvarint()))
	}
	if d.bad || len(d.b) > 0 {
		return errCheckpoint
	}
	return s.fitsCheckpoint(cp, end)
}

// fitsCheckpoint checks that the checkpoint is of a place that the log has, and
// that every segment since then is part of the log. Its parts end at end.
func (s *Store) fitsCheckpoint(cp *checkpoint, end int64) error {
	sg := s.segs.find(cp.at.segment)
	if sg == nil || sg.kind != segment.Log || cp.at.offset < segment.HeaderSize || cp.at.offset%8 != 0 {
		return errCheckpoint
	}
	for _, sg := range s.segs.all() {
		if _, ok := cp.counts[sg]; !ok && sg.kind == segment.Packed {
			return fmt.Errorf("%w: it is of a time before %s", errStale, sg.name())
		}
	}
	total := int64(checkpointHeader)
	for _, n := range cp.parts {
		if n < 0 || n > cp.size {
			return errCheckpoint
		}
		total += n + 8
	}
	if total != end {
		return errCheckpoint
	}
	return nil
}

// readCheckpoint reads the head and has each part, once it is verified, loaded,
// on all cores.
func (s *Store) readCheckpoint(file vfs.File, load func(cp *checkpoint, shard int, part []byte) error) (*checkpoint, error) {
	cp, err := s.readCheckpointHead(file)
	if err != nil {
		return nil, err
	}
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	for w := range workers {
		group.Go(func() {
			off := int64(checkpointHeader)
			for i, n := range cp.parts {
				if i%workers == w && errs[w] == nil {
					errs[w] = s.readShard(file, cp, i, off, load)
				}
				off += n + 8
			}
		})
	}
	group.Wait()
	return cp, errors.Join(errs...)
}

func (s *Store) readShard(file vfs.File, cp *checkpoint, shard int, off int64, load func(cp *checkpoint, shard int, part []byte) error) error {
	n := cp.parts[shard]
	b := make([]byte, n+8)
	if _, err := file.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	part := b[:n]
	if checkpointSum(s.checkpointSeed()+uint64(shard)+1, part) != binary.LittleEndian.Uint64(b[n:]) {
		return errCheckpoint
	}
	return load(cp, shard, part)
}

// checkShard is for those who only want to know whether a checkpoint is intact.
func (s *Store) checkShard(*checkpoint, int, []byte) error { return nil }

func (s *Store) loadShard(cp *checkpoint, shard int, part []byte) error {
	unknown := false
	err := s.index.LoadShard(shard, part, func(e index.Entry) (index.Location, bool) {
		sg := cp.slots[e.Location.Slot()]
		if sg == nil {
			unknown = true
			return 0, false
		}
		return index.MakeLocation(sg.slot, e.Location.Unit(), e.Location.Ordinal()), true
	})
	if unknown {
		return errCheckpoint
	}
	return err
}
