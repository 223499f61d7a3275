package engine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
	"sort"
	"sync"

	"github.com/firnkv/firn/segment"
)

// keyLog holds the keys of a log segment that has no footer yet, with what the
// footer is going to say about them. Listing and sealing need them; writing
// appends to it and sorts nothing.
//
// Entries stand one after the other in blocks without pointers:
//
//	u16 length of the key, key, u8 flags, u64 sequence number, u32 expiration...
//
// A ref is the number of a block and the place in it.
type keyLog struct {
	mu     sync.Mutex
	blocks [][]byte
	fresh  []keyRef   // not yet in a run, in no order
	runs   [][]keyRef // each sorted by key, then newest first; immutable
	bytes  int64

	// Entries of frames before missing are not here: they were covered by
	// the checkpoint when the store was opened. load fetches them.
	missing int64
	load    func(into *keyLog, end int64) error
	loadMu  sync.Mutex
}

type keyRef uint32

const (
	keyBlockBits = 18
	keyBlockSize = 1 << keyBlockBits
	// keyLogBytes is how much memory the keys of a log segment may take
	// before the log goes on in the next.
	keyLogBytes = 32 << 20
)

const (
	keyTombstone = 1
	keyPointer   = 2
)

// add adds a record at the given place. It is safe for concurrent use.
func (k *keyLog) add(r *segment.Record, off int64, ordinal int) {
	need := 2 + len(r.Key) + 1 + 5 + 6*binary.MaxVarintLen64 + len(r.Metadata)
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(k.blocks)
	if n == 0 || len(k.blocks[n-1])+need > cap(k.blocks[n-1]) {
		// The first block is small: most stores opened for one command
		// write little.
		size := keyBlockSize
		if n == 0 {
			size = max(need, 4<<10)
		}
		k.blocks = append(k.blocks, make([]byte, 0, size))
		n++
	}
	b := k.blocks[n-1]
	ref := keyRef((n-1)<<keyBlockBits | len(b))
	start := len(b)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(r.Key)))
	b = append(b, r.Key...)
	var flags byte
	if r.Tombstone {
		flags |= keyTombstone
	}
	if r.Pointer != nil {
		flags |= keyPointer
	}
	b = append(b, flags)
	b = binary.LittleEndian.AppendUint32(b, uint32(off/8))
	b = append(b, byte(ordinal))
	b = binary.AppendUvarint(b, r.Seq)
	b = binary.AppendUvarint(b, uint64(r.Expiration))
	b = binary.AppendUvarint(b, uint64(r.Length))
	if r.Pointer != nil {
		b = binary.AppendUvarint(b, r.Pointer.Segment)
		b = binary.AppendUvarint(b, uint64(r.Pointer.Offset))
	}
	b = binary.AppendUvarint(b, uint64(len(r.Metadata)))
	b = append(b, r.Metadata...)
	k.blocks[n-1] = b
	k.bytes += int64(len(b)-start) + 8
	k.fresh = append(k.fresh, ref)
}

// size returns the bytes that the keys take in memory.
func (k *keyLog) size() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bytes
}

// ensure fetches the entries that are missing.
func (k *keyLog) ensure() error {
	k.loadMu.Lock()
	defer k.loadMu.Unlock()
	if k.missing == 0 {
		return nil
	}
	loaded := &keyLog{} // apart, or a load that fails half-way would count twice
	if err := k.load(loaded, k.missing); err != nil {
		return err
	}
	k.missing = 0
	k.absorb(loaded)
	return nil
}

// absorb takes over the entries of o, which is not used any more.
func (k *keyLog) absorb(o *keyLog) {
	k.mu.Lock()
	defer k.mu.Unlock()
	base := keyRef(len(k.blocks) << keyBlockBits)
	k.blocks = append(k.blocks, o.blocks...)
	for _, ref := range o.fresh {
		k.fresh = append(k.fresh, base+ref)
	}
	k.bytes += o.bytes
}

// sorted returns iterators over all entries, one a run. Together they give
// every version of a key; the newest of a run comes first.
func (k *keyLog) sorted() []*keyIterator {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sortFresh(false)
	iterators := make([]*keyIterator, len(k.runs))
	for i, run := range k.runs {
		iterators[i] = &keyIterator{blocks: slices.Clone(k.blocks), run: run, next: 0}
	}
	return iterators
}

// yieldCompares is how many comparisons take some 50 µs.
const yieldCompares = 1024

// merged returns one iterator over all entries of a log segment that takes no more.
func (k *keyLog) merged() *keyIterator {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sortFresh(true)
	for len(k.runs) > 1 {
		k.mergeLast()
	}
	it := &keyIterator{blocks: slices.Clone(k.blocks)}
	if len(k.runs) == 1 {
		it.run = k.runs[0]
	}
	return it
}

// sortFresh makes a run of the fresh entries. Runs at least halve in length
// from one to the next, so there are few, and an entry is merged a logarithmic
// number of times. With giveWay, it lets others run now and then; not for who has
// writers wait for the lock.
func (k *keyLog) sortFresh(giveWay bool) {
	if len(k.fresh) == 0 {
		return
	}
	// Comparing 8 bytes of the key beside the ref saves most of the way to
	// the blocks.
	type prefixed struct {
		prefix uint64
		ref    keyRef
	}
	order := make([]prefixed, len(k.fresh))
	for i, ref := range k.fresh {
		order[i] = prefixed{keyPrefix(refKey(k.blocks, ref)), ref}
	}
	steps := 0
	slices.SortFunc(order, func(a, b prefixed) int {
		if steps++; giveWay && steps%yieldCompares == 0 {
			runtime.Gosched()
		}
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return compareRefs(k.blocks, a.ref, b.ref)
	})
	run := make([]keyRef, len(order))
	for i := range order {
		run[i] = order[i].ref
	}
	k.runs = append(k.runs, run)
	k.fresh = k.fresh[:0]
	for n := len(k.runs); n > 1 && len(k.runs[n-2]) < 2*len(k.runs[n-1]); n = len(k.runs) {
		k.mergeLast()
	}
}

// mergeLast makes one run of the last two.
func (k *keyLog) mergeLast() {
	n := len(k.runs)
	a, b := k.runs[n-2], k.runs[n-1]
	run := make([]keyRef, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compareRefs(k.blocks, a[0], b[0]) < 0 {
			run, a = append(run, a[0]), a[1:]
		} else {
			run, b = append(run, b[0]), b[1:]
		}
	}
	run = append(append(run, a...), b...)
	k.runs = append(k.runs[:n-2:n-2], run)
}

// keyPrefix returns the first 8 bytes of a key in an order that agrees with
// that of the keys.
func keyPrefix(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

func refBytes(blocks [][]byte, ref keyRef) []byte {
	return blocks[ref>>keyBlockBits][ref&(keyBlockSize-1):]
}

func refKey(blocks [][]byte, ref keyRef) []byte {
	b := refBytes(blocks, ref)
	n := int(binary.LittleEndian.Uint16(b))
	return b[2 : 2+n]
}

func refSeq(blocks [][]byte, ref keyRef) uint64 {
	b := refBytes(blocks, ref)
	n := int(binary.LittleEndian.Uint16(b))
	seq, _ := binary.Uvarint(b[2+n+1+5:])
	return seq
}

// compareRefs orders by key, and versions of one key from the newest on.
func compareRefs(blocks [][]byte, a, b keyRef) int {
	if c := bytes.Compare(refKey(blocks, a), refKey(blocks, b)); c != 0 {
		return c
	}
	return cmp.Compare(refSeq(blocks, b), refSeq(blocks, a))
}

// keyIterator goes through a run. Like a segment.Iterator, it stands before the
// first entry at the beginning.
type keyIterator struct {
	blocks [][]byte
	run    []keyRef
	next   int
	entry  segment.Entry
}

func (it *keyIterator) Seek(key []byte) bool {
	it.next = sort.Search(len(it.run), func(i int) bool {
		return bytes.Compare(refKey(it.blocks, it.run[i]), key) >= 0
	})
	return it.Next()
}

func (it *keyIterator) Next() bool {
	if it.next == len(it.run) {
		return false
	}
	b := refBytes(it.blocks, it.run[it.next])
	it.next++
	n := int(binary.LittleEndian.Uint16(b))
	e := &it.entry
	*e = segment.Entry{Key: b[2 : 2+n]}
	b = b[2+n:]
	flags := b[0]
	e.Tombstone = flags&keyTombstone != 0
	e.Deletes = e.Tombstone // every version is an entry of its own
	e.HasPointer = flags&keyPointer != 0
	e.Offset = int64(binary.LittleEndian.Uint32(b[1:])) * 8
	e.Ordinal = int(b[5])
	b = b[6:]
	uvarint := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return v
	}
	e.Seq = uvarint()
	e.Expiration = int64(uvarint())
	e.Length = int64(uvarint())
	if e.HasPointer {
		e.Pointer = segment.Pointer{Segment: uvarint(), Offset: int64(uvarint())}
	}
	e.MetadataLen = int(uvarint())
	e.Metadata = b[:e.MetadataLen:e.MetadataLen]
	return true
}

func (it *keyIterator) Entry() *segment.Entry { return &it.entry }
func (it *keyIterator) Err() error            { return nil }
