package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/firnkv/firn/segment"
)

// manifestState is what the manifest says.
type manifestState struct {
	storeID  [16]byte
	indexKey [16]byte
	nextID   uint64 // every id below it may have been used
	maxTime  int64  // highest time seen when the store was closed, Unix seconds
	lastSeq  uint64 // highest sequence number when it was closed
	segments map[uint64]*segmentInfo
	branches []branch // of this store and those that it comes from, oldest first
}

// branch says that a backup was opened for writing, and so became a store of its
// own, which shares the history of the other up to a sequence number.
type branch struct {
	id  uint64 // random
	seq uint64
}

// segmentInfo is what the manifest says about a segment.
type segmentInfo struct {
	id    uint64
	kind  segment.Kind
	salt  uint64
	state segmentState
	end   int64 // active: known to reach up to here; frozen: of the frames; sealed: size
	cuts  []cut // of an active log, oldest first
	lost  Count // of a value segment: values whose records compaction has dropped
}

// lost adds up the lost values of all segments.
func (s *manifestState) lost() (n Count) {
	for _, info := range s.segments {
		n.addCount(info.lost)
	}
	return n
}

// lastBranch returns the id of the last branch, or 0.
func (s *manifestState) lastBranch() uint64 {
	if len(s.branches) == 0 {
		return 0
	}
	return s.branches[len(s.branches)-1].id
}

type segmentState uint8

// A log segment goes through these in turn. A value segment goes from active to
// sealed, a packed one is born sealed. Only what is sealed may share its file with
// a backup.
const (
	stateActive segmentState = iota // may take frames, or has none yet
	stateFrozen                     // takes no more frames; all of them are on disk
	stateSealed                     // has a footer, if it is no value segment; is never modified again
)

func (s segmentState) String() string {
	return [...]string{"active", "frozen", "sealed"}[s]
}

// cut says that the log was cut: from this offset on, only frames of this
// incarnation or the next cut's count.
type cut struct {
	incarnation uint32
	from        int64
}

// incarnation returns that of a frame at off.
func (info *segmentInfo) incarnation(off int64) uint32 {
	inc := uint32(1)
	for _, c := range info.cuts {
		if off >= c.from {
			inc = c.incarnation
		}
	}
	return inc
}

// edit is a sequence of items. Each is a tag and its fields, all uvarint but
// for the salt and the id of a branch, which are 8 bytes:
//
//	1 next       next id
//	2 add        id, kind, salt
//	3 freeze     id, end
//	4 seal       id, size
//	5 cut        id, incarnation, offset
//	6 remove     id
//	7 closed     id of the active log, its end
//	8 reached    highest time, highest sequence number
//	9 branch     id, sequence number
//	10 lost      id, records, bytes
type edit []byte

const (
	itemNext    = 1
	itemAdd     = 2
	itemFreeze  = 3
	itemSeal    = 4
	itemCut     = 5
	itemRemove  = 6
	itemClosed  = 7
	itemReached = 8
	itemBranch  = 9
	itemLost    = 10
)

func (e edit) item(tag byte, fields ...uint64) edit {
	e = append(e, tag)
	for _, f := range fields {
		e = binary.AppendUvarint(e, f)
	}
	return e
}

func (e edit) next(id uint64) edit { return e.item(itemNext, id) }

func (e edit) add(id uint64, kind segment.Kind, salt uint64) edit {
	e = e.item(itemAdd, id, uint64(kind))
	return binary.LittleEndian.AppendUint64(e, salt)
}

func (e edit) freeze(id uint64, end int64) edit { return e.item(itemFreeze, id, uint64(end)) }
func (e edit) seal(id uint64, size int64) edit  { return e.item(itemSeal, id, uint64(size)) }
func (e edit) remove(id uint64) edit            { return e.item(itemRemove, id) }

func (e edit) cut(id uint64, c cut) edit {
	return e.item(itemCut, id, uint64(c.incarnation), uint64(c.from))
}

func (e edit) lost(id uint64, n Count) edit {
	return e.item(itemLost, id, uint64(n.Records), uint64(n.Bytes))
}

func (e edit) closed(log uint64, end int64) edit { return e.item(itemClosed, log, uint64(end)) }

func (e edit) reached(time int64, seq uint64) edit {
	return e.item(itemReached, uint64(time), seq)
}

func (e edit) branch(b branch) edit {
	e = binary.LittleEndian.AppendUint64(append(e, itemBranch), b.id)
	return binary.AppendUvarint(e, b.seq)
}

var errEdit = errors.New("edit does not parse")

// apply applies the items of the edit. An error means that the manifest is
// damaged or was written by something else; the state is of no use then.
func (s *manifestState) apply(e edit) error {
	d := editDecoder{b: e}
	for len(d.b) > 0 && !d.bad {
		tag := d.b[0]
		d.b = d.b[1:]
		if err := s.applyItem(tag, &d); err != nil {
			return err
		}
	}
	if d.bad {
		return errEdit
	}
	return nil
}

func (s *manifestState) applyItem(tag byte, d *editDecoder) error {
	switch tag {
	case itemNext:
		s.nextID = max(s.nextID, d.uvarint())
		return nil
	case itemReached:
		s.maxTime, s.lastSeq = int64(d.uvarint()), d.uvarint()
		return nil
	case itemBranch:
		s.branches = append(s.branches, branch{d.uint64(), d.uvarint()})
		return nil
	}
	id := d.uvarint()
	if tag == itemAdd {
		return s.applyAdd(id, d)
	}
	info := s.segments[id]
	if info == nil {
		return fmt.Errorf("edit of segment %d, which does not exist", id)
	}
	switch tag {
	case itemFreeze:
		info.state, info.end = stateFrozen, d.offset()
	case itemSeal:
		info.state, info.end, info.cuts = stateSealed, d.offset(), nil
	case itemCut:
		info.cuts = append(info.cuts, cut{uint32(d.uvarint()), d.offset()})
	case itemRemove:
		delete(s.segments, id)
	case itemClosed:
		info.end = d.offset()
	case itemLost:
		info.lost = Count{d.count(), d.count()}
	default:
		return errEdit
	}
	return nil
}

func (s *manifestState) applyAdd(id uint64, d *editDecoder) error {
	kind := segment.Kind(d.uvarint())
	salt := d.uint64()
	if s.segments[id] != nil || kind < segment.Log || kind > segment.Value {
		return errEdit
	}
	s.segments[id] = &segmentInfo{id: id, kind: kind, salt: salt}
	s.nextID = max(s.nextID, id+1)
	return nil
}

// snapshot returns the edit that makes an empty state into s.
func (s *manifestState) snapshot() edit {
	e := edit(nil).next(s.nextID).reached(s.maxTime, s.lastSeq)
	for _, b := range s.branches {
		e = e.branch(b)
	}
	for _, info := range s.sorted() {
		e = e.add(info.id, info.kind, info.salt)
		switch info.state {
		case stateFrozen:
			e = e.freeze(info.id, info.end)
		case stateSealed:
			e = e.seal(info.id, info.end)
		}
		for _, c := range info.cuts {
			e = e.cut(info.id, c)
		}
		if info.state == stateActive && info.end > 0 {
			e = e.closed(info.id, info.end)
		}
		if info.lost != (Count{}) {
			e = e.lost(info.id, info.lost)
		}
	}
	return e
}

// editDecoder takes fields off the front of b; bad is set once one does not fit.
type editDecoder struct {
	b   []byte
	bad bool
}

func (d *editDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *editDecoder) count() int64 {
	v := d.uvarint()
	if v > maxCount {
		d.b, d.bad = nil, true
		return 0
	}
	return int64(v)
}

// maxCount is more than there can be records or bytes in a store.
const maxCount = 1 << 60

func (d *editDecoder) offset() int64 {
	v := d.uvarint()
	if v > segment.MaxSize {
		d.b, d.bad = nil, true
		return 0
	}
	return int64(v)
}

func (d *editDecoder) uint64() uint64 {
	if len(d.b) < 8 {
		d.b, d.bad = nil, true
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}
