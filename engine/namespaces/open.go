package namespaces

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firnkv/firn/engine"
)

// InUseError says which store another process, or another opener in this one,
// has open. It matches [engine.ErrLocked].
type InUseError struct {
	Title    string // of the namespace; empty for the registry or a single store
	Path     string
	Registry bool
}

func (e *InUseError) Error() string {
	what := "the store"
	switch {
	case e.Registry:
		what = "the registry of namespaces"
	case e.Title != "":
		what = fmt.Sprintf("namespace %q", e.Title)
	}
	return what + " is in use: another firn command, or a program that embeds the store, has " + e.Path +
		" open; try again when it is done"
}

// Unwrap returns engine.ErrLocked.
func (e *InUseError) Unwrap() error { return engine.ErrLocked }

// OpenRead opens the store of a namespace for reading. For the default
// namespace that nobody has written to yet, the error is ErrNoStore.
func (d *Directory) OpenRead(ctx context.Context, name string) (*engine.Store, Namespace, error) {
	return d.openWaiting(ctx, name, true)
}

// OpenWrite opens the store of a namespace for writing, and creates the
// default one.
func (d *Directory) OpenWrite(ctx context.Context, name string) (*engine.Store, Namespace, error) {
	var store *engine.Store
	var ns Namespace
	err := d.waiting(ctx, func() (err error) {
		store, ns, err = d.open(ctx, name, false)
		if errors.Is(err, ErrNoStore) {
			store, ns, err = d.openDefault(ctx)
		}
		return err
	})
	return store, ns, err
}

// OpenExisting opens the store of a namespace for writing. For the default
// namespace that nobody has written to yet, the error is ErrNoStore.
func (d *Directory) OpenExisting(ctx context.Context, name string) (*engine.Store, Namespace, error) {
	return d.openWaiting(ctx, name, false)
}

func (d *Directory) openWaiting(ctx context.Context, name string, readOnly bool) (*engine.Store, Namespace, error) {
	var store *engine.Store
	var ns Namespace
	err := d.waiting(ctx, func() (err error) {
		store, ns, err = d.open(ctx, name, readOnly)
		return err
	})
	return store, ns, err
}

// open opens the store of a namespace that exists.
func (d *Directory) open(ctx context.Context, name string, readOnly bool) (*engine.Store, Namespace, error) {
	if d.Single() {
		if name != DefaultTitle {
			return nil, Namespace{}, fmt.Errorf("namespace %q: %w", name, ErrSingle)
		}
		store, err := d.openAt(d.path, Namespace{}, readOnly)
		return store, Namespace{}, err
	}
	var store *engine.Store
	var ns Namespace
	err := d.viewNow(ctx, func(r *registry) (err error) {
		ns, err = r.find(ctx, name)
		if errors.Is(err, ErrNotExist) && name == DefaultTitle {
			return ErrNoStore
		}
		if err != nil {
			return err
		}
		store, err = d.openStore(ns, readOnly)
		return err
	})
	return closedIf(err, store), ns, err
}

// openDefault opens the default namespace for writing, and creates it if
// nobody else just did.
func (d *Directory) openDefault(ctx context.Context) (*engine.Store, Namespace, error) {
	var store *engine.Store
	var ns Namespace
	err := d.changeNow(ctx, func(r *registry) (err error) {
		ns, err = r.find(ctx, DefaultTitle)
		switch {
		case errors.Is(err, ErrNotExist):
			store, ns, err = d.create(ctx, r, DefaultTitle)
		case err == nil:
			store, err = d.openStore(ns, false)
		}
		return err
	})
	return closedIf(err, store), ns, err
}

// closedIf closes store if there is one and something after its opening went
// wrong.
func closedIf(err error, store *engine.Store) *engine.Store {
	if err == nil || store == nil {
		return store
	}
	_ = store.Close() // err says more
	return nil
}

// openStore opens the store of ns, which has to be there: an empty one in the
// place of what went missing would hide the loss. The caller holds the
// registry.
func (d *Directory) openStore(ns Namespace, readOnly bool) (*engine.Store, error) {
	path := d.storePath(ns.ID)
	if !isStore(path) {
		return nil, fmt.Errorf("namespace %q: %s: %w, or not any more", ns.Title, path, engine.ErrNotStore)
	}
	return d.openAt(path, ns, readOnly)
}

func (d *Directory) openAt(path string, ns Namespace, readOnly bool) (*engine.Store, error) {
	opts := d.opts
	opts.ReadOnly = readOnly
	store, err := engine.Open(path, &opts)
	if errors.Is(err, engine.ErrLocked) {
		return nil, &InUseError{Title: ns.Title, Path: path}
	}
	if err != nil && ns.Title != "" {
		return nil, fmt.Errorf("namespace %q: %w", ns.Title, err)
	}
	return store, err
}

// view calls do with the registry open for reading.
func (d *Directory) view(ctx context.Context, do func(*registry) error) error {
	if d.Single() {
		return ErrSingle
	}
	return d.waiting(ctx, func() error { return d.viewNow(ctx, do) })
}

func (d *Directory) viewNow(ctx context.Context, do func(*registry) error) error {
	if !isStore(d.registryPath()) {
		return do(&registry{})
	}
	r, err := d.openRegistry(true)
	if err != nil {
		return err
	}
	return errors.Join(do(r), r.store.Close())
}

// change calls do with the registry open for writing, and creates it if there
// is none. What do has written then is on disk: that the registry does not close
// properly, or files of deleted namespaces remain, is nothing that its caller has to
// know.
func (d *Directory) change(ctx context.Context, do func(*registry) error) error {
	if d.Single() {
		return ErrSingle
	}
	return d.waiting(ctx, func() error { return d.changeNow(ctx, do) })
}

func (d *Directory) changeNow(ctx context.Context, do func(*registry) error) error {
	r, err := d.openRegistry(false)
	if err != nil {
		return err
	}
	if err := d.sweep(ctx, r); err != nil {
		d.warnRemains(err)
	}
	err = do(r)
	if closeErr := r.store.Close(); closeErr != nil && err == nil {
		d.log().Warn("closing the registry of namespaces failed", "dir", d.path, "error", closeErr)
	}
	return err
}

func (d *Directory) openRegistry(readOnly bool) (*registry, error) {
	opts := d.opts
	opts.ReadOnly = readOnly
	opts.Limits = engine.Limits{KeyBytes: maxRegistryKey}
	// What has become of a namespace must not depend on how durable the writes
	// to it are.
	opts.Sync = engine.SyncAlways
	opts.ManualCompaction = false
	opts.CacheBytes = -1 // nothing is read twice
	store, err := engine.Open(d.registryPath(), &opts)
	if errors.Is(err, engine.ErrLocked) {
		return nil, &InUseError{Path: d.registryPath(), Registry: true}
	}
	if err != nil {
		return nil, fmt.Errorf("registry of namespaces: %w", err)
	}
	return &registry{store}, nil
}

// waiting calls do again and again while it fails because a store is in use,
// but not for longer than it is told to.
func (d *Directory) waiting(ctx context.Context, do func() error) error {
	give := time.Now().Add(d.wait)
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := do()
		if !errors.Is(err, engine.ErrLocked) || !time.Now().Before(give) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
