package cache

import (
	"sync"
	"sync/atomic"
)

// shard is a cache of its own for a part of the hashes. Padding keeps what every Get reads, what every Get writes and
// what only writers touch in different cache lines, of 64 bytes.
type shard struct {
	table atomic.Pointer[table] // never nil
	_     [56]byte

	hits   atomic.Uint64
	misses atomic.Uint64
	_      [48]byte

	mu        sync.Mutex
	limit     int64 // on used
	used      int64 // bytes in both queues and in the tables
	small     queue // records that have yet to prove themselves
	main      queue
	ghost     ghost
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

	// maxRounds bounds how many records in a row get another round in the main queue before one is dropped. Without
	// it, a Put into a cache of which all records are in use would visit each up to 3 times, for milliseconds.
	maxRounds = 64

	// maxRecordShare is the part of the limit, 1/16, that a single record may take: little more than half of the small
	// queue, as a record that fills it drives out all others before they can prove themselves.
	maxRecordShare = 16

	// minChains is the number of chains of an empty shard: one bucket of the ghost queue.
	minChains = ghostBucket

	// chainBytes is what a chain costs, with the slot in the ghost queue that comes with it.
	chainBytes = 8 + 8
)

func (s *shard) init(limit int64) {
	s.limit = limit
	s.table.Store(newTable(minChains))
	s.ghost = newGhost(minChains)
	s.used = minChains * chainBytes
}

// put is Cache.Put for the shard of the id, of which h is the hash.
func (s *shard) put(id ID, h uint64, r *Record) {
	if s.table.Load().find(id, h) != nil {
		return
	}
	size := r.size()
	if size > s.limit/maxRecordShare {
		s.rejected.Add(1)
		return
	}
	e := &entry{id: id, record: *r}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table.Load().find(id, h) != nil {
		return // added by another goroutine meanwhile
	}
	s.makeRoom(size)
	s.used += size
	e.inMain = s.ghost.take(fingerprint(h), s.main.records)
	s.queueOf(e).push(e)
	s.table.Load().insert(e, h)
	if s.records() > len(s.table.Load().chains) {
		s.grow()
	}
}

// remove is Cache.Remove for the shard of the id, of which h is the hash. It does not look before it locks: while the
// table grows, it could miss the record and leave it there.
func (s *shard) remove(id ID, h uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.table.Load().find(id, h)
	if e == nil {
		return false
	}
	s.queueOf(e).remove(e)
	s.drop(e, h)
	return true
}

// makeRoom evicts records until size bytes are free.
//
// It never runs out of records: a shard has at most twice as many chains as it once held records, so the tables take
// at most 2·16/136 of the limit, and size is 1/16 of it at most, or what grow asks for.
func (s *shard) makeRoom(size int64) {
	for s.used+size > s.limit {
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
	if e.uses.Load() >= provenUses {
		e.uses.Store(0)
		e.inMain = true
		s.main.push(e)
		return
	}
	h := e.id.hash()
	s.ghost.add(fingerprint(h))
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
	s.used -= e.record.size()
}

// grow doubles the number of chains. The ghost queue starts afresh: it is empty when a cache fills for the first time,
// and grows at another time only if records have become smaller.
func (s *shard) grow() {
	old := s.table.Load()
	chains := len(old.chains)
	s.makeRoom(int64(chains) * chainBytes)
	s.used += int64(chains) * chainBytes
	bigger := newTable(2 * chains)
	old.moveTo(bigger)
	s.table.Store(bigger)
	s.ghost = newGhost(2 * chains)
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

// fingerprint returns what the ghost queue keeps of a hash: the half that does not choose the chain.
func fingerprint(h uint64) uint32 {
	return uint32(h >> 32)
}
