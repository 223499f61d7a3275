package namespaces

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/internal/vfs"
)

const deletedSuffix = ".deleted"

// sweep removes the files of deleted namespaces. Those whose store somebody has
// still open are left for another time.
func (d *Directory) sweep(ctx context.Context, r *registry) error {
	err := d.removeRenamed()
	ids, listErr := r.deleted(ctx)
	err = errors.Join(err, listErr)
	for _, id := range ids {
		if removeErr := d.removeStore(ctx, r, id); !errors.Is(removeErr, engine.ErrLocked) {
			err = errors.Join(err, removeErr)
		}
	}
	return err
}

// removeStore removes the files of a namespace that the registry has as deleted,
// and then forgets it. A store that is half removed must not be taken for one when
// the registry is lost: so it gets another name first. The store must be closed, as
// Windows renames no directory in which a file is open.
func (d *Directory) removeStore(ctx context.Context, r *registry, id string) error {
	path := d.storePath(id)
	lock, err := d.lockStore(id)
	switch {
	case err == nil:
		_ = lock.Close() // nobody else gets it without the registry
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := vfs.OS.Rename(path, path+deletedSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The registry must not forget it before the old name is gone for good.
	if err := vfs.OS.SyncDir(filepath.Dir(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.remove(path + deletedSuffix); err != nil {
		return err
	}
	return r.forget(ctx, id)
}

// discard removes the store of a namespace that did not come to be. On a full disk,
// who tries to create one again and again must not leave more each time.
func (d *Directory) discard(id string) {
	path := d.storePath(id)
	if vfs.OS.Rename(path, path+deletedSuffix) == nil { // as in removeStore
		path += deletedSuffix
	}
	_ = d.remove(path) // or else the next sweep does
}

// warnRemains tells the operator that files of deleted namespaces could not be
// removed yet.
func (d *Directory) warnRemains(err error) {
	d.log().Warn("files of deleted namespaces remain", "dir", d.path, "error", err)
}

// removeRenamed removes what was left half removed.
func (d *Directory) removeRenamed() error {
	all, err := os.ReadDir(d.storePath(""))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range all {
		if strings.HasSuffix(entry.Name(), deletedSuffix) {
			err = errors.Join(err, d.remove(d.storePath(entry.Name())))
		}
	}
	return err
}

// lockStore takes the lock of the store of a namespace, as opening it does. That
// fails with engine.ErrLocked if somebody has it open.
func (d *Directory) lockStore(id string) (io.Closer, error) {
	return vfs.OS.Lock(filepath.Join(d.storePath(id), "LOCK"))
}
