package namespaces

import (
	"context"
	"errors"

	"github.com/firnkv/firn/engine"
)

// A slot is shut, opening, open or closing. Opening and closing have a goroutine
// each and hold no lock meanwhile, so that a slow one keeps up nobody but who wants
// that store. What comes next is decided with mu held, by settle. Pool.close waits
// for all of them: see Pool.live.

// acquireShut waits until the store of n is open, and has it opened if nobody does
// so already.
func (p *Pool) acquireShut(ctx context.Context, n *named) (*Lease, error) {
	for {
		leased, t, err := p.join(ctx, n)
		if err != nil {
			return nil, err
		}
		if !leased {
			select {
			case <-t.done:
			case <-ctx.Done():
				p.leave(n.slot, t)
				return nil, ctx.Err()
			}
		}
		if leased || t.opened {
			return p.leaseOf(p.newest(n))
		}
		if t.err != nil {
			return nil, t.err
		}
		// A store was closed, and is to be opened again; or it stayed open.
	}
}

// join takes a lease, or else returns what has to be waited for.
func (p *Pool) join(ctx context.Context, n *named) (leased bool, t *transition, err error) {
	if err := ctx.Err(); err != nil {
		return false, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := n.slot
	switch {
	case p.closed.Load():
		return false, nil, engine.ErrClosed
	case s.refused.Load():
		return false, nil, s.refusal
	case s.lease():
		return true, nil, nil
	}
	if s.busy == nil {
		p.startOpening(n)
	}
	s.busy.waiters++
	return false, s.busy, nil
}

// leave undoes join, for one who did not wait until the end, or did not see it.
func (p *Pool) leave(s *slot, t *transition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.waiters--
	if t.opened {
		s.refs.Add(-1)
		p.settle(s)
	}
}

// newest returns the namespace n under its title of now.
func (p *Pool) newest(n *named) *named {
	if now := p.names.Load().byID[n.ID]; now != nil {
		return now
	}
	return n
}

// startOpening opens the store of a slot that is shut. mu is held.
func (p *Pool) startOpening(n *named) {
	s := n.slot
	p.live++
	s.busy = &transition{done: make(chan struct{})}
	s.cache = p.takeCache()
	dir := p.dir.withCache(s.cache)
	go func() {
		var store *engine.Store
		err := dir.waiting(p.ctx, func() (err error) {
			store, err = dir.openStore(n.Namespace, false)
			return err
		})
		p.mu.Lock()
		defer p.mu.Unlock()
		p.endOpening(s, store, err)
	}()
}

// takeCache returns the bytes of cache for a store that is about to be opened. mu is
// held.
func (p *Pool) takeCache() int64 {
	budget := p.dir.opts.CacheBytes
	switch {
	case budget < 0:
		return budget
	case budget == 0:
		budget = defaultCacheBytes
	}
	// 0 would be the default of a single store.
	share := max((budget-p.cached)/2, budget/int64(p.opts.MaxOpen), 1)
	p.cached += share
	return share
}

// endOpening hands the store out to those who wait for it. mu is held.
func (p *Pool) endOpening(s *slot, store *engine.Store, err error) {
	t := s.busy
	defer close(t.done)
	s.busy = nil
	t.err = err
	if p.closed.Load() {
		t.err, t.waiters = engine.ErrClosed, 0
	}
	if err != nil {
		p.becomeShut(s)
		return
	}
	t.opened = t.err == nil
	p.becomeOpen(s, store, t.waiters)
	p.closeExcess()
}

// becomeOpen makes a store available, of which there are that many leases. mu is
// held.
func (p *Pool) becomeOpen(s *slot, store *engine.Store, leases int) {
	s.store = store
	s.used.Store(int64(p.now()))
	p.open[s] = true
	s.refs.Store(int64(leases))
	p.settle(s)
}

// becomeShut notes that the store of a slot is closed, or did not open. mu is held.
func (p *Pool) becomeShut(s *slot) {
	p.cached -= max(s.cache, 0)
	p.settle(s)
	p.live--
	p.checkDrained()
}

// settle does what is due when a slot has come to rest: nobody opens or closes it.
// The store of a deleted namespace, or any when the pool is being closed, is closed
// when there is no lease of it, and then the files of a deleted one go. mu is held.
func (p *Pool) settle(s *slot) {
	switch {
	case s.busy != nil:
	case p.open[s]:
		if s.deleted || p.closed.Load() {
			p.closeUnleased(s)
		}
	case s.deleted && !s.removed:
		s.removed = true
		p.startRemoving(s)
	}
}

// closeUnleased begins to close an open store if it is not leased. mu is held.
func (p *Pool) closeUnleased(s *slot) bool {
	if !s.refs.CompareAndSwap(0, shut) {
		return false
	}
	p.startClosing(s)
	s.store = nil
	return true
}

// startClosing closes an open store of which no lease can be had any more. It stays
// open if it is only idle, and to close it would lose writes. mu is held.
func (p *Pool) startClosing(s *slot) {
	store := s.store
	delete(p.open, s)
	t := &transition{done: make(chan struct{})}
	s.busy = t
	idle := !s.deleted && !p.closed.Load()
	go func() {
		var unsaved, failed error
		if idle {
			unsaved = save(store)
		}
		if unsaved == nil {
			failed = store.Close()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		defer close(t.done)
		s.busy = nil
		if unsaved != nil {
			p.log.Warn("an idle store stays open: its last writes cannot be written to disk yet", "id", s.id, "error", unsaved)
			p.becomeOpen(s, store, 0)
			return
		}
		if failed != nil && !s.deleted {
			p.noteFailed(s, failed)
		}
		p.becomeShut(s)
	}()
}

// save writes to disk what was acknowledged and waits in memory, as it may without
// engine.SyncAlways. If that fails, the store tries again as long as it is open, and
// succeeds when there is room. But one that turned read-only never does: to open it
// again is what helps.
func save(store *engine.Store) error {
	err := store.Sync(context.Background())
	if errors.Is(err, engine.ErrReadOnly) {
		return nil
	}
	return err
}

// noteFailed keeps the error of a store that did not close properly for who closes
// the pool, or else tells the operator: nobody else would get to know that writes
// which were not synced yet are lost. mu is held.
func (p *Pool) noteFailed(s *slot, err error) {
	if p.closed.Load() {
		p.failed = append(p.failed, err)
	} else {
		p.log.Error("closing the store of a namespace failed", "id", s.id, "error", err)
	}
}
