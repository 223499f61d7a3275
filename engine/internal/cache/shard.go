package cache

import (
	"sync"
	"sync/atomic"
)

// shard is a cache of its own for a part of the hashes. Padding keeps what every Get reads, what every Get writes and
// what only writers touch in different cache lines, of 64 bytes.
type shard struct {
	table atomic.Pointer[table] // never nil
	ghost atomic.Pointer[ghost] // never nil
	limit int64                 // on used, never changed
	_     [40]byte

	hits   atomic.Uint64
	misses atomic.Uint64
	worth  atomic.Int32 // of admitting records at first sight, see weigh; it starts at maxWorth
	_      [44]byte

	mu        sync.Mutex
	used      atomic.Int64 // bytes in both queues and in the tables; changed with the lock held
	small     queue        // records that have yet to prove themselves
	main      queue
	early     atomic.Int64 // records in the small queue after the last put
	evictions uint64
	rejected  atomic.Uint64
	_         [56]byte
}

const (
	// smallShare is the part of the limit, 1/10, above which the small queue makes room rather than the main queue.
	// The paper's choice, found there by experiment.
	smallShare = 10

	// provenUses is how often a record in the small queue must be used to enter the main queue. The paper's choice.
	provenUses = 2

	// usedGain is what a record that is used soon after its first sight adds to worth, 7, where one that is not takes
	// 1: in balance, one in eight is. About so much does it cost to admit a record, some 1.3 µs, of what a hit saves
	// when the file is in memory, 9 µs.
	usedGain = 7

	// maxWorth bounds worth, so that 513 records in a row which nobody reads again soon make the doorkeeper start
	// work, and some 70 that somebody does make it stop. With 256, a loop over a little more records than fit makes it change
	// its mind all the time; with 2048, it is at work for long when a hot set replaces a scan.
	maxWorth = 1024

	// maxRounds bounds how many records in a row get another round in the main queue before one is dropped. Without
	// it, a Put into a cache of which all records are in use would visit each up to 3 times, for milliseconds.
	maxRounds = 64

	// maxRecordShare is the part of the limit, 1/16, that a single record may take: little more than half of the small
	// queue, as a record that fills it drives out all others before they can prove themselves.
	maxRecordShare = 16

	// minBuckets is the number of buckets of an empty shard: one bucket of the ghost queue.
	minBuckets = ghostBucket / ghostSlots

	// ghostSlots is the number of slots in the ghost queue for each bucket, so that it remembers 2 to 4 times as many
	// records as the shard holds. With half of that, a loop over a little more records than fit leaves nothing in
	// crowded buckets until it comes round.
	ghostSlots = 8

	// bucketBytes is what a bucket costs, with the slots in the ghost queue that come with it, and 8 for the buckets that
	// go on from it: at bucketLoad, 0.115 of 64 bytes are expected.
	bucketBytes = 64 + ghostSlots*4 + 8
)

func (s *shard) init(limit int64) {
	s.limit = limit
	s.table.Store(newTable(minBuckets))
	s.ghost.Store(newGhost(minBuckets * ghostSlots))
	s.used.Store(minBuckets * bucketBytes)
	s.worth.Store(maxWorth)
}

// admits is Cache.Admits for the shard of the id of which h is the hash, and for a record that is charged with size.
func (s *shard) admits(h uint64, size int64) bool {
	if s.tooLarge(size) {
		return false
	}
	if s.used.Load()+size <= s.limit || !s.guarded() {
		return true
	}
	g := s.ghost.Load()
	at, slot := g.find(h)
	if at == nil {
		s.weigh(-1)
		g.add(h, false)
		return false
	}
	if slot&ghostDropped == 0 && g.age(slot) < int(s.early.Load()) {
		s.weigh(usedGain + 1) // and what its first sight took
	}
	return true // and put finds it there, too
}

// guarded reports whether the doorkeeper is at work: whether records are refused at first sight when the shard is full.
func (s *shard) guarded() bool {
	return s.worth.Load() < maxWorth/2
}

// weigh changes worth by what became of a record that was or would have been admitted at first sight: usedGain if it
// was used while it was, or would have been, in the small queue, and -1 if not. Of simultaneous changes some may get
// lost.
func (s *shard) weigh(by int32) {
	old := s.worth.Load()
	if worth := min(max(old+by, 0), maxWorth); worth != old {
		s.worth.Store(worth)
	}
}

// tooLarge reports whether a record that is charged with size is too large for the shard, and counts it then.
func (s *shard) tooLarge(size int64) bool {
	if size <= s.limit/maxRecordShare {
		return false
	}
	s.rejected.Add(1)
	return true
}

// put is Cache.Put for the shard of the id, of which h is the hash.
func (s *shard) put(id ID, h uint64, r *Record) {
	if s.table.Load().find(id, h) != nil {
		return
	}
	if s.tooLarge(sizeOf(r.payload())) {
		return
	}
	e := newEntry(id, r)
	found, dropped := s.ghost.Load().take(h)
	if dropped {
		e.inMain = true
	} else if found {
		e.uses.Store(1) // the miss that Admits refused
	}
	s.add(e, h)
}

// add puts an entry that is not too large into the queue that it names, unless the shard has its id, of which h is the
// hash.
func (s *shard) add(e *entry, h uint64) {
	size := e.size()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table.Load().find(e.id, h) != nil {
		return // added by another goroutine meanwhile
	}
	s.makeRoom(size)
	s.used.Add(size)
	s.queueOf(e).push(e)
	s.table.Load().insert(e, h)
	if s.records() > bucketLoad*len(s.table.Load().buckets) {
		s.grow()
	}
	s.early.Store(int64(s.small.records))
}

// remove takes out the entry of an id, of which h is the hash, and returns it, or nil. It does not look before it
// locks: it could miss a record that is being added and leave it there.
func (s *shard) remove(id ID, h uint64) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.table.Load().find(id, h)
	if e == nil {
		return nil
	}
	s.queueOf(e).remove(e)
	s.drop(e, h)
	return e
}

// forget takes the record of which h is the hash out of the ghost queue, and tells whether Admits had refused it.
func (s *shard) forget(h uint64) bool {
	found, dropped := s.ghost.Load().take(h)
	return found && !dropped
}

// makeRoom evicts records until size bytes are free.
//
// It never runs out of records: a shard has at most one bucket for 2 records that it once held, so the tables take
// at most 104/(2·96) of the limit, and size is 1/16 of it at most, or what grow asks for.
func (s *shard) makeRoom(size int64) {
	for s.used.Load()+size > s.limit {
		if s.small.bytes > s.limit/smallShare || s.main.records == 0 {
			s.shrinkSmall()
		} else {
			s.shrinkMain()
		}
	}
}

// shrinkSmall moves the oldest record of the small queue to the main queue if it has proven itself, and evicts it
// otherwise.
func (s *shard) shrinkSmall() {
	e := s.small.oldest
	s.small.remove(e)
	uses := e.uses.Load()
	if !s.guarded() {
		if uses > 0 {
			s.weigh(usedGain)
		} else {
			s.weigh(-1)
		}
	}
	if uses >= provenUses {
		e.uses.Store(0)
		e.inMain = true
		s.main.push(e)
		return
	}
	h := e.id.hash()
	s.ghost.Load().add(h, true)
	s.drop(e, h)
	s.evictions++
}

// shrinkMain evicts the oldest record of the main queue that was not used in its last round.
func (s *shard) shrinkMain() {
	e := s.main.oldest
	for range maxRounds {
		uses := e.uses.Load()
		if uses == 0 {
			break
		}
		e.uses.Store(uses - 1)
		s.main.remove(e)
		s.main.push(e)
		e = s.main.oldest
	}
	s.main.remove(e)
	s.drop(e, e.id.hash())
	s.evictions++
}

// drop takes a record out of the table and the accounts, after it was taken out of its queue.
func (s *shard) drop(e *entry, h uint64) {
	s.table.Load().remove(e, h)
	s.used.Add(-e.size())
}

// grow doubles the number of buckets. The ghost queue starts afresh: it is empty when a cache fills for the first time,
// and grows at another time only if records have become smaller.
func (s *shard) grow() {
	old := s.table.Load()
	buckets := len(old.buckets)
	s.makeRoom(int64(buckets) * bucketBytes)
	s.used.Add(int64(buckets) * bucketBytes)
	bigger := newTable(2 * buckets)
	old.copyTo(bigger)
	s.table.Store(bigger)
	s.ghost.Store(newGhost(2 * buckets * ghostSlots))
}

func (s *shard) records() int {
	return s.small.records + s.main.records
}

func (s *shard) queueOf(e *entry) *queue {
	if e.inMain {
		return &s.main
	}
	return &s.small
}
