package namespaces

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/firnkv/firn/engine"
)

// Salvage calls do for each store of the directory, none of which is opened, with
// its path and the path in dest that it is to be salvaged to: of the registry
// first, and of namespaces by their directories. If name is not empty, it does so
// for that namespace only, to a single store at dest; if the registry is damaged,
// the name has to be an id.
//
// A namespace that the salvaged registry lacks gets its id as its title there.
// These are returned.
func (d *Directory) Salvage(ctx context.Context, name, dest string, do func(p Part, from, to string) error) ([]Namespace, error) {
	if err := d.checkDest(dest); err != nil {
		return nil, err
	}
	if name != "" {
		ns, err := d.damagedNamespace(ctx, name)
		if err != nil {
			return nil, err
		}
		return nil, do(Part{Kind: "namespace", Namespace: ns, Path: "."}, d.storePath(ns.ID), dest)
	}
	ids, err := os.ReadDir(filepath.Join(d.path, "namespaces"))
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, err
	}
	_, err = os.Stat(d.registryPath())
	switch {
	case err == nil:
		p := Part{Kind: "registry", Path: "registry"}
		if err := do(p, d.registryPath(), filepath.Join(dest, p.Path)); err != nil {
			return nil, err
		}
	case missing:
		return nil, do(Part{Kind: "single", Path: "."}, d.path, dest)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	var found []string
	for _, entry := range ids {
		id := entry.Name()
		if !idPattern.MatchString(id) {
			continue
		}
		p := Part{Kind: "namespace", Namespace: Namespace{ID: id}, Path: filepath.Join("namespaces", id)}
		if err := do(p, d.storePath(id), filepath.Join(dest, p.Path)); err != nil {
			return nil, err
		}
		found = append(found, id)
	}
	return At(dest, d.opts).adopt(ctx, found)
}

// damagedNamespace returns the namespace of an id or title.
func (d *Directory) damagedNamespace(ctx context.Context, name string) (ns Namespace, err error) {
	err = d.view(ctx, func(r *registry) (err error) {
		ns, err = r.find(ctx, name)
		return err
	})
	if err == nil || !idPattern.MatchString(name) {
		return ns, err
	}
	if _, statErr := os.Stat(d.storePath(name)); statErr != nil {
		return ns, err
	}
	return Namespace{ID: name}, nil
}

// adopt enters the namespaces that the registry does not know. The stores of those
// that it knows as deleted are gone by now.
func (d *Directory) adopt(ctx context.Context, ids []string) (adopted []Namespace, err error) {
	err = d.change(ctx, func(r *registry) error {
		all, err := r.list(ctx)
		if err != nil {
			return err
		}
		known := map[string]Namespace{}
		for _, ns := range all {
			known[ns.ID] = ns
		}
		for _, id := range ids {
			if !isStore(d.storePath(id)) {
				continue
			}
			if ns, ok := known[id]; ok {
				// Its id may be what was lost. Under a second title, it would
				// go with all its pairs when one of the two is deleted.
				if err := r.add(ctx, ns); err != nil {
					return fmt.Errorf("registry of namespaces: %w", err)
				}
				continue
			}
			ns := Namespace{ID: id, Title: id, Created: time.Now().UTC().Truncate(time.Second)}
			if err := r.add(ctx, ns); err != nil {
				return fmt.Errorf("registry of namespaces: %w", err)
			}
			adopted = append(adopted, ns)
		}
		return nil
	})
	return adopted, err
}

// SalvageStore salvages the store of a part with the options of the directory.
func (d *Directory) SalvageStore(ctx context.Context, from, to string, progress func(done, total int64)) (*engine.SalvageReport, error) {
	return engine.Salvage(ctx, from, to, &engine.SalvageOptions{Options: d.opts, Progress: progress})
}
