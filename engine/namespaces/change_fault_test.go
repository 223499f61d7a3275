package namespaces

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/internal/vfs"
)

// registryFails has the disk fail to do what is of these kinds to the registry.
func registryFails(path string, err error, kinds ...vfs.Kind) func(vfs.Op) error {
	return failing(filepath.Join(path, "registry"), err, kinds...)
}

// TestPoolDeleteUnsure has the sync of a delete fail. It may have happened, so what
// would be written from then on may be lost: there are no new leases.
func TestPoolDeleteUnsure(t *testing.T) {
	disk := faultyDisk(t)
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	p.ended = engine.ErrReadOnly
	ctx := t.Context()
	a, b := p.create("a"), p.create("b")
	p.put(a, "k", "v")
	old := p.acquire(a)
	disk.SetHook(registryFails(p.path, syscall.EIO, vfs.KindSync))
	_, err := p.Delete(ctx, a.ID)
	wantErr(t, err, engine.ErrReadOnly)
	disk.SetHook(nil)

	_, err = p.Acquire(ctx, a.ID)
	wantErr(t, err, engine.ErrReadOnly)
	if errors.Is(err, ErrNotExist) {
		t.Errorf("nobody knows that: %v", err)
	}
	if got := p.opened(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("open are %q", got)
	}
	if err := old.Store().Put(ctx, "k", []byte("w"), nil); err != nil {
		t.Errorf("under a lease: %v", err)
	}
	old.Release()
	p.pass(time.Minute)
	p.wantStats(PoolStats{Namespaces: 2})
	_, err = p.Acquire(ctx, a.ID)
	wantErr(t, err, engine.ErrReadOnly)

	// What is refused from then on has not happened.
	wantErr(t, p.Writable(), engine.ErrReadOnly)
	for range 2 {
		_, err = p.Delete(ctx, b.ID)
		wantErr(t, err, engine.ErrReadOnly)
		p.put(b, "k", "v")
	}
	_, err = p.Create(ctx, "c")
	wantErr(t, err, engine.ErrReadOnly)
	_, err = p.Rename(ctx, b.ID, "c")
	wantErr(t, err, engine.ErrReadOnly)
	if got := storeDirs(t, p.path); len(got) != 2 {
		t.Errorf("there is %q", got)
	}
}

// TestPoolDeleteWithoutRoom has a delete fail that did not happen.
func TestPoolDeleteWithoutRoom(t *testing.T) {
	for name, fault := range map[string]error{"full": syscall.ENOSPC, "failing": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			disk := faultyDisk(t)
			p := openPool(t, t.TempDir(), PoolOptions{})
			a := p.create("a")
			disk.SetHook(registryFails(p.path, fault, vfs.KindWrite))
			_, err := p.Delete(t.Context(), a.ID)
			if fault == syscall.ENOSPC {
				wantErr(t, err, engine.ErrNoSpace)
			} else {
				wantErr(t, err, fault)
			}
			p.put(a, "k", "v")
			disk.SetHook(nil)
			if got := p.get(a, "k"); got != "v" {
				t.Errorf("got %q", got)
			}
			if _, err := p.Delete(t.Context(), a.ID); err != nil {
				t.Error(err)
			}
			p.wantFilesGone(a)
		})
	}
}

// TestCreateFailed creates namespaces that the registry does not take. Only of one
// whose name a crash may bring back is the store kept.
func TestCreateFailed(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  vfs.Kind
		fault error
		want  error
		kept  int
	}{
		{"full", vfs.KindWrite, syscall.ENOSPC, engine.ErrNoSpace, 0},
		{"failing", vfs.KindWrite, syscall.EIO, syscall.EIO, 0},
		{"not synced", vfs.KindSync, syscall.EIO, engine.ErrReadOnly, 1},
		{"not synced as it is full", vfs.KindSync, syscall.ENOSPC, engine.ErrReadOnly, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := faultyDisk(t)
			p := openPool(t, t.TempDir(), PoolOptions{})
			if c.kept > 0 {
				p.ended = engine.ErrReadOnly
			}
			a := p.create("a")
			disk.SetHook(registryFails(p.path, c.fault, c.kind))
			for range 3 {
				_, err := p.Create(t.Context(), "b")
				wantErr(t, err, c.want)
				_, err = p.AcquireDefault(t.Context())
				wantErr(t, err, c.want)
			}
			p.wantStats(PoolStats{Namespaces: 1, Open: 1})
			dirs := slices.DeleteFunc(storeDirs(t, p.path), func(name string) bool { return name == a.ID })
			if len(dirs) != c.kept {
				t.Errorf("left over: %q", dirs)
			}
			disk.SetHook(nil)
		})
	}
}

// TestCreateWithoutRoom has no room for the store of a new namespace: neither files nor
// a name are left of it.
func TestCreateWithoutRoom(t *testing.T) {
	disk := faultyDisk(t)
	p := openPool(t, t.TempDir(), PoolOptions{})
	for _, kind := range []vfs.Kind{vfs.KindCreate, vfs.KindPreallocate, vfs.KindWrite} {
		disk.SetHook(failing(p.dir.storePath(""), syscall.ENOSPC, kind))
		_, err := p.Create(t.Context(), "a")
		wantErr(t, err, engine.ErrNoSpace)
		if got := storeDirs(t, p.path); len(got) > 0 {
			t.Errorf("no room for %s: there is %q", kind, got)
		}
		_, err = p.registry.find(t.Context(), "a")
		wantErr(t, err, ErrNotExist)
	}
	disk.SetHook(nil)
	p.create("a")
}

// TestDeleteLockUnknown has nobody know whether the store of a namespace is in use: it
// is not deleted.
func TestDeleteLockUnknown(t *testing.T) {
	disk := faultyDisk(t)
	d := at(t)
	a := create(t, d, "a")
	put(t, d, "a", "k", "v")
	disk.SetHook(failing(d.storePath(a.ID), syscall.EIO, vfs.KindLock))
	_, err := d.Delete(t.Context(), "a")
	wantErr(t, err, syscall.EIO)
	disk.SetHook(nil)
	if got := get(t, d, "a", "k"); got != "v" {
		t.Errorf("got %q", got)
	}
}

// stuck has the files of deleted namespaces in a directory stay until the function
// that is returned is called.
func stuck(d *Directory) (free func()) {
	remove := d.remove
	d.remove = func(name string) error {
		return &fs.PathError{Op: "unlinkat", Path: name, Err: syscall.EBUSY}
	}
	return func() { d.remove = remove }
}

// TestDeleteStuck deletes a namespace whose files cannot be removed. It is deleted
// even so, and the files keep nobody from anything; they go when they can.
func TestDeleteStuck(t *testing.T) {
	var log strings.Builder
	d := At(filepath.Join(t.TempDir(), "data"), engine.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}).Waiting(0)
	a, b := create(t, d, "a"), create(t, d, "b")
	put(t, d, "a", "k", "v")
	free := stuck(d)
	if ns, err := d.Delete(t.Context(), "a"); err != nil || ns != a {
		t.Errorf("got %+v, %v", ns, err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), a.ID) {
		t.Errorf("nobody is told: %s", log.String())
	}
	_, _, err := d.OpenRead(t.Context(), a.ID)
	wantErr(t, err, ErrNotExist)
	_, err = d.Delete(t.Context(), "a")
	wantErr(t, err, ErrNotExist)
	if again := create(t, d, "a"); again.ID == a.ID {
		t.Error("an id was used twice")
	}
	if _, err := d.Rename(t.Context(), "b", "c"); err != nil {
		t.Error(err)
	}
	put(t, d, DefaultTitle, "k", "v")
	want := a.ID + deletedSuffix
	if got := storeDirs(t, d.Path()); len(got) != 4 || !slices.Contains(got, want) {
		t.Errorf("there is %q", got)
	}
	p, err := d.OpenPool(t.Context(), PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Delete(t.Context(), b.ID); err != nil {
		t.Error(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	free()
	if _, err := d.Rename(t.Context(), "a", "z"); err != nil {
		t.Error(err)
	}
	if got := storeDirs(t, d.Path()); len(got) != 2 || slices.Contains(got, want) {
		t.Errorf("there is %q", got)
	}
	err = d.ViewRegistry(t.Context(), func(store *engine.Store) error {
		ids, err := (&registry{store}).deleted(t.Context())
		if len(ids) > 0 {
			t.Errorf("not forgotten: %q", ids)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestDeleteNotRenamed has a directory keep its name when its namespace is deleted.
func TestDeleteNotRenamed(t *testing.T) {
	disk := faultyDisk(t)
	d := at(t)
	d.opts.Logger = slog.New(slog.DiscardHandler)
	a := create(t, d, "a")
	disk.SetHook(failing(d.storePath(a.ID)+deletedSuffix, fs.ErrPermission, vfs.KindRename))
	if _, err := d.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	create(t, d, "b")
	_, _, err := d.OpenRead(t.Context(), a.ID)
	wantErr(t, err, ErrNotExist)
	if _, err := os.Stat(d.storePath(a.ID)); err != nil {
		t.Errorf("removed under a name that Salvage takes for that of a store: %v", err)
	}
	disk.SetHook(nil)
	create(t, d, "c")
	if got := storeDirs(t, d.Path()); len(got) != 2 || slices.Contains(got, a.ID) {
		t.Errorf("there is %q", got)
	}
}

// TestChangeIsDone has the registry fail to close after a change: that is on disk.
func TestChangeIsDone(t *testing.T) {
	disk := faultyDisk(t)
	d := at(t)
	d.opts.Logger = slog.New(slog.DiscardHandler)
	create(t, d, "a")
	disk.SetHook(registryFails(d.Path(), syscall.EIO, vfs.KindTruncate))
	create(t, d, "b")
	if _, err := d.Rename(t.Context(), "b", "c"); err != nil {
		t.Error(err)
	}
	if _, err := d.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	disk.SetHook(nil)
	if all, err := d.List(t.Context()); err != nil || len(all) != 1 || all[0].Title != "c" {
		t.Errorf("there are %+v, %v", all, err)
	}
}

// TestPoolWritable has the registry turn read-only by a sync that is not of its log.
func TestPoolWritable(t *testing.T) {
	disk := faultyDisk(t)
	path := t.TempDir()
	d := At(path, engine.Options{SegmentBytes: 64 << 10, Logger: slog.New(slog.DiscardHandler)})
	p, err := d.OpenPool(t.Context(), PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := p.Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	disk.SetHook(failing(filepath.Join(path, "registry", "MANIFEST"), syscall.EIO, vfs.KindSync))
	for i := 0; err == nil; i++ { // until it needs another segment
		_, err = p.Rename(t.Context(), a.ID, strings.Repeat("x", 500)+strconv.Itoa(i))
	}
	disk.SetHook(nil)
	wantErr(t, err, engine.ErrReadOnly)
	wantErr(t, p.Writable(), engine.ErrReadOnly)
	// Nothing is written, so nobody has to doubt that the namespace is there.
	_, err = p.Delete(t.Context(), a.ID)
	wantErr(t, err, engine.ErrReadOnly)
	l, err := p.Acquire(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	wantErr(t, p.Close(t.Context()), engine.ErrReadOnly)
	wantErr(t, p.Writable(), engine.ErrClosed)
}

// TestPoolChangeCancelled ends the contexts of changes that are on their way to the
// disk, behind other writes. They are completed: what is in memory has to be what is on
// disk.
func TestPoolChangeCancelled(t *testing.T) {
	for name, change := range map[string]func(ctx context.Context, p *testPool, ns Namespace) error{
		"create": func(ctx context.Context, p *testPool, _ Namespace) error {
			_, err := p.Create(ctx, "new")
			return err
		},
		"rename": func(ctx context.Context, p *testPool, ns Namespace) error {
			_, err := p.Rename(ctx, ns.ID, "new")
			return err
		},
		"delete": func(ctx context.Context, p *testPool, ns Namespace) error {
			_, err := p.Delete(ctx, ns.ID)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := faultyDisk(t)
			p := openPool(t, t.TempDir(), PoolOptions{})
			ns := p.create("a")
			var leases []*Lease
			for _, title := range []string{"b", "c"} {
				other := p.create(title)
				leases = append(leases, p.acquire(other))
				if _, err := p.Delete(t.Context(), other.ID); err != nil {
					t.Fatal(err)
				}
			}
			held := make(chan struct{})
			disk.SetHook(func(op vfs.Op) error {
				if op.Kind == vfs.KindSync && filepath.Dir(op.Name) == p.dir.registryPath() {
					<-held
				}
				return nil
			})
			// The writes that note the end of the files are synced one after the
			// other, and the change shares the sync of the second.
			written := p.registry.store.Stats().Writes
			wantWritten := func(more int64) {
				t.Helper()
				written += more
				eventually(t, "it is written", func() bool { return p.registry.store.Stats().Writes >= written })
			}
			for _, l := range leases {
				l.Release()
				wantWritten(1)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- change(ctx, p, ns) }()
			wantWritten(2)
			cancel()
			close(held)
			wantErr(t, <-done, nil)
		})
	}
}
