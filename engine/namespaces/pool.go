package namespaces

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/firnkv/firn/engine"
)

// Pool has the stores of a data directory open for many callers at once, as a
// server needs it. It opens a store when it is first asked for. Its methods are
// safe for concurrent use.
//
// A pool holds the registry for writing: as long as it is open, no other process
// opens, creates or deletes namespaces of the directory.
type Pool struct {
	dir      *Directory
	registry *registry

	mu     sync.Mutex
	open   map[string]*pooled // by id
	closed bool
}

type pooled struct {
	ns    Namespace
	store *engine.Store
}

// Lease is the use of a store. It has to be released.
type Lease struct {
	p *pooled
}

// Namespace returns the namespace as it was when the lease was taken.
func (l *Lease) Namespace() Namespace { return l.p.ns }

// Store returns the store, which is open until the lease is released. It must not
// be closed.
func (l *Lease) Store() *engine.Store { return l.p.store }

// Release ends the use of the store. It must be called once.
func (l *Lease) Release() {}

// OpenPool opens a pool, and makes the data directory if it is not there.
func (d *Directory) OpenPool(ctx context.Context) (*Pool, error) {
	if d.Single() {
		return nil, ErrSingle
	}
	p := &Pool{dir: d, open: map[string]*pooled{}}
	err := d.waiting(ctx, func() (err error) {
		p.registry, err = d.openRegistry(false)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Close closes all stores and the registry.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for _, o := range p.open {
		errs = append(errs, o.store.Close())
	}
	p.open = nil
	return errors.Join(append(errs, p.registry.store.Close())...)
}

// Acquire returns a lease of the store of the namespace with that id. If there is
// none, the error matches ErrNotExist.
func (p *Pool) Acquire(ctx context.Context, id string) (*Lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, engine.ErrClosed
	}
	if o := p.open[id]; o != nil {
		return &Lease{o}, nil
	}
	ns, err := p.find(ctx, id)
	if err != nil {
		return nil, err
	}
	store, err := p.dir.openStore(ns, false)
	if err != nil {
		return nil, err
	}
	o := &pooled{ns, store}
	p.open[id] = o
	return &Lease{o}, nil
}

// Find returns the namespace with that id, or an error that matches ErrNotExist.
func (p *Pool) Find(ctx context.Context, id string) (Namespace, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.find(ctx, id)
}

func (p *Pool) find(ctx context.Context, id string) (Namespace, error) {
	ns, err := p.registry.find(ctx, id)
	if err == nil && ns.ID != id {
		err = notExistError(id)
	}
	return ns, err
}

// List returns all namespaces, by title.
func (p *Pool) List(ctx context.Context) ([]Namespace, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.registry.list(ctx)
}

// Create makes a namespace. The error matches ErrTitle, ErrTitleInUse or
// ErrTooMany where those are the reason.
func (p *Pool) Create(ctx context.Context, title string) (Namespace, error) {
	if err := checkTitle(title); err != nil {
		return Namespace{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	store, ns, err := p.dir.create(ctx, p.registry, title)
	if err != nil {
		return Namespace{}, err
	}
	p.open[ns.ID] = &pooled{ns, store}
	return ns, nil
}

// Rename gives the namespace with that id another title.
func (p *Pool) Rename(ctx context.Context, id, title string) (Namespace, error) {
	if err := checkTitle(title); err != nil {
		return Namespace{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ns, err := p.find(ctx, id)
	if err != nil {
		return Namespace{}, err
	}
	return p.registry.rename(ctx, ns, title)
}

// Delete removes the namespace with that id and everything in it. From then on
// nobody gets a lease of it; those that there are stay good until they are
// released, and then the files go.
func (p *Pool) Delete(ctx context.Context, id string) (Namespace, error) {
	return Namespace{}, fmt.Errorf("delete %s: %w", id, errors.ErrUnsupported)
}
