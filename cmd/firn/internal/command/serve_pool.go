package command

import (
	"context"
	"iter"

	"github.com/firnkv/firn/engine/namespaces"
)

// openPool opens the pool that is served.
func (d *daemon) openPool(ctx context.Context) (*namespaces.Pool, error) {
	return d.dir.OpenPool(ctx)
}

// closePool closes the pool when the requests are finished, or ctx ends.
func closePool(_ context.Context, pool *namespaces.Pool) error { return pool.Close() }

// What the pool of the moment does not offer yet, but is made use of as soon as it
// does.
type (
	openLister interface {
		OpenStores() iter.Seq[*namespaces.Lease]
	}
	writableAsked interface{ Writable() error }
)

// eachOpenStore calls yield with the stores that are open, for metrics. There is
// no pool before the server is ready.
func (d *daemon) eachOpenStore(yield func(*namespaces.Lease) bool) {
	pool := d.pool.Load()
	if pool == nil {
		return
	}
	if lister, ok := any(pool).(openLister); ok {
		lister.OpenStores()(yield)
	}
}

// writable returns an error if the registry does not take writes any more.
func (d *daemon) writable() error {
	if pool, ok := any(d.pool.Load()).(writableAsked); ok {
		return pool.Writable()
	}
	return nil
}

// title returns the title of a namespace.
func (d *daemon) title(id string) (string, bool) {
	pool := d.pool.Load()
	if pool == nil {
		return "", false
	}
	ns, err := pool.Find(context.Background(), id)
	return ns.Title, err == nil
}
