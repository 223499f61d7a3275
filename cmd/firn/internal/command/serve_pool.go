package command

import (
	"context"

	"github.com/firnkv/firn/engine/namespaces"
)

// openPool opens the pool that is served.
func (d *daemon) openPool(ctx context.Context) (*namespaces.Pool, error) {
	return d.dir.OpenPool(ctx, namespaces.PoolOptions{})
}

// eachOpenStore calls yield with the stores that are open, for metrics. There is
// no pool before the server is ready.
func (d *daemon) eachOpenStore(yield func(*namespaces.Lease) bool) {
	if pool := d.pool.Load(); pool != nil {
		pool.OpenStores()(yield)
	}
}

// writable returns an error if the registry does not take writes any more, and
// logs it when it is another than before.
func (d *daemon) writable() error {
	err := d.pool.Load().Writable()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if before := d.unwritable.Swap(text); text != "" && before != text {
		d.log.Warn("namespaces cannot be changed", "error", text)
	}
	return err
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
