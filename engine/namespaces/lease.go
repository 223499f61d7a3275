package namespaces

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/firnkv/firn/engine"
)

// Lease is the use of a store. It has to be released.
type Lease struct {
	pool     *Pool
	named    *named
	store    *engine.Store
	looks    bool // at a store, and so does not count as a use of it
	released atomic.Bool
}

// Namespace returns the namespace as it was when the lease was taken.
func (l *Lease) Namespace() Namespace { return l.named.Namespace }

// Store returns the store, which is open until the lease is released, even if the
// namespace is deleted meanwhile. It must not be closed.
func (l *Lease) Store() *engine.Store { return l.store }

// Release ends the use of the store; what reads values from it is to be closed
// before. To release a lease again does nothing.
func (l *Lease) Release() {
	if l.released.Swap(true) {
		return
	}
	s := l.named.slot
	if !l.looks {
		s.use(l.pool.now())
	}
	l.pool.giveBack(s)
}

// giveBack gives up a lease that was taken of a slot. Who closes the pool or deletes
// the namespace says so first, and then looks for leases: one of the two sees what
// the other did.
func (p *Pool) giveBack(s *slot) {
	if s.refs.Add(-1) == 0 && (s.refused.Load() || p.closed.Load()) {
		p.mu.Lock()
		p.settle(s)
		p.mu.Unlock()
	}
}

// slot is where the store of a namespace is, if it is open.
type slot struct {
	id string

	refs    atomic.Int64 // leases that are out; far below 0 while there is no store to lease
	used    atomic.Int64 // when it was opened or a lease was released last, by Pool.now
	refused atomic.Bool  // no more leases are given, for the reason refusal; set with Pool.mu held
	refusal error        // read by who sees refused

	// store is read by who has a lease, and written by who makes one possible.
	store *engine.Store

	// What follows is guarded by Pool.mu.
	busy    *transition // or nil
	cache   int64       // bytes of cache that the store was opened with
	deleted bool        // the namespace is
	removed bool        // its files are, or are about to be
}

// shut is the refs of a slot whose store is not there to be leased. It stays below
// 0 by any number of leases.
const shut = math.MinInt64 / 2

// transition is the opening or closing of a store.
type transition struct {
	done    chan struct{} // closed when it is over
	waiters int           // who get a lease when the store is open; guarded by Pool.mu
	opened  bool          // and each who waited has a lease
	err     error         // why it failed to open
}

func newSlot(id string) *slot {
	s := &slot{id: id}
	s.refs.Store(shut)
	return s
}

// lease takes a lease if the store is open.
func (s *slot) lease() bool {
	for {
		n := s.refs.Load()
		if n < 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// use notes a use. Those within a millisecond are one, so that not every release on
// every processor writes to the same place.
func (s *slot) use(now time.Duration) {
	if now-time.Duration(s.used.Load()) >= time.Millisecond {
		s.used.Store(int64(now))
	}
}

// leaseOf returns the lease that was taken of the slot of n. If leases of it have
// been refused since it was looked up, it gives that up again.
func (p *Pool) leaseOf(n *named) (*Lease, error) {
	s := n.slot
	if s.refused.Load() {
		p.giveBack(s)
		return nil, s.refusal
	}
	return &Lease{pool: p, named: n, store: s.store}, nil
}

// refuse has no more leases given. mu is held.
func (s *slot) refuse(err error) {
	s.refusal = err
	s.refused.Store(true)
}

// idle reports whether the store of a slot is not leased and was not since then.
func (s *slot) idle(since time.Duration) bool {
	return s.refs.Load() == 0 && time.Duration(s.used.Load()) <= since
}
