package namespaces

import (
	"context"
	"fmt"

	"github.com/firnkv/firn/engine"
)

// A change is written to the registry first, and is on disk when those that are in
// memory follow. It is not given up half-way: a write whose context ends may or may
// not have happened.

// change begins a change of the registry, which end ends. There is one at a time.
func (p *Pool) change(ctx context.Context) (end func(), err error) {
	if p.closed.Load() {
		return nil, engine.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.changes <- struct{}{}:
		return func() { <-p.changes }, nil
	case <-p.ctx.Done():
		return nil, engine.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Create makes a namespace. The error matches ErrTitle, ErrTitleInUse or
// ErrTooMany where those are the reason.
func (p *Pool) Create(ctx context.Context, title string) (Namespace, error) {
	if err := checkTitle(title); err != nil {
		return Namespace{}, err
	}
	end, err := p.change(ctx)
	if err != nil {
		return Namespace{}, err
	}
	defer end()
	names := p.names.Load()
	if other := names.byTitle[title]; other != nil {
		return Namespace{}, titleInUse(other.Namespace)
	}
	if n := len(names.byTitle); n >= maxNamespaces {
		return Namespace{}, tooMany(n)
	}
	ns := newNamespace(title)
	if err := p.create(context.WithoutCancel(ctx), &named{ns, newSlot(ns.ID)}); err != nil {
		return Namespace{}, err
	}
	return ns, nil
}

// create makes the namespace n and leaves its store open: it is likely to be used
// at once.
func (p *Pool) create(ctx context.Context, n *named) error {
	s := n.slot
	p.mu.Lock()
	p.live++
	s.cache = p.takeCache()
	p.mu.Unlock()
	store, err := p.dir.withCache(s.cache).make(ctx, p.registry, n.Namespace)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.becomeShut(s)
		return err
	}
	p.names.Store(p.names.Load().with(nil, n))
	p.becomeOpen(s, store, 0)
	p.closeExcess()
	return nil
}

// Rename gives the namespace with that id another title. The error matches
// ErrTitle, ErrTitleInUse or ErrNotExist where those are the reason.
func (p *Pool) Rename(ctx context.Context, id, title string) (Namespace, error) {
	if err := checkTitle(title); err != nil {
		return Namespace{}, err
	}
	end, err := p.change(ctx)
	if err != nil {
		return Namespace{}, err
	}
	defer end()
	n, err := p.find(id)
	if err != nil {
		return Namespace{}, err
	}
	if n.Title == title {
		return n.Namespace, nil
	}
	if other := p.names.Load().byTitle[title]; other != nil {
		return Namespace{}, titleInUse(other.Namespace)
	}
	ns, err := p.registry.rename(context.WithoutCancel(ctx), n.Namespace, title)
	if err != nil {
		return Namespace{}, err
	}
	p.names.Store(p.names.Load().with(n, &named{ns, n.slot}))
	return ns, nil
}

// Delete removes the namespace with that id and everything in it, and returns what
// it was. From then on nobody gets a lease of it, also after a crash; those that
// there are stay good until they are released. Then, in the background, the store
// is closed and the files go. A namespace that is created with the same title is
// another one.
//
// After an error that matches engine.ErrReadOnly, which says that a sync failed, the
// namespace may turn out to be deleted when the directory is opened again. Until
// then it is listed, but nobody gets a lease of it either, as what is written to it
// may go: Acquire returns an error that matches engine.ErrReadOnly. Leases that there
// are stay good here too. After other errors, nothing has changed.
func (p *Pool) Delete(ctx context.Context, id string) (Namespace, error) {
	end, err := p.change(ctx)
	if err != nil {
		return Namespace{}, err
	}
	defer end()
	n, err := p.find(id)
	if err != nil {
		return Namespace{}, err
	}
	if err := p.registry.writable(); err != nil {
		return Namespace{}, err
	}
	err = p.registry.remove(context.WithoutCancel(ctx), n.Namespace)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if unsure(err) {
			n.slot.refuse(fmt.Errorf("namespace %q may be deleted, as a restart will show: %w", n.Title, err))
		}
		return Namespace{}, err
	}
	p.names.Store(p.names.Load().with(n, nil))
	n.slot.deleted = true
	n.slot.refuse(notExistError(n.ID))
	p.settle(n.slot)
	return n.Namespace, nil
}

// startRemoving removes the files of a deleted namespace, whose store is closed. mu
// is held.
func (p *Pool) startRemoving(s *slot) {
	p.live++
	go func() {
		err := p.dir.removeStore(context.Background(), p.registry, s.id)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil {
			p.log.Warn("files of a deleted namespace remain until the directory is opened again", "id", s.id, "error", err)
		}
		p.live--
		p.checkDrained()
	}()
}
