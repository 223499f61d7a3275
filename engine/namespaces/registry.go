package namespaces

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/firnkv/firn/engine"
)

// Limits of Workers KV.
const (
	maxTitle      = 512 // characters
	maxNamespaces = 1000
)

const (
	titlePrefix   = "title:"
	idPrefix      = "id:"
	deletedPrefix = "deleted:"

	maxRegistryKey = len(titlePrefix) + maxTitle*utf8.UTFMax
)

func checkTitle(title string) error {
	switch n := utf8.RuneCountInString(title); {
	case n == 0:
		return fmt.Errorf("%w: it is empty", ErrTitle)
	case n > maxTitle:
		return fmt.Errorf("%w: it has %d characters, the limit is %d", ErrTitle, n, maxTitle)
	case !utf8.ValidString(title):
		return fmt.Errorf("%w: %q is not UTF-8", ErrTitle, title)
	}
	return nil
}

// registry is the open registry. Without a store it is that of a directory
// that does not have one yet.
type registry struct {
	store *engine.Store
}

// find returns the namespace of an id or title, or an error that matches
// ErrNotExist.
func (r *registry) find(ctx context.Context, name string) (Namespace, error) {
	title := name
	if r.store != nil {
		t, err := r.store.Get(ctx, idPrefix+name)
		if err == nil {
			title = string(t)
		} else if !absent(err) {
			return Namespace{}, err
		}
	}
	ns, err := r.get(ctx, title)
	if absent(err) {
		return Namespace{}, notExistError(name)
	}
	return ns, err
}

func (r *registry) get(ctx context.Context, title string) (Namespace, error) {
	if r.store == nil {
		return Namespace{}, engine.ErrNotFound
	}
	value, err := r.store.Get(ctx, titlePrefix+title)
	if err != nil {
		return Namespace{}, err
	}
	var ns Namespace
	if err := json.Unmarshal(value, &ns); err != nil {
		return Namespace{}, fmt.Errorf("registry of namespaces: %q: %w", title, err)
	}
	return ns, nil
}

// absent reports whether err means that there is no such key, also because it
// could not be one.
func absent(err error) bool {
	return errors.Is(err, engine.ErrNotFound) || errors.Is(err, engine.ErrKeyTooLong) ||
		errors.Is(err, engine.ErrKeyNotUTF8)
}

func (r *registry) list(ctx context.Context) ([]Namespace, error) {
	var all []Namespace
	if r.store == nil {
		return all, nil
	}
	for key, err := range r.store.Keys(ctx, titlePrefix) {
		if err != nil {
			return nil, err
		}
		ns, err := r.get(ctx, key.Name[len(titlePrefix):])
		if err != nil {
			return nil, err
		}
		all = append(all, ns)
	}
	return all, nil
}

// reserve returns a new namespace of that title, which add makes real.
func (r *registry) reserve(ctx context.Context, title string) (Namespace, error) {
	if err := r.checkFree(ctx, title); err != nil {
		return Namespace{}, err
	}
	all, err := r.list(ctx)
	if err != nil {
		return Namespace{}, err
	}
	if len(all) >= maxNamespaces {
		return Namespace{}, tooMany(len(all))
	}
	return newNamespace(title), nil
}

func newNamespace(title string) Namespace {
	var id [16]byte
	rand.Read(id[:])
	return Namespace{ID: hex.EncodeToString(id[:]), Title: title, Created: time.Now().UTC().Truncate(time.Second)}
}

func tooMany(n int) error {
	return fmt.Errorf("%w: there are %d, which is the limit", ErrTooMany, n)
}

func titleInUse(other Namespace) error {
	return fmt.Errorf("%w: namespace %s is %q", ErrTitleInUse, other.ID, other.Title)
}

func (r *registry) checkFree(ctx context.Context, title string) error {
	other, err := r.get(ctx, title)
	if err == nil {
		return titleInUse(other)
	}
	if absent(err) {
		return nil
	}
	return err
}

// writable returns why the registry takes no writes, or nil.
func (r *registry) writable() error {
	return r.store.Write(context.Background(), new(engine.Batch))
}

// unsure reports whether a write that failed so may come back when the registry is
// opened again, if writable gave no error before: it was written, but a sync failed.
// With all other errors, nothing of it is left.
func unsure(err error) bool { return errors.Is(err, engine.ErrReadOnly) }

func (r *registry) add(ctx context.Context, ns Namespace) error {
	var b engine.Batch
	if err := putBoth(&b, ns); err != nil {
		return err
	}
	return r.store.Write(ctx, &b)
}

// rename gives a namespace another title, which nobody has.
func (r *registry) rename(ctx context.Context, ns Namespace, title string) (Namespace, error) {
	var b engine.Batch
	b.Delete(titlePrefix + ns.Title)
	ns.Title = title
	if err := putBoth(&b, ns); err != nil {
		return Namespace{}, err
	}
	return ns, r.store.Write(ctx, &b)
}

// remove makes a namespace a deleted one, whose files have yet to go.
func (r *registry) remove(ctx context.Context, ns Namespace) error {
	var b engine.Batch
	b.Delete(titlePrefix + ns.Title)
	b.Delete(idPrefix + ns.ID)
	b.Put(deletedPrefix+ns.ID, []byte(ns.Title), nil)
	return r.store.Write(ctx, &b)
}

// deleted returns the ids of namespaces whose files have yet to go.
func (r *registry) deleted(ctx context.Context) ([]string, error) {
	var ids []string
	for key, err := range r.store.Keys(ctx, deletedPrefix) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, key.Name[len(deletedPrefix):])
	}
	return ids, nil
}

// forget notes that the files of a deleted namespace are gone.
func (r *registry) forget(ctx context.Context, id string) error {
	return r.store.Delete(ctx, deletedPrefix+id)
}

func putBoth(b *engine.Batch, ns Namespace) error {
	value, err := json.Marshal(ns)
	if err != nil {
		return err
	}
	b.Put(titlePrefix+ns.Title, value, nil)
	b.Put(idPrefix+ns.ID, []byte(ns.Title), nil)
	return nil
}
