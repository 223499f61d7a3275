package engine

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// seg is an open segment of the store.
type seg struct {
	id     uint64
	slot   uint16 // what the index calls it
	kind   segment.Kind
	salt   uint64
	file   vfs.File
	reader *segment.Reader

	// refs counts who uses the file: the table of the store is one. The last
	// to go closes it.
	refs    atomic.Int64
	onClose func() // nil, or what comes after closing

	// end is where the next frame goes: what is before it has been written.
	// Only the holder of the log's or the value log's write lock changes it.
	end atomic.Int64

	// Of a value segment.
	streams  int   // under way, or not yet committed; guarded by valueLog.mu
	reserved int64 // that they may still claim; guarded by valueLog.mu
	syncMu   sync.Mutex
	syncErr  error // of a failed sync; guarded by syncMu

	incarnation uint32 // of the frames that a log segment takes
	allocated   int64  // disk space that it had when it was made or opened

	// spare is how much of its disk space a log segment has behind its end.
	// It is changed with the committer's disk lock held.
	spare atomic.Int64

	// keys are those of a log segment without a footer; nil once it is
	// sealed. The footer is there from then on.
	keys   atomic.Pointer[keyLog]
	sealed atomic.Pointer[sealedPart]

	counts segCounts

	// kept is set while all tombstones and pointers in the segment are known to
	// be needed. Only the compactor looks at it.
	kept bool
}

// sealedPart is the footer of a segment and, once a listing wanted it, the
// sparse index in it.
type sealedPart struct {
	size   int64
	disk   int64 // bytes that the file takes on disk
	young  bool  // packed, with several records a frame
	footer *segment.Footer

	mu     sync.Mutex
	blocks *segment.Blocks
}

func (p *sealedPart) index() (*segment.Blocks, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.blocks == nil {
		blocks, err := p.footer.Blocks()
		if err != nil {
			return nil, err
		}
		p.blocks = blocks
	}
	return p.blocks, nil
}

func (p *sealedPart) memory() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.blocks == nil {
		return 0
	}
	return p.blocks.Memory()
}

// segCounts is what a segment holds. Puts are all versions whose value is in
// the segment; garbage is those of them that a newer version has replaced, or
// that had expired when compaction dropped their records. Other expired ones count
// as puts that are not garbage.
type segCounts struct {
	puts        counter
	tombstones  atomic.Int64
	overwritten counter
	deleted     counter
	expired     counter
}

// live returns the puts that the index knows.
func (c *segCounts) live() Count {
	n := c.puts.count()
	for _, g := range []Count{c.overwritten.count(), c.deleted.count(), c.expired.count()} {
		n.Records -= g.Records
		n.Bytes -= g.Bytes
	}
	return n
}

type counter struct {
	records atomic.Int64
	bytes   atomic.Int64
}

func (c *counter) add(bytes int64) { c.addCount(Count{1, bytes}) }

func (c *counter) addCount(n Count) {
	c.records.Add(n.Records)
	c.bytes.Add(n.Bytes)
}

func (c *counter) set(n Count) {
	c.records.Store(n.Records)
	c.bytes.Store(n.Bytes)
}

func (c *counter) count() Count { return Count{c.records.Load(), c.bytes.Load()} }

func (s *seg) name() string { return segmentName(s.id) }

// acquire takes a reference; false if the segment is gone.
func (s *seg) acquire() bool {
	for {
		n := s.refs.Load()
		if n == 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives a reference back.
func (s *seg) release() {
	if s.refs.Add(-1) == 0 {
		_ = s.file.Close() // nothing unwritten depends on it
		if s.onClose != nil {
			s.onClose()
		}
	}
}

// segTable maps slots and ids to open segments. Looking up is free of locks;
// changes are made by one at a time, with the store's state lock held.
type segTable struct {
	bySlot atomic.Pointer[[]*seg]
	byID   sync.Map // from uint64 to *seg
	last   int      // slot that was given last

	// changes counts the segments that were added and removed.
	changes atomic.Int64
}

func (t *segTable) init() {
	t.bySlot.Store(&[]*seg{nil}) // slot 0 stays free: location 0 means nothing to the index
}

// get returns the segment in a slot with a reference taken, or nil.
func (t *segTable) get(slot uint16) *seg {
	table := *t.bySlot.Load()
	if int(slot) >= len(table) {
		return nil
	}
	s := table[slot]
	if s == nil || !s.acquire() {
		return nil
	}
	return s
}

// find returns the segment with an id without a reference, or nil.
func (t *segTable) find(id uint64) *seg {
	s, _ := t.byID.Load(id)
	sg, _ := s.(*seg)
	return sg
}

// at returns the segment in a slot without a reference, for its counts; nil if it
// was removed meanwhile.
func (t *segTable) at(slot uint16) *seg {
	table := *t.bySlot.Load()
	if int(slot) >= len(table) {
		return nil
	}
	return table[slot]
}

// maxSegments is how many slots the index can tell apart, without slot 0.
const maxSegments = 1<<16 - 1

var errTooManySegments = fmt.Errorf("a store has at most %d segments", maxSegments)

// room reports whether add has slots for n more.
func (t *segTable) room(n int) bool {
	table := *t.bySlot.Load()
	if n -= maxSegments + 1 - len(table); n <= 0 {
		return true
	}
	for _, s := range table[1:] {
		if s == nil {
			n--
		}
	}
	return n <= 0
}

// add puts a segment into the next slot that is free. Slots go round: whoever
// still holds a location in a segment that was removed finds the slot empty, and
// not another segment.
func (t *segTable) add(s *seg) error {
	table := slices.Clone(*t.bySlot.Load())
	slot := t.last + 1
	if slot > maxSegments || slot == len(table) && len(table) >= minSlots && slices.Contains(table[1:], nil) {
		slot = 1
	}
	for slot < len(table) && table[slot] != nil {
		slot++
	}
	if slot > maxSegments {
		if slot = 1 + slices.Index(table[1:], nil); slot == 0 {
			return errTooManySegments
		}
	}
	if slot == len(table) {
		table = append(table, nil)
	}
	t.last = slot
	s.slot = uint16(slot)
	table[slot] = s
	t.bySlot.Store(&table)
	t.byID.Store(s.id, s)
	t.changes.Add(1)
	return nil
}

// minSlots is how many slots there are at least before one is used again.
const minSlots = 4096

// remove takes a segment out. The caller has its reference then.
func (t *segTable) remove(s *seg) {
	table := slices.Clone(*t.bySlot.Load())
	table[s.slot] = nil
	t.bySlot.Store(&table)
	t.byID.Delete(s.id)
	t.changes.Add(1)
}

// all returns the segments by id.
func (t *segTable) all() []*seg {
	var segs []*seg
	for _, s := range *t.bySlot.Load() {
		if s != nil {
			segs = append(segs, s)
		}
	}
	slices.SortFunc(segs, func(a, b *seg) int { return int(int64(a.id - b.id)) })
	return segs
}

// openSegment opens the file of a segment that the manifest lists and checks
// that it is the one that is meant.
func (s *Store) openSegment(info *segmentInfo) (*seg, error) {
	open := s.fs.OpenReadWrite
	if s.opts.ReadOnly || info.state == stateSealed {
		open = s.fs.Open
	}
	file, err := open(filepath.Join(s.dir, segmentName(info.id)))
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	sg, err := s.newSeg(info, file)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return sg, nil
}

func (s *Store) newSeg(info *segmentInfo, file vfs.File) (*seg, error) {
	reader, err := segment.NewReader(file)
	if err != nil {
		return nil, inFile(segmentName(info.id), err)
	}
	if got, want := reader.Header(), s.manifest.state.header(info); got != want {
		return nil, &CorruptError{
			File:   segmentName(info.id),
			Reason: fmt.Sprintf("not the segment that %s lists: it is of another store or a copy of this one", manifestName),
		}
	}
	sg := &seg{id: info.id, kind: info.kind, salt: info.salt, file: file, reader: reader}
	sg.refs.Store(1)
	sg.end.Store(segment.HeaderSize)
	return sg, nil
}

// createSegment makes a new segment with a header, on disk and listed in the
// manifest when it returns. The state lock is held.
//
// The id is reserved first. A crash in between leaves a file below the next id
// that is not listed, which the next open removes.
func (s *Store) createSegment(kind segment.Kind, space int64) (*seg, error) {
	if !s.segs.room(1) {
		return nil, errTooManySegments
	}
	info := &segmentInfo{id: s.manifest.state.nextID, kind: kind, salt: randomUint64()}
	if err := s.manifest.commit(edit(nil).next(info.id + 1)); err != nil {
		return nil, err
	}
	name := filepath.Join(s.dir, segmentName(info.id))
	file, err := s.fs.Create(name)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	sg, err := s.initSegment(info, file, space)
	if err != nil {
		_ = file.Close()
		_ = s.fs.Remove(name) // or the next open does
		return nil, err
	}
	if err := s.manifest.commit(edit(nil).add(info.id, info.kind, info.salt)); err != nil {
		// The next open may find the edit, and then wants the segment.
		_ = file.Truncate(segment.HeaderSize)
		_ = file.Close()
		return nil, err
	}
	return sg, s.segs.add(sg)
}

func (s *Store) initSegment(info *segmentInfo, file vfs.File, space int64) (*seg, error) {
	if space > 0 {
		if err := file.Preallocate(0, space); err != nil {
			return nil, fmt.Errorf("preallocate %s: %w", segmentName(info.id), err)
		}
	}
	header := s.manifest.state.header(info)
	if _, err := file.WriteAt(header.Append(nil), 0); err != nil {
		return nil, fmt.Errorf("write %s: %w", segmentName(info.id), err)
	}
	if err := file.Sync(); err != nil {
		return nil, &syncError{file: segmentName(info.id), err: err}
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return nil, &syncError{file: s.dir, err: err}
	}
	sg, err := s.newSeg(info, file)
	if err != nil {
		return nil, err
	}
	if info.kind == segment.Log {
		sg.keys.Store(&keyLog{}) // before a listing sees it
	}
	return sg, nil
}
