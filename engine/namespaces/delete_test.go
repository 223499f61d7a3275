package namespaces

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
)

// TestPoolDelete deletes a namespace with leases out.
func TestPoolDelete(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ctx := t.Context()
	a := p.create("a")
	p.put(a, "k", "v")
	one, two := p.acquire(a), p.acquire(a)
	if ns, err := p.Delete(ctx, a.ID); err != nil || ns != a {
		t.Errorf("got %+v, %v", ns, err)
	}
	p.wantGone(a)
	_, err := p.Resolve(ctx, "a")
	wantErr(t, err, ErrNotExist)
	again := p.create("a")
	if again.ID == a.ID {
		t.Error("an id was used twice")
	}
	one.Release()
	p.pass(time.Hour) // no store goes under a lease
	if err := two.Store().Put(ctx, "k", []byte("w"), nil); err != nil {
		t.Error(err)
	}
	if v, err := two.Store().Get(ctx, "k"); err != nil || string(v) != "w" {
		t.Errorf("under a lease: %q, %v", v, err)
	}
	p.wantStats(PoolStats{Namespaces: 1, Open: 1, Leases: 1})
	if got := p.get(again, "k"); got != engine.ErrNotFound.Error() {
		t.Errorf("in the new one: %q", got)
	}

	two.Release()
	p.wantFilesGone(a)
	p.wantStats(PoolStats{Namespaces: 1, Open: 1})
	p.wantNoneDeleted()
}

// wantFilesGone waits until the files of a deleted namespace are removed, and their
// space is free: nobody has them open any more.
func (p *testPool) wantFilesGone(ns Namespace) {
	p.t.Helper()
	eventually(p.t, "the files of a deleted namespace are removed", func() bool {
		return !slices.ContainsFunc(storeDirs(p.t, p.path), func(name string) bool { return strings.HasPrefix(name, ns.ID) })
	})
	for _, name := range openFiles(p.t, p.path) {
		if strings.Contains(name, ns.ID) {
			p.t.Errorf("still open: %s", name)
		}
	}
}

// wantNoneDeleted waits until the registry has forgotten all deleted namespaces.
func (p *testPool) wantNoneDeleted() {
	p.t.Helper()
	eventually(p.t, "the registry forgets", func() bool {
		ids, err := p.registry.deleted(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		return len(ids) == 0
	})
}

// TestPoolDeleteUnleased deletes namespaces whose stores are idle, shut, damaged and
// missing.
func TestPoolDeleteUnleased(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	shut, damaged, missing := p.create("shut"), p.create("damaged"), p.create("missing")
	p.pass(time.Minute)
	idle := p.create("idle")
	if err := os.WriteFile(p.dir.storePath(damaged.ID)+"/MANIFEST", []byte("damage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(p.dir.storePath(missing.ID)); err != nil {
		t.Fatal(err)
	}
	for _, ns := range []Namespace{idle, shut, damaged, missing} {
		if _, err := p.Delete(t.Context(), ns.ID); err != nil {
			t.Errorf("%s: %v", ns.Title, err)
		}
		p.wantGone(ns)
		p.wantFilesGone(ns)
	}
	p.wantNoneDeleted()
	p.wantStats(PoolStats{})
}

// TestPoolDeleteWhileOpening deletes a namespace while some wait for its store, which
// another process has.
func TestPoolDeleteWhileOpening(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns := p.create("a")
	p.pass(time.Minute)
	release := p.occupy(ns)
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			_, err := p.Acquire(t.Context(), ns.ID)
			done <- err
		}()
	}
	p.wantWaiters(ns, cap(done))
	if _, err := p.Delete(t.Context(), ns.ID); err != nil {
		t.Fatal(err)
	}
	p.wantGone(ns)
	release()
	for range cap(done) {
		wantErr(t, <-done, ErrNotExist)
	}
	p.wantFilesGone(ns)
	p.wantStats(PoolStats{})
}

// TestPoolDeleteWhileLooking deletes a namespace of which there is a lease, for one
// who has looked up its name before.
func TestPoolDeleteWhileLooking(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{})
	a, b := p.create("a"), p.create("b")
	of := p.acquire(b)
	for l := range p.OpenStores() {
		if l.Namespace() != a {
			t.Errorf("a lease of %+v", l.Namespace())
			continue
		}
		if _, err := p.Delete(t.Context(), b.ID); err != nil {
			t.Fatal(err)
		}
	}
	p.wantStats(PoolStats{Namespaces: 1, Open: 2, Leases: 1})
	of.Release()
	p.wantFilesGone(b)
}

// TestPoolDeleteInUse deletes a namespace whose store another process has open. Its
// files go when that is done and the directory is opened again.
func TestPoolDeleteInUse(t *testing.T) {
	path := t.TempDir()
	p := openPool(t, path, PoolOptions{IdleTimeout: time.Minute})
	p.dir.wait = 0
	ns := p.create("a")
	p.pass(time.Minute)
	release := p.occupy(ns)
	_, err := p.Acquire(t.Context(), ns.ID)
	wantErr(t, err, engine.ErrLocked)
	if _, err := p.Delete(t.Context(), ns.ID); err != nil {
		t.Fatal(err)
	}
	p.wantGone(ns)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := storeDirs(t, path); !slices.Equal(got, []string{ns.ID}) {
		t.Errorf("in use, there is %q", got)
	}
	d := At(path, engine.Options{})
	b := create(t, d, "b") // leaves it alone
	release()
	create(t, d, "c")
	if got := storeDirs(t, path); slices.Contains(got, ns.ID) || len(got) != 2 {
		t.Errorf("there is %q, want %q and another one", got, b.ID)
	}
}

// TestPoolDeleteCrash kills a pool at each step of a delete. What is left of the
// namespace is removed by who changes the directory next, and only that.
func TestPoolDeleteCrash(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{})
	a, b := p.create("a"), p.create("b")
	p.put(a, "k", "of a")
	p.put(b, "k", "of b")
	for _, ns := range []Namespace{a, b} {
		l := p.acquire(ns)
		defer l.Release()
		if err := l.Store().Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := crashed(t, p.path)
	if _, err := p.Delete(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string]func(store string) error{
		"marked":  func(string) error { return nil },
		"renamed": func(store string) error { return os.Rename(store, store+deletedSuffix) },
		"half removed": func(store string) error {
			return errors.Join(os.Rename(store, store+deletedSuffix), os.Remove(store+deletedSuffix+"/MANIFEST"))
		},
		"removed": os.RemoveAll,
	} {
		for opener, open := range map[string]func(t *testing.T, path string){
			"pool":    func(t *testing.T, path string) { openPool(t, path, PoolOptions{}).wantGone(a) },
			"command": func(t *testing.T, path string) { create(t, At(path, engine.Options{}), "c") },
		} {
			t.Run(name+"/"+opener, func(t *testing.T) {
				path := crashed(t, p.path)
				if err := step(At(path, engine.Options{}).storePath(a.ID)); err != nil {
					t.Fatal(err)
				}
				open(t, path)
				for _, name := range storeDirs(t, path) {
					if strings.HasPrefix(name, a.ID) {
						t.Errorf("left over: %s", name)
					}
				}
				after := openPool(t, crashed(t, path), PoolOptions{})
				after.wantNoneDeleted()
				if got := after.get(b, "k"); got != "of b" {
					t.Errorf("the other one: %q", got)
				}
			})
		}
	}
	t.Run("before", func(t *testing.T) {
		after := openPool(t, before, PoolOptions{})
		if got := after.get(a, "k"); got != "of a" {
			t.Errorf("got %q", got)
		}
	})
}

// TestSalvageAfterDelete salvages a directory with a namespace that is deleted but
// for its files: it does not come back under its id.
func TestSalvageAfterDelete(t *testing.T) {
	d := at(t)
	a, b, lost := create(t, d, "a"), create(t, d, "b"), create(t, d, "lost")
	put(t, d, "b", "k", "v")
	err := d.change(t.Context(), func(r *registry) error {
		var batch engine.Batch // what damage may do
		batch.Delete(titlePrefix + lost.Title)
		batch.Delete(idPrefix + lost.ID)
		return errors.Join(r.store.Write(t.Context(), &batch), r.remove(t.Context(), a))
	})
	if err != nil {
		t.Fatal(err)
	}
	dest := t.TempDir()
	adopted, err := d.Salvage(t.Context(), "", dest, func(_ Part, from, to string) error {
		_, err := d.SalvageStore(t.Context(), from, to, nil)
		return err
	})
	if err != nil || len(adopted) != 1 || adopted[0].ID != lost.ID {
		t.Errorf("adopted %+v, %v", adopted, err)
	}
	want := []string{b.ID, lost.ID}
	slices.Sort(want)
	if got := storeDirs(t, dest); !slices.Equal(got, want) {
		t.Errorf("there is %q", got)
	}
	if got := get(t, At(dest, engine.Options{}), "b", "k"); got != "v" {
		t.Errorf("got %q", got)
	}
}

// A namespace of whose pairs in the registry one is lost is not entered under a second
// title: to delete that one would delete the pairs of the other.
func TestSalvageOfNamespaceWithoutID(t *testing.T) {
	d := at(t)
	a := create(t, d, "a")
	put(t, d, "a", "k", "v")
	err := d.change(t.Context(), func(r *registry) error {
		return r.store.Delete(t.Context(), idPrefix+a.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	dest := At(t.TempDir(), engine.Options{})
	adopted, err := d.Salvage(t.Context(), "", dest.Path(), func(_ Part, from, to string) error {
		_, err := d.SalvageStore(t.Context(), from, to, nil)
		return err
	})
	if err != nil || len(adopted) > 0 {
		t.Errorf("adopted %+v, %v", adopted, err)
	}
	if all, err := dest.List(t.Context()); err != nil || len(all) != 1 || all[0].Title != "a" {
		t.Errorf("there are %+v, %v", all, err)
	}
	for _, name := range []string{"a", a.ID} {
		if got := get(t, dest, name, "k"); got != "v" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
