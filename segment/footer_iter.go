package segment

import (
	"bytes"
	"sort"

	"github.com/firnkv/firn/segment/internal/fuse"
)

// Iterator goes through the entries of a footer in the order of their keys. It
// is not safe for concurrent use.
type Iterator struct {
	bs       *Blocks
	metadata bool
	next     int // block to load when the current one ends
	keys     decoder
	meta     []byte
	keysBuf  Buffer
	metaBuf  Buffer
	minSeq   uint64
	entry    Entry
	key      []byte
	err      error
}

// Iterator returns an iterator that stands before the first entry. With
// metadata, it also reads the metadata of each.
func (bs *Blocks) Iterator(metadata bool) *Iterator {
	return &Iterator{bs: bs, metadata: metadata, minSeq: bs.f.totals.MinSeq, keys: decoder{ok: true}}
}

// Seek goes to the first entry whose key is key or comes after it.
func (it *Iterator) Seek(key []byte) bool {
	blocks := it.bs.blocks
	// The last block whose first key is not behind key may hold it.
	i := sort.Search(len(blocks), func(i int) bool { return bytes.Compare(blocks[i].first, key) > 0 })
	it.next = max(i-1, 0)
	it.keys = decoder{ok: true}
	it.key = it.key[:0]
	for it.Next() {
		if bytes.Compare(it.entry.Key, key) >= 0 {
			return true
		}
	}
	return false
}

// Next goes to the next entry.
func (it *Iterator) Next() bool {
	if it.err != nil {
		return false
	}
	start := len(it.keys.b) == 0
	if start {
		if it.next >= len(it.bs.blocks) || !it.load() {
			return false
		}
	}
	if !it.decode() || start && !bytes.Equal(it.key, it.bs.blocks[it.next-1].first) {
		it.err = corrupt(it.bs.blocks[it.next-1].keys.offset, "block of keys: does not parse")
		return false
	}
	return true
}

func (it *Iterator) load() bool {
	b := &it.bs.blocks[it.next]
	if bytes.Compare(b.first, it.key) <= 0 {
		it.err = corrupt(b.keys.offset, "block of keys: not behind the one before it")
		return false
	}
	r := it.bs.f.r
	payload, err := r.readTyped(b.keys.offset, int(b.keys.size), FrameKeys, &it.keysBuf)
	if err != nil {
		it.err = err
		return false
	}
	it.keys = decoder{b: payload, ok: true}
	it.meta = nil
	if it.metadata && b.metadata.size > 0 {
		it.meta, it.err = r.readTyped(b.metadata.offset, int(b.metadata.size), FrameMetadata, &it.metaBuf)
		if it.err != nil {
			return false
		}
	}
	it.next++
	it.key = it.key[:0]
	it.entry.Offset = 0
	return true
}

func (it *Iterator) decode() bool {
	d := &it.keys
	shared := d.length(len(it.key))
	rest := d.bytes(d.length(MaxKey))
	// The shared part is the longest, so the first byte behind it tells whether
	// the keys rise.
	if len(rest) == 0 || shared+len(rest) > MaxKey || shared < len(it.key) && rest[0] <= it.key[shared] {
		return false
	}
	it.key = append(it.key[:shared], rest...)
	flags := d.byte()
	if !validFlags(flags &^ flagDeletes) {
		return false
	}
	last := it.entry.Offset
	it.entry = Entry{Key: it.key, Tombstone: flags&flagTombstone != 0, HasPointer: flags&flagPointer != 0, Deletes: flags&flagDeletes != 0}
	e := &it.entry
	e.Seq = it.minSeq + d.uvarint()
	if e.Seq < it.minSeq {
		return false
	}
	if flags&flagExpiration != 0 {
		e.Expiration = d.int63()
	}
	if flags&flagMetadata != 0 {
		e.MetadataLen = d.length(MaxMetadata)
	}
	if !e.Tombstone {
		e.Length = d.int63()
	}
	gap := d.varint()
	if gap < -MaxSize/8 || gap > MaxSize/8 {
		return false
	}
	e.Offset = last + gap*8
	e.Ordinal = int(d.byte())
	if e.HasPointer {
		e.Pointer = Pointer{Segment: d.uvarint(), Offset: d.offset()}
	}
	if it.metadata && e.MetadataLen > 0 {
		if e.MetadataLen > len(it.meta) {
			return false
		}
		e.Metadata = it.meta[:e.MetadataLen:e.MetadataLen]
		it.meta = it.meta[e.MetadataLen:]
	}
	return d.ok && e.Offset >= HeaderSize && e.Offset < MaxSize
}

// Entry returns the current entry. It is valid until the iterator moves.
func (it *Iterator) Entry() *Entry { return &it.entry }

// Err returns what ended the iteration early, or nil.
func (it *Iterator) Err() error { return it.err }

// Lookup returns the entry of key, without its metadata.
func (bs *Blocks) Lookup(key []byte) (e Entry, ok bool, err error) {
	it := bs.Iterator(false)
	if !it.Seek(key) || !bytes.Equal(it.entry.Key, key) {
		return Entry{}, false, it.err
	}
	e = it.entry
	e.Key = bytes.Clone(e.Key)
	return e, true, nil
}

// Filter answers whether a segment may hold a key.
type Filter struct{ f *fuse.Filter }

// Filter reads the filter: 1.1 to 1.3 bytes a key in memory, above 10,000 keys.
func (f *Footer) Filter() (*Filter, error) {
	var buf Buffer
	var b []byte
	for _, p := range f.filter {
		frame, payload, err := f.r.ReadFrame(p.offset, int(p.size), &buf)
		if err != nil {
			return nil, err
		}
		// Raw, so that the filter takes no more memory than it takes in the file.
		if frame.Type != FrameFilter || frame.Codec != codecRaw {
			return nil, corrupt(p.offset, "no frame of a filter")
		}
		b = append(b, payload...)
	}
	ff, err := fuse.Decode(b)
	if err != nil {
		return nil, corrupt(f.end, err.Error())
	}
	return &Filter{ff}, nil
}

// MayContain reports whether the segment may hold a version of the key with the
// hash of [KeyHash]. If it reports false, it does not; if it reports true, the
// answer is wrong for one key in 256.
func (f *Filter) MayContain(hash uint64) bool { return f.f.Contains(hash) }
