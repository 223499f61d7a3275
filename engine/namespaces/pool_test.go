package namespaces

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
)

// TestPoolNames goes through what can be done with names, and sees the same again
// after the pool was opened anew.
func TestPoolNames(t *testing.T) {
	path := t.TempDir()
	p := openPool(t, path, PoolOptions{})
	ctx := t.Context()
	b, a, c := p.create("b"), p.create("a"), p.create("c")
	p.put(a, "k", "of a")
	_, err := p.Create(ctx, "a")
	wantErr(t, err, ErrTitleInUse)
	_, err = p.Rename(ctx, a.ID, "b")
	wantErr(t, err, ErrTitleInUse)
	for _, title := range []string{"", "\xff"} {
		_, err = p.Create(ctx, title)
		wantErr(t, err, ErrTitle)
		_, err = p.Rename(ctx, a.ID, title)
		wantErr(t, err, ErrTitle)
	}
	_, err = p.Resolve(ctx, "x")
	wantErr(t, err, ErrNotExist)
	_, err = p.Find(ctx, "a") // not by its title
	wantErr(t, err, ErrNotExist)

	old := p.acquire(a)
	defer old.Release()
	renamed, err := p.Rename(ctx, a.ID, "d")
	if want := (Namespace{a.ID, "d", a.Created}); err != nil || renamed != want {
		t.Errorf("got %+v, %v", renamed, err)
	}
	if same, err := p.Rename(ctx, a.ID, "d"); err != nil || same != renamed {
		t.Errorf("to its own title: %+v, %v", same, err)
	}
	l := p.acquire(a)
	defer l.Release()
	if l.Namespace() != renamed || old.Namespace() != a || l.Store() != old.Store() {
		t.Errorf("leases of %+v and %+v", old.Namespace(), l.Namespace())
	}
	_, err = p.Resolve(ctx, "a")
	wantErr(t, err, ErrNotExist)
	hidden, err := p.Create(ctx, a.ID) // its title is the id of another one
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	old.Release()

	check := func(p *testPool) {
		t.Helper()
		for name, want := range map[string]Namespace{"b": b, "c": c, "d": renamed, a.ID: renamed, hidden.ID: hidden} {
			if got, err := p.Resolve(ctx, name); err != nil || got != want {
				t.Errorf("%q is %+v, %v", name, got, err)
			}
		}
		want := []Namespace{b, c, renamed, hidden}
		slices.SortFunc(want, func(a, b Namespace) int { return strings.Compare(a.Title, b.Title) })
		if all, err := p.List(ctx); err != nil || !slices.Equal(all, want) {
			t.Errorf("list: %+v, %v", all, err)
		}
		if got := p.get(a, "k"); got != "of a" {
			t.Errorf("got %q", got)
		}
	}
	check(p)
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	check(openPool(t, path, PoolOptions{}))
}

func TestPoolOfSingleStore(t *testing.T) {
	d := at(t)
	store, err := engine.Open(d.Path(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	_, err = d.OpenPool(t.Context(), PoolOptions{})
	wantErr(t, err, ErrSingle)
}

// TestPoolHoldsRegistry keeps others out while the pool is open.
func TestPoolHoldsRegistry(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{})
	p.create("a")
	d := At(p.path, engine.Options{}).Waiting(0)
	_, err := d.OpenPool(t.Context(), PoolOptions{})
	wantErr(t, err, engine.ErrLocked)
	_, _, err = d.OpenRead(t.Context(), "a")
	wantErr(t, err, engine.ErrLocked)
	_, err = d.Delete(t.Context(), "a")
	wantErr(t, err, engine.ErrLocked)
}

// TestPoolTooMany fills a directory to the limit.
func TestPoolTooMany(t *testing.T) {
	path := t.TempDir()
	err := At(path, engine.Options{}).change(t.Context(), func(r *registry) error {
		for i := range maxNamespaces - 1 {
			ns := Namespace{ID: fmt.Sprintf("%032x", i), Title: fmt.Sprint(i)}
			if err := r.add(t.Context(), ns); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p := openPool(t, path, PoolOptions{})
	last := p.create("last")
	_, err = p.Create(t.Context(), "one more")
	wantErr(t, err, ErrTooMany)
	_, err = p.AcquireDefault(t.Context())
	wantErr(t, err, ErrTooMany)
	if _, err := p.Delete(t.Context(), last.ID); err != nil {
		t.Fatal(err)
	}
	p.create("one more")
}

func TestPoolDefault(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{})
	ctx := t.Context()
	_, err := p.Resolve(ctx, DefaultTitle)
	wantErr(t, err, ErrNoStore)
	first := make(chan *Lease, 8)
	for range cap(first) {
		go func() {
			l, err := p.AcquireDefault(ctx)
			if err != nil {
				t.Error(err)
			}
			first <- l
		}()
	}
	var ns Namespace
	for range cap(first) {
		l := <-first
		if l == nil {
			t.FailNow()
		}
		defer l.Release()
		if ns, err = p.Resolve(ctx, DefaultTitle); err != nil || l.Namespace() != ns {
			t.Errorf("a lease of %+v, it is %+v, %v", l.Namespace(), ns, err)
		}
	}
	p.wantStats(PoolStats{Namespaces: 1, Open: 1, Leases: cap(first)})

	if _, err := p.Delete(ctx, ns.ID); err != nil {
		t.Fatal(err)
	}
	_, err = p.Resolve(ctx, DefaultTitle)
	wantErr(t, err, ErrNoStore)
	l, err := p.AcquireDefault(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	if l.Namespace().ID == ns.ID {
		t.Error("the default namespace that was deleted is back")
	}
}

// TestPoolOpensOnce has many wait for a store that takes long to open, as another
// process has it, and gets a lease of another one meanwhile.
func TestPoolOpensOnce(t *testing.T) {
	path := t.TempDir()
	p := openPool(t, path, PoolOptions{IdleTimeout: time.Minute})
	slow, other := p.create("slow"), p.create("other")
	p.pass(time.Minute)
	p.wantStats(PoolStats{Namespaces: 2})
	release := p.occupy(slow)

	leases := make(chan *Lease, 16)
	for range cap(leases) {
		go func() {
			l, err := p.Acquire(t.Context(), slow.ID)
			if err != nil {
				t.Error(err)
			}
			leases <- l
		}()
	}
	p.wantWaiters(slow, cap(leases))
	p.put(other, "k", "v") // is not kept up
	short, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	_, err := p.Acquire(short, slow.ID)
	wantErr(t, err, context.Canceled)
	if len(leases) > 0 {
		t.Error("a lease of a store that another process has open")
	}
	release()

	stores := map[*engine.Store]bool{}
	for range cap(leases) {
		l := <-leases
		if l == nil {
			t.FailNow()
		}
		stores[l.Store()] = true
		defer l.Release()
	}
	if len(stores) != 1 {
		t.Errorf("the store was opened %d times", len(stores))
	}
	p.wantStats(PoolStats{Namespaces: 2, Open: 2, Leases: cap(leases)})
}

// TestPoolRenameWhileOpening renames a namespace while somebody waits for its store.
func TestPoolRenameWhileOpening(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns := p.create("a")
	p.pass(time.Minute)
	release := p.occupy(ns)
	leases := make(chan *Lease)
	go func() {
		l, err := p.Acquire(t.Context(), ns.ID)
		if err != nil {
			t.Error(err)
		}
		leases <- l
	}()
	p.wantWaiters(ns, 1)
	renamed, err := p.Rename(t.Context(), ns.ID, "b")
	if err != nil {
		t.Fatal(err)
	}
	release()
	if l := <-leases; l != nil {
		defer l.Release()
		if l.Namespace() != renamed {
			t.Errorf("a lease of %+v", l.Namespace())
		}
	}
}

// wantWaiters waits until so many wait for a store to open.
func (p *testPool) wantWaiters(ns Namespace, n int) {
	p.t.Helper()
	eventually(p.t, "all wait for the store", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		s := p.names.Load().byID[ns.ID].slot
		return s.busy != nil && s.busy.waiters == n
	})
}

// TestPoolNobodyWaits opens a store that nobody wants any more: it is idle.
func TestPoolNobodyWaits(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns := p.create("a")
	p.pass(time.Minute)
	release := p.occupy(ns)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := p.Acquire(ctx, ns.ID)
		done <- err
	}()
	p.wantWaiters(ns, 1)
	cancel()
	wantErr(t, <-done, context.Canceled)
	release()
	eventually(t, "the store is open", func() bool { return p.Stats().Open == 1 })
	p.wantStats(PoolStats{Namespaces: 1, Open: 1})
	p.pass(time.Minute)
	p.wantStats(PoolStats{Namespaces: 1})
}

// TestPoolFailedOpen damages a store: all who want it are told, and when it is
// repaired it opens.
func TestPoolFailedOpen(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns := p.create("a")
	p.put(ns, "k", "v")
	p.pass(time.Minute)
	manifest := filepath.Join(p.dir.storePath(ns.ID), "MANIFEST")
	good, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifest, make([]byte, len(good)), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := p.Acquire(t.Context(), ns.ID)
			wantErr(t, err, engine.ErrCorrupt)
		})
	}
	wg.Wait()
	p.wantStats(PoolStats{Namespaces: 1})
	if err := os.WriteFile(manifest, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.get(ns, "k"); got != "v" {
		t.Errorf("after the repair: %q", got)
	}
}

// TestPoolCloseWaits closes a pool with leases out.
func TestPoolCloseWaits(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{})
	a, b, gone := p.create("a"), p.create("b"), p.create("gone")
	ctx := t.Context()
	l, of := p.acquire(a), p.acquire(gone)
	if _, err := p.Delete(ctx, gone.ID); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- p.Close(ctx) }()
	eventually(t, "no leases any more", func() bool { return p.closed.Load() })
	for _, ns := range []Namespace{a, b} {
		_, err := p.Acquire(ctx, ns.ID)
		wantErr(t, err, engine.ErrClosed)
	}
	_, err := p.AcquireDefault(ctx)
	wantErr(t, err, engine.ErrClosed)
	_, err = p.Create(ctx, "c")
	wantErr(t, err, engine.ErrClosed)
	_, err = p.Rename(ctx, a.ID, "c")
	wantErr(t, err, engine.ErrClosed)
	_, err = p.Delete(ctx, a.ID)
	wantErr(t, err, engine.ErrClosed)
	_, err = p.Find(ctx, a.ID)
	wantErr(t, err, engine.ErrClosed)
	_, err = p.Resolve(ctx, "a")
	wantErr(t, err, engine.ErrClosed)
	_, err = p.List(ctx)
	wantErr(t, err, engine.ErrClosed)

	for _, l := range []*Lease{of, l} {
		if err := l.Store().Put(ctx, "k", []byte("late"), nil); err != nil {
			t.Errorf("under a lease: %v", err)
		}
		select {
		case err := <-done:
			t.Fatalf("closed with a lease out: %v", err)
		default:
		}
		l.Release()
		l.Release() // does nothing
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := storeDirs(t, p.path); slices.Contains(got, gone.ID) || len(got) != 2 {
		t.Errorf("there is %q", got)
	}
	if got := openPool(t, p.path, PoolOptions{}).get(a, "k"); got != "late" {
		t.Errorf("got %q", got)
	}
}

// TestPoolCloseGivesUp closes a pool whose leases are not released in time.
func TestPoolCloseGivesUp(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{})
	a, gone := p.create("a"), p.create("gone")
	l, of := p.acquire(a), p.acquire(gone)
	if _, err := p.Delete(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.ended = context.Canceled
	wantErr(t, p.Close(ctx), p.ended)
	wantErr(t, l.Store().Put(t.Context(), "k", nil, nil), engine.ErrClosed)
	l.Release()
	of.Release()
	if got := storeDirs(t, p.path); !slices.Equal(got, []string{a.ID}) {
		t.Errorf("there is %q", got)
	}
}

// TestPoolCloseWhileOpening closes a pool that waits for a store.
func TestPoolCloseWhileOpening(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns := p.create("a")
	p.pass(time.Minute)
	release := p.occupy(ns)
	defer release()
	done := make(chan error)
	go func() {
		_, err := p.Acquire(t.Context(), ns.ID)
		done <- err
	}()
	p.wantWaiters(ns, 1)
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	wantErr(t, <-done, engine.ErrClosed)
}
