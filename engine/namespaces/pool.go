package namespaces

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firnkv/firn/engine"
)

// Pool has the stores of a data directory open for many callers at once, as a
// server needs it. A store is opened when it is first asked for, and closed when
// nobody has used it for a while. Its methods are safe for concurrent use.
//
// All namespaces are in memory, so that to find or list them reads nothing from
// disk; to acquire a store that is open takes no lock either.
//
// A pool holds the registry for writing: as long as it is open, no other process
// opens, creates or deletes namespaces of the directory.
//
// The caches of all stores share the CacheBytes of the directory's options. What a
// store gets is fixed when it is opened: half of what the open ones have left of
// it, but at least its MaxOpen-th part. So a few stores that are always in use
// have most of it, and all together have at most twice as much, unless more than
// MaxOpen are leased.
type Pool struct {
	dir      *Directory
	registry *registry
	opts     PoolOptions
	log      *slog.Logger
	start    time.Time

	// names is replaced as a whole, by who holds changes.
	names  atomic.Pointer[names]
	closed atomic.Bool // set with mu held

	// ctx ends when the pool is closed, and with it the goroutine that closes
	// idle stores.
	ctx    context.Context
	cancel context.CancelFunc
	keeper sync.WaitGroup

	// changes is held, by the one element that it takes, while the registry is
	// changed.
	changes chan struct{}

	closing  sync.Once
	closeErr error

	mu      sync.Mutex
	open    map[*slot]bool // those whose store may be leased
	live    int            // slots that are not shut, and removals
	cached  int64          // bytes of cache given to stores
	drained chan struct{}  // if not nil, closed when live gets 0
	failed  []error        // of stores that were closed with the pool
}

// PoolOptions says how many stores a pool keeps open. The zero value is ready for
// use.
type PoolOptions struct {
	// IdleTimeout is how long a store stays open that nobody leases; it may
	// be a quarter more, and as much again whenever its last writes cannot be
	// written to disk, as on a full one. 0: 1 minute; at least 10 ms.
	IdleTimeout time.Duration

	// MaxOpen is how many stores may be open. When one more is opened, and
	// whenever idle ones are looked for, those beyond it that are not leased
	// are closed, the least recently used first. Leased ones are not, nor
	// those whose last writes do not get to the disk as it is full, so it may
	// be exceeded. 0: 64; at least 1. A store that is open takes memory
	// for its index and cache, some goroutines, and file descriptors: one for
	// each of its segments, and two more.
	MaxOpen int

	ticks <-chan time.Time // when to look for idle stores; nil: every quarter of IdleTimeout
}

const (
	defaultIdleTimeout = time.Minute
	minIdleTimeout     = 10 * time.Millisecond
	defaultMaxOpen     = 64
	defaultCacheBytes  = 64 << 20 // as of a single store
)

func (o PoolOptions) withDefaults() PoolOptions {
	if o.IdleTimeout == 0 {
		o.IdleTimeout = defaultIdleTimeout
	}
	o.IdleTimeout = max(o.IdleTimeout, minIdleTimeout)
	if o.MaxOpen == 0 {
		o.MaxOpen = defaultMaxOpen
	}
	o.MaxOpen = max(o.MaxOpen, 1)
	return o
}

// OpenPool opens a pool, and makes the data directory if it is not there. It
// removes what a crash has left of deleted namespaces. Idle times go by the Clock
// of the directory's options.
func (d *Directory) OpenPool(ctx context.Context, opts PoolOptions) (*Pool, error) {
	if d.Single() {
		return nil, ErrSingle
	}
	p := &Pool{
		dir:     d,
		opts:    opts.withDefaults(),
		log:     d.log(),
		changes: make(chan struct{}, 1),
		open:    map[*slot]bool{},
	}
	p.start = p.clock()
	err := d.waiting(ctx, func() (err error) {
		p.registry, err = d.openRegistry(false)
		return err
	})
	if err != nil {
		return nil, err
	}
	all, err := p.registry.list(ctx)
	if err != nil {
		return nil, errors.Join(err, p.registry.store.Close())
	}
	p.names.Store(newNames(all))
	if err := d.sweep(ctx, p.registry); err != nil {
		d.warnRemains(err)
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.keeper.Go(p.keep)
	return p, nil
}

func (p *Pool) clock() time.Time {
	if p.dir.opts.Clock != nil {
		return p.dir.opts.Clock()
	}
	return time.Now()
}

// now is the time since the pool was opened.
func (p *Pool) now() time.Duration {
	if p.dir.opts.Clock == nil {
		return time.Since(p.start) // half of what Now costs
	}
	return p.dir.opts.Clock().Sub(p.start)
}

// Close refuses new leases and changes with engine.ErrClosed, waits until all
// leases are released, and closes the stores and the registry. What is not on disk
// yet, as there is no room for it, is lost then, and the error says so. If ctx ends
// before, it closes the stores under the leases that are out, whose calls then fail with
// engine.ErrClosed, and the error of ctx is among those it returns. It returns when
// everything is closed, and files of deleted namespaces are removed.
//
// Further calls wait for the first and return what it did.
func (p *Pool) Close(ctx context.Context) error {
	p.closing.Do(func() { p.closeErr = p.close(ctx) })
	return p.closeErr
}

func (p *Pool) close(ctx context.Context) error {
	p.mu.Lock()
	p.closed.Store(true)
	p.mu.Unlock()
	p.cancel()
	p.changes <- struct{}{} // one that is under way is completed; there is no other after it
	p.keeper.Wait()

	p.mu.Lock()
	for s := range p.open {
		p.settle(s)
	}
	drained := make(chan struct{})
	p.drained = drained
	p.checkDrained()
	p.mu.Unlock()

	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		if p.closeLeased() {
			err = ctx.Err()
		}
		<-drained
	}
	return errors.Join(append([]error{err, p.registry.store.Close()}, p.failed...)...)
}

// closeLeased closes the stores that are leased, and reports whether there are any.
func (p *Pool) closeLeased() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	leased := len(p.open) > 0
	for s := range p.open {
		s.refs.Store(shut)
		p.startClosing(s)
	}
	return leased
}

// checkDrained tells close when the last store is closed. mu is held.
func (p *Pool) checkDrained() {
	if p.live == 0 && p.drained != nil {
		close(p.drained)
		p.drained = nil
	}
}

// Writable returns why namespaces cannot be created or changed, as on a disk that
// failed, or nil.
func (p *Pool) Writable() error {
	if p.closed.Load() {
		return engine.ErrClosed
	}
	return p.registry.writable()
}

// PoolStats counts what a pool has.
type PoolStats struct {
	Namespaces int
	Open       int // stores that are open, also of deleted namespaces
	Leases     int // leases of them that are out
}

// Stats returns counts of this instant.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := PoolStats{Namespaces: len(p.names.Load().byTitle), Open: len(p.open)}
	for s := range p.open {
		st.Leases += int(max(s.refs.Load(), 0))
	}
	return st
}

// OpenStores returns the stores that are open, by title, each with a lease that
// ends with its turn. No store is opened for it, and to look at one so is no use
// that keeps it from being idle: it is for metrics.
func (p *Pool) OpenStores() iter.Seq[*Lease] {
	return func(yield func(*Lease) bool) {
		if p.closed.Load() {
			return
		}
		for _, n := range p.names.Load().sorted {
			if !n.slot.lease() {
				continue
			}
			l, err := p.leaseOf(n)
			if err != nil {
				continue
			}
			l.looks = true
			more := yield(l)
			l.Release()
			if !more {
				return
			}
		}
	}
}

// Acquire returns a lease of the store of the namespace with that id, which it
// opens if it is not open: then it waits, together with all others who want the
// same one, until ctx ends. If there is no such namespace, the error matches
// ErrNotExist. A store that fails to open is tried again at the next call.
func (p *Pool) Acquire(ctx context.Context, id string) (*Lease, error) {
	n, err := p.find(id)
	if err != nil {
		return nil, err
	}
	if n.slot.lease() {
		return p.leaseOf(n)
	}
	return p.acquireShut(ctx, n)
}

// AcquireDefault returns a lease of the store of the default namespace, which it
// creates if it is not there: as the first write does. Reads take the ErrNoStore
// of Resolve for an empty one.
func (p *Pool) AcquireDefault(ctx context.Context) (*Lease, error) {
	for {
		ns, err := p.Resolve(ctx, DefaultTitle)
		if errors.Is(err, ErrNoStore) {
			ns, err = p.Create(ctx, DefaultTitle)
			if errors.Is(err, ErrTitleInUse) {
				continue // somebody else was faster
			}
		}
		if err != nil {
			return nil, err
		}
		l, err := p.Acquire(ctx, ns.ID)
		if !errors.Is(err, ErrNotExist) {
			return l, err
		}
		// It was deleted since.
	}
}

func (p *Pool) find(id string) (*named, error) {
	if p.closed.Load() {
		return nil, engine.ErrClosed
	}
	if n := p.names.Load().byID[id]; n != nil {
		return n, nil
	}
	return nil, notExistError(id)
}

// Find returns the namespace with that id, or an error that matches ErrNotExist.
func (p *Pool) Find(_ context.Context, id string) (Namespace, error) {
	n, err := p.find(id)
	if err != nil {
		return Namespace{}, err
	}
	return n.Namespace, nil
}

// Resolve returns the namespace with that id, or else with that title. If there is
// none, the error matches ErrNotExist; for the default namespace that nobody has
// written to yet it is ErrNoStore.
func (p *Pool) Resolve(ctx context.Context, name string) (Namespace, error) {
	ns, err := p.Find(ctx, name)
	if !errors.Is(err, ErrNotExist) {
		return ns, err
	}
	if n := p.names.Load().byTitle[name]; n != nil {
		return n.Namespace, nil
	}
	if name == DefaultTitle {
		err = ErrNoStore
	}
	return Namespace{}, err
}

// List returns all namespaces, by title.
func (p *Pool) List(context.Context) ([]Namespace, error) {
	if p.closed.Load() {
		return nil, engine.ErrClosed
	}
	return p.names.Load().list(), nil
}
