package cache

import "sync/atomic"

// entry is a record in the cache. One allocation holds the record and its links; it is not reused, as readers that
// hold no lock may be at any entry. Fields without a type of sync/atomic either never change once the entry is in the
// table, or belong to the holder of the shard's lock.
type entry struct {
	id     ID
	next   atomic.Pointer[entry] // in the chain; an entry that was removed keeps it, for the readers that are there
	uses   atomic.Uint32         // since it entered its queue or got another round there, maxUses at most
	inMain bool                  // rather than in the small queue
	record Record

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

const (
	// recordOverhead is what a record costs beyond its key, value and metadata, in bytes: 128 for the entry, and 8 for
	// rounding up small allocations. TestSizeIsMeasured compares with the heap.
	recordOverhead = 136

	// payloadRounding is the share of key, value and metadata, 1/16, that the size classes of Go's allocator add to
	// them on average: 6.4 % was measured at 1 KiB, 6.9 % at 2 KiB, 5.8 % at 8 KiB, 5.4 % at 16 KiB.
	payloadRounding = 16
)

// size returns the bytes of memory that a record is charged with.
func (r *Record) size() int64 {
	return sizeOf(len(r.Key) + len(r.Value) + len(r.Metadata))
}

// sizeOf is size for a record of which key, value and metadata have payload bytes.
func sizeOf(payload int) int64 {
	return int64(payload) + int64(payload)/payloadRounding + recordOverhead
}
