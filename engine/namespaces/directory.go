package namespaces

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/firnkv/firn/engine"
)

// DefaultTitle is the namespace that a write creates if it is not there, and
// that reads as empty until then.
const DefaultTitle = "default"

var (
	// ErrNotExist: there is no namespace of that title or id.
	ErrNotExist = errors.New("namespace does not exist")

	// ErrNoStore: the default namespace, or a whole data directory, is not
	// there yet. It is to be taken as empty. It matches ErrNotExist.
	ErrNoStore = fmt.Errorf("%w yet", ErrNotExist)

	// ErrTitleInUse: another namespace has the title.
	ErrTitleInUse = errors.New("title is in use")

	// ErrTitle refuses a title that is empty, too long or not UTF-8.
	ErrTitle = errors.New("title is not valid")

	// ErrTooMany: the data directory holds as many namespaces as it may.
	ErrTooMany = errors.New("too many namespaces")

	// ErrSingle: the directory is itself a store, made by a program that
	// embeds package engine, and so has no namespaces.
	ErrSingle = errors.New("the directory is a single store, without namespaces")
)

// notExistError is the name of a namespace that does not exist.
type notExistError string

func (e notExistError) Error() string { return fmt.Sprintf("namespace %q does not exist", string(e)) }

func (e notExistError) Is(target error) bool { return target == ErrNotExist }

// Namespace describes a namespace.
type Namespace struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Created time.Time `json:"created"`
}

// Directory is a data directory. Its methods open what they need and close it
// again; they are safe for concurrent use, also by several processes.
type Directory struct {
	path   string
	opts   engine.Options
	wait   time.Duration
	remove func(path string) error // os.RemoveAll; tests put others here
}

// defaultWait is how long an opener waits for somebody else to be done. The
// registry and the store of a namespace are held for milliseconds by commands
// that write one pair, and for long by a server or a bulk write.
const defaultWait = 3 * time.Second

// At returns the data directory at path. Nothing is read or made yet. The
// options are those for the stores of namespaces; ReadOnly is set as needed, and
// CacheBytes is of each store, but in a Pool of all together.
func At(path string, opts engine.Options) *Directory {
	return &Directory{path: path, opts: opts, wait: defaultWait, remove: os.RemoveAll}
}

// Waiting returns the same directory with another time to wait for a store
// that is in use.
func (d *Directory) Waiting(wait time.Duration) *Directory {
	other := *d
	other.wait = wait
	return &other
}

// withCache returns the same directory with another size of the caches.
func (d *Directory) withCache(bytes int64) *Directory {
	other := *d
	other.opts.CacheBytes = bytes
	return &other
}

func (d *Directory) log() *slog.Logger {
	if d.opts.Logger != nil {
		return d.opts.Logger
	}
	return slog.Default()
}

// Path returns the path of the directory.
func (d *Directory) Path() string { return d.path }

func (d *Directory) registryPath() string { return filepath.Join(d.path, "registry") }

func (d *Directory) storePath(id string) string { return filepath.Join(d.path, "namespaces", id) }

// Single reports whether the directory is itself a store.
func (d *Directory) Single() bool { return isStore(d.path) }

// isStore reports whether dir holds a store. One that is just being made does
// not count yet.
func isStore(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "MANIFEST"))
	return err == nil
}

// Create makes a namespace.
func (d *Directory) Create(ctx context.Context, title string) (Namespace, error) {
	if err := checkTitle(title); err != nil {
		return Namespace{}, err
	}
	var ns Namespace
	err := d.change(ctx, func(r *registry) error {
		store, created, err := d.create(ctx, r, title)
		if err != nil {
			return err
		}
		ns = created
		return store.Close()
	})
	return ns, err
}

// create makes a namespace and leaves its store open.
func (d *Directory) create(ctx context.Context, r *registry, title string) (*engine.Store, Namespace, error) {
	ns, err := r.reserve(ctx, title)
	if err != nil {
		return nil, Namespace{}, err
	}
	store, err := d.make(ctx, r, ns)
	return store, ns, err
}

// make makes the namespace ns, which is new, and leaves its store open.
func (d *Directory) make(ctx context.Context, r *registry, ns Namespace) (*engine.Store, error) {
	if err := r.writable(); err != nil {
		return nil, err
	}
	store, err := d.openAt(d.storePath(ns.ID), ns, false)
	if err != nil {
		d.discard(ns.ID)
		return nil, err
	}
	if err := r.add(ctx, ns); err != nil {
		_ = store.Close() // there is nothing in it
		if !unsure(err) {
			d.discard(ns.ID)
		}
		return nil, err
	}
	return store, nil
}

// List returns all namespaces, by title.
func (d *Directory) List(ctx context.Context) ([]Namespace, error) {
	var all []Namespace
	err := d.view(ctx, func(r *registry) (err error) {
		all, err = r.list(ctx)
		return err
	})
	return all, err
}

// ViewRegistry calls do with the store of the registry, open for reading. If
// there is none yet, the error is ErrNoStore.
func (d *Directory) ViewRegistry(ctx context.Context, do func(*engine.Store) error) error {
	return d.view(ctx, func(r *registry) error {
		if r.store == nil {
			return ErrNoStore
		}
		return do(r.store)
	})
}

// ChangeRegistry is ViewRegistry with the store open for writing.
func (d *Directory) ChangeRegistry(ctx context.Context, do func(*engine.Store) error) error {
	if !isStore(d.registryPath()) {
		return ErrNoStore
	}
	return d.change(ctx, func(r *registry) error { return do(r.store) })
}

// Rename gives a namespace another title.
func (d *Directory) Rename(ctx context.Context, name, title string) (Namespace, error) {
	if err := checkTitle(title); err != nil {
		return Namespace{}, err
	}
	var ns Namespace
	err := d.change(ctx, func(r *registry) (err error) {
		ns, err = r.find(ctx, name)
		if err != nil || ns.Title == title {
			return err
		}
		if err := r.checkFree(ctx, title); err != nil {
			return err
		}
		ns, err = r.rename(ctx, ns, title)
		return err
	})
	return ns, err
}

// Delete removes a namespace with everything in it. It fails if somebody has
// its store open.
//
// Without an error the namespace is gone, also after a crash. Files of it that
// cannot be removed now are no error: that is logged as a warning, and they go with a
// later change, or when a pool is opened. After an error that matches
// engine.ErrReadOnly, it may be gone or not.
func (d *Directory) Delete(ctx context.Context, name string) (Namespace, error) {
	var ns Namespace
	err := d.change(ctx, func(r *registry) (err error) {
		if ns, err = r.find(ctx, name); err != nil {
			return err
		}
		return d.delete(ctx, r, ns)
	})
	return ns, err
}

func (d *Directory) delete(ctx context.Context, r *registry, ns Namespace) error {
	lock, err := d.lockStore(ns.ID)
	switch {
	case errors.Is(err, engine.ErrLocked):
		return &InUseError{Title: ns.Title, Path: d.storePath(ns.ID)}
	case err == nil:
		_ = lock.Close() // nobody else gets it without the registry
	case !errors.Is(err, fs.ErrNotExist):
		return err // somebody may have it open
	}
	if err := r.remove(ctx, ns); err != nil {
		return err
	}
	if err := d.removeStore(ctx, r, ns.ID); err != nil {
		d.warnRemains(err)
	}
	return nil
}
