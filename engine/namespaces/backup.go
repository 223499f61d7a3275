package namespaces

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/firnkv/firn/engine"
)

// Part is one of the stores of a data directory.
type Part struct {
	Kind string // registry, namespace, or single
	Namespace
	Path string // in the directory; "." for a single store
}

// Backup calls do for each store of the directory, open for reading, with the
// path in dest where its backup goes. If name is not empty, it does so for that
// namespace only, whose backup is a single store at dest. Where there is nothing
// yet, the error is ErrNoStore.
//
// The registry is held meanwhile, so namespaces are neither created nor deleted,
// and comes last: what it lists is there. Then the stores of namespaces are
// removed from dest that do not exist any more.
func (d *Directory) Backup(ctx context.Context, name, dest string, do func(p Part, store *engine.Store, to string) error) error {
	if d.Single() || name != "" {
		return d.backupOne(ctx, name, dest, do)
	}
	if err := d.checkDest(dest); err != nil {
		return err
	}
	r, err := d.holdRegistry(ctx)
	if err != nil {
		return err
	}
	err = d.backupAll(ctx, r, dest, do)
	return errors.Join(err, r.store.Close())
}

func (d *Directory) backupOne(ctx context.Context, name, dest string, do func(p Part, store *engine.Store, to string) error) error {
	if name == "" {
		name = DefaultTitle
	}
	store, ns, err := d.OpenRead(ctx, name)
	if err != nil {
		return err
	}
	p := Part{Kind: "namespace", Namespace: ns, Path: "."}
	if ns.ID == "" {
		p.Kind = "single"
	}
	return errors.Join(do(p, store, dest), store.Close())
}

func (d *Directory) holdRegistry(ctx context.Context) (*registry, error) {
	var r *registry
	err := d.waiting(ctx, func() (err error) {
		if !isStore(d.registryPath()) {
			return ErrNoStore
		}
		r, err = d.openRegistry(true)
		return err
	})
	return r, err
}

func (d *Directory) backupAll(ctx context.Context, r *registry, dest string, do func(p Part, store *engine.Store, to string) error) error {
	all, err := r.list(ctx)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, ns := range all {
		keep[ns.ID] = true
		var store *engine.Store
		if err := d.waiting(ctx, func() (err error) {
			store, err = d.openStore(ns, true)
			return err
		}); err != nil {
			return err
		}
		p := Part{Kind: "namespace", Namespace: ns, Path: filepath.Join("namespaces", ns.ID)}
		if err := errors.Join(do(p, store, filepath.Join(dest, p.Path)), store.Close()); err != nil {
			return fmt.Errorf("namespace %q: %w", ns.Title, err)
		}
	}
	p := Part{Kind: "registry", Path: "registry"}
	if err := do(p, r.store, filepath.Join(dest, p.Path)); err != nil {
		return fmt.Errorf("registry of namespaces: %w", err)
	}
	return prune(filepath.Join(dest, "namespaces"), keep)
}

// checkDest refuses what is neither missing, empty, nor a data directory, and
// what is inside of this one.
func (d *Directory) checkDest(dest string) error {
	own, err := resolve(d.path)
	if err != nil {
		return err
	}
	to, err := resolve(dest)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(own, to); err == nil && filepath.IsLocal(rel) {
		return fmt.Errorf("%w: %s is in the data directory %s", engine.ErrNotBackup, dest, d.path)
	}
	entries, err := os.ReadDir(dest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "registry" && name != "namespaces" {
			return fmt.Errorf("%w: %s has a file %s", engine.ErrNotBackup, dest, name)
		}
	}
	return err
}

// resolve returns the absolute path without symlinks. What is at its end may not
// be there yet.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return "", err
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}

var idPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// prune removes the stores of namespaces that are not to be kept.
func prune(dir string, keep map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		id, deleted := strings.CutSuffix(entry.Name(), deletedSuffix)
		if !idPattern.MatchString(id) || keep[id] && !deleted {
			continue
		}
		gone := filepath.Join(dir, id+deletedSuffix)
		if !deleted {
			// A store that is half removed must not be taken for one.
			if renameErr := os.Rename(filepath.Join(dir, id), gone); renameErr != nil {
				err = errors.Join(err, renameErr)
				continue
			}
		}
		err = errors.Join(err, os.RemoveAll(gone))
	}
	return err
}
