package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
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
//	     8    4  format version, 3
//	    12    4  length of the head
//	    16    8  offset of the head
//	    24    8  XXH64(seed, bytes 0 to 23 and the head)
//	    32       parts of the 256 shards in turn (index.Index.AppendShard), each
//	             followed by u64 XXH64(seed + number of the shard + 1, part)
//	             head, all uvarint:
//	               id of the log segment, offset in it: where it was begun
//	               highest sequence number before that place
//	               id of the log segment, offset in it: where it was finished
//	               next id, highest sequence number, highest time in the manifest
//	               lost records and bytes of all value segments in it
//	               id of its last branch, 0 if there is none
//	               1 if nobody wrote to the store meanwhile, 0 otherwise
//	               number of segments; for each: id, salt, slot in the index,
//	                 puts, bytes, tombstones, overwritten records and bytes,
//	                 deleted records and bytes, expired records and bytes
//	               for each shard: length of its part
//
// seed is the first 8 bytes of the store's id. The file is written beside the old
// one, synced, and renamed over it.
//
// It is written when the store is closed, and now and then by the compactor, while
// others write: each shard is then of a time of its own. All of them have what the
// log holds before the place where it was begun, and nothing that is not on disk
// before the place where it was finished. Compaction rests meanwhile. See catchUp
// for how the index is brought up to date from there.
//
// Version 1 has other hashes, and neither it nor version 2 outlives a compaction.
const (
	checkpointName    = "CHECKPOINT"
	checkpointTmpName = "CHECKPOINT.tmp"
	checkpointMagic   = "FIRNCKP\n"
	checkpointVersion = 3
	checkpointHeader  = 32
)

// checkpoint is a checkpoint that is being read.
type checkpoint struct {
	at, end position // where it was begun and finished
	maxSeq  uint64   // before at
	known   []bool   // slots when it was written
	slots   []*seg   // what is left of the segments in them
	counts  map[*seg]checkpointCounts
	parts   []int64 // lengths
	size    int64

	// fits is set if nothing but the end of the log is newer, and if the
	// counts are exact.
	fits bool
}

type checkpointCounts struct {
	puts, overwritten, deleted, expired Count
	tombstones                          int64
}

func (s *Store) checkpointSeed() uint64 {
	return binary.LittleEndian.Uint64(s.manifest.state.storeID[:])
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
// what the manifest says. It returns nil if there is none, or if it is damaged:
// everything in it is elsewhere too.
//
// What was in segments that are gone by now gets the location 0.
func (s *Store) loadCheckpoint() (*checkpoint, error) {
	file, err := s.fs.Open(s.path(checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, ErrNotRegular) {
		s.log.Warn("no checkpoint can be read or written", "dir", s.dir, "error", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cp, err := s.readCheckpoint(file, s.loadShard)
	if err != nil {
		s.log.Info("checkpoint not used; the index is built from the segments", "dir", s.dir, "reason", err)
		s.recovered.useless = true
		s.index.Close()
		s.index = index.New()
		return nil, nil
	}
	s.checkpointed = checkpointed{size: cp.size}
	s.recovered.checkpoint, s.recovered.fits = true, cp.fits
	s.noteSeq(cp.maxSeq, 0)
	return cp, nil
}

// restore takes over the counts of a checkpoint that fits.
func (cp *checkpoint) restore() {
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
}

var (
	errCheckpoint = errors.New("damaged")

	// errStale: the checkpoint is of another version of the program.
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
		if v > 0 && v < checkpointVersion {
			return nil, fmt.Errorf("%w: it is of format version %d", errStale, v)
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
	cp.maxSeq = d.uvarint()
	cp.end = position{d.uvarint(), d.offset()}
	next, lastSeq, maxTime := d.uvarint(), d.uvarint(), int64(d.uvarint())
	lost, branch := Count{d.count(), d.count()}, d.uvarint()
	quiet := d.uvarint() == 1
	s.state.Lock()
	m := &s.manifest.state
	older := next <= m.nextID && lastSeq <= m.lastSeq && maxTime <= m.maxTime && branch == m.lastBranch()
	cp.fits = quiet && lost == m.lost()
	s.state.Unlock()
	if !older {
		return fmt.Errorf("%w: it is newer than %s, or of another copy of the store", errCheckpoint, manifestName)
	}
	cp.known = make([]bool, 1<<16)
	cp.slots = make([]*seg, 1<<16)
	cp.counts = map[*seg]checkpointCounts{}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		id, salt, slot := d.uvarint(), d.uvarint(), uint16(d.uvarint())
		var v [9]int64
		for i := range v {
			v[i] = d.count()
		}
		if slot == 0 || cp.known[slot] || id >= next {
			return errCheckpoint
		}
		cp.known[slot] = true
		sg := s.segs.find(id)
		if sg == nil {
			cp.fits = false // compaction has replaced it
			continue
		}
		if sg.salt != salt {
			return fmt.Errorf("%w: it is of another %s", errCheckpoint, sg.name())
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
	return s.checkCheckpoint(cp, end)
}

// checkCheckpoint checks that the checkpoint is of places in the log, and finds out
// whether nothing but the log has gone on since. Its parts end at end.
func (s *Store) checkCheckpoint(cp *checkpoint, end int64) error {
	for _, p := range []position{cp.at, cp.end} {
		if sg := s.segs.find(p.segment); sg != nil && sg.kind != segment.Log || p.offset < segment.HeaderSize || p.offset%8 != 0 {
			return errCheckpoint
		}
	}
	if cp.end.before(cp.at) {
		return errCheckpoint
	}
	for _, sg := range s.segs.all() {
		if _, ok := cp.counts[sg]; !ok && sg.kind == segment.Packed {
			cp.fits = false
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
			// One buffer for all of a worker's parts: fresh memory for
			// each takes as long as reading it.
			var buf []byte
			off := int64(checkpointHeader)
			for i, n := range cp.parts {
				if i%workers == w && errs[w] == nil {
					buf = slices.Grow(buf[:0], int(n+8))[:n+8]
					errs[w] = s.readShard(file, cp, i, off, buf, load)
				}
				off += n + 8
			}
		})
	}
	group.Wait()
	return cp, errors.Join(errs...)
}

func (s *Store) readShard(file vfs.File, cp *checkpoint, shard int, off int64, b []byte, load func(cp *checkpoint, shard int, part []byte) error) error {
	if _, err := file.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	part := b[:len(b)-8]
	if checkpointSum(s.checkpointSeed()+uint64(shard)+1, part) != binary.LittleEndian.Uint64(b[len(part):]) {
		return errCheckpoint
	}
	return load(cp, shard, part)
}

// checkShard is for those who only want to know whether a checkpoint is intact.
func (s *Store) checkShard(*checkpoint, int, []byte) error { return nil }

func (s *Store) loadShard(cp *checkpoint, shard int, part []byte) error {
	unknown := false
	err := s.index.LoadShard(shard, part, func(e index.Entry) (index.Location, bool) {
		slot := e.Location.Slot()
		sg := cp.slots[slot]
		switch {
		case !cp.known[slot]:
			unknown = true
			return 0, false
		case sg == nil || e.Location.Unit()&pendingUnit != 0 && sg.kind == segment.Log:
			// Its segment is gone, or it was not in the log yet: it is in
			// a newer segment, or in the log behind the place where the
			// checkpoint was begun, or was dropped.
			return 0, true
		}
		return index.MakeLocation(sg.slot, e.Location.Unit(), e.Location.Ordinal()), true
	})
	if unknown {
		return errCheckpoint
	}
	return err
}
