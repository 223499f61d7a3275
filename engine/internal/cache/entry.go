package cache

import (
	"reflect"
	"sync/atomic"
)

// entry is a record in the cache. It is not reused, as readers that hold no lock may be at any entry. Fields without a
// type of sync/atomic either never change once the entry is in the table, or belong to the holder of the shard's lock.
//
// What a hit looks at comes first, and the payload follows in the same allocation: a hit waits for one cache line of
// memory and not for three, and there is room for 7 % more records. Of 1,000,000 records of JSON with 435 bytes, drawn
// by Zipf's law with the exponent 0.99, 64 MiB hold 116,000 and have 83.9 % of the reads; with entry, key and value in
// allocations of their own it was 109,000 and 83.3 %.
type entry struct {
	id          ID
	payload     []byte // key, value and metadata
	expiration  int64
	keyLen      uint32
	metadataLen uint32
	uses        atomic.Uint32 // since it entered its queue or got another round there, maxUses at most
	inMain      bool          // rather than in the small queue

	newer, older *entry // in its queue
}

// maxUses is how many rounds in the main queue a record can have in stock. The paper counts with two bits.
const maxUses = 3

// use counts a use. Of simultaneous ones some may not be counted, which costs less than an atomic addition.
func (e *entry) use() {
	if n := e.uses.Load(); n < maxUses {
		e.uses.Store(n + 1)
	}
}

// newEntry returns an entry with a copy of a record.
func newEntry(id ID, r *Record) *entry {
	e := allocate(r.payload())
	e.id, e.expiration = id, r.Expiration
	e.keyLen, e.metadataLen = uint32(len(r.Key)), uint32(len(r.Metadata))
	e.payload = append(append(append(e.payload, r.Key...), r.Value...), r.Metadata...)
	return e
}

// record returns the record, which shares the memory of the entry.
func (e *entry) record() Record {
	value, metadata := int(e.keyLen), len(e.payload)-int(e.metadataLen)
	return Record{
		Key:        e.payload[:value:value],
		Value:      e.payload[value:metadata:metadata],
		Metadata:   e.payload[metadata:],
		Expiration: e.expiration,
	}
}

// size returns the bytes of memory that the entry is charged with.
func (e *entry) size() int64 { return sizeOf(len(e.payload)) }

const (
	// entryBytes is what an entry takes without its payload.
	entryBytes = 80

	// headerBytes is what Go's allocator puts before an object with pointers, if that has more than headerFrom bytes.
	headerBytes = 8
	headerFrom  = 512

	// maxInline is the largest payload that stands behind its entry. A larger one is an allocation of its own: that it
	// is read from another place is little of what copying it takes.
	maxInline = 4096 - headerBytes - entryBytes

	// payloadRounding is the share of larger payloads, 1/16, that the size classes of Go's allocator add to them on
	// average: 5.8 % was measured at 8 KiB, 5.4 % at 16 KiB.
	payloadRounding = 16
)

// blockBytes are the sizes of the blocks that hold an entry with its payload: those in which Go's allocator gives memory
// out (runtime/sizeclasses.go). Were they others, blocks would take more than they are charged with;
// TestSizeIsMeasured compares with the heap.
var blockBytes = [...]int{
	96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416, 448, 480, 512, 576, 640, 704, 768, 896,
	1024, 1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072, 3200, 3456, 4096,
}

// blocks has by the length of a payload, in units of 16 bytes rounded up, which block it takes.
var blocks = func() (by [(maxInline+15)/16 + 1]uint8) {
	block := 0
	for i := range by {
		for room(blockBytes[block]) < min(16*i, maxInline) {
			block++
		}
		by[i] = uint8(block)
	}
	return by
}()

// room returns how long a payload a block of that size holds.
func room(block int) int {
	if block > headerFrom {
		block -= headerBytes
	}
	return block - entryBytes
}

// blockTypes are the types of the blocks: structures of an entry and an array.
var blockTypes = func() (types [len(blockBytes)]reflect.Type) {
	for i, n := range blockBytes {
		types[i] = reflect.StructOf([]reflect.StructField{
			{Name: "Entry", Type: reflect.TypeFor[entry]()},
			{Name: "Payload", Type: reflect.ArrayOf(room(n), reflect.TypeFor[byte]())},
		})
	}
	return types
}()

// allocate returns an entry with an empty payload that has room for n bytes.
func allocate(n int) *entry {
	if n > maxInline {
		return &entry{payload: make([]byte, 0, n)}
	}
	block := reflect.New(blockTypes[blocks[(n+15)/16]]).Elem()
	e := block.Field(0).Addr().Interface().(*entry)
	e.payload = block.Field(1).Bytes()[:0:n]
	return e
}

// sizeOf is entry.size for a payload of that many bytes.
func sizeOf(payload int) int64 {
	if payload > maxInline {
		return entryBytes + int64(payload) + int64(payload)/payloadRounding
	}
	return int64(blockBytes[blocks[(payload+15)/16]])
}
