package namespaces

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
)

func at(t *testing.T) *Directory {
	return At(filepath.Join(t.TempDir(), "[data] *"), engine.Options{}).Waiting(0)
}

func put(t *testing.T, d *Directory, name, key, value string) {
	t.Helper()
	store, _, err := d.OpenWrite(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Put(t.Context(), key, []byte(value), nil); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, d *Directory, name, key string) string {
	t.Helper()
	store, _, err := d.OpenRead(t.Context(), name)
	if err != nil {
		return err.Error()
	}
	defer store.Close()
	value, err := store.Get(t.Context(), key)
	if err != nil {
		return err.Error()
	}
	return string(value)
}

func create(t *testing.T, d *Directory, title string) Namespace {
	t.Helper()
	ns, err := d.Create(t.Context(), title)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestDefault(t *testing.T) {
	d := at(t)
	_, _, err := d.OpenRead(t.Context(), DefaultTitle)
	wantErr(t, err, ErrNoStore)
	if _, err := os.Stat(d.Path()); err == nil {
		t.Error("a read made the directory")
	}
	_, _, err = d.OpenWrite(t.Context(), "other")
	wantErr(t, err, ErrNotExist)
	put(t, d, DefaultTitle, "k", "v")
	put(t, d, DefaultTitle, "k2", "v2")
	if all, err := d.List(t.Context()); err != nil || len(all) != 1 || all[0].Title != DefaultTitle {
		t.Errorf("list: %+v, %v", all, err)
	}
	if got := get(t, d, DefaultTitle, "k"); got != "v" {
		t.Errorf("got %q", got)
	}
}

func TestTitlesAndIDs(t *testing.T) {
	d := at(t)
	long := strings.Repeat("\U0001f3bf", 512)
	for _, title := range []string{"a", "a b/c", long, "..", "\x00", strings.Repeat("0", 32)} {
		ns := create(t, d, title)
		put(t, d, ns.Title, "k", title)
		if got := get(t, d, ns.ID, "k"); got != title {
			t.Errorf("%q by id: %q", title, got)
		}
	}
	// A title that is another one's id does not hide that one.
	a := create(t, d, "victim")
	put(t, d, "victim", "k", "victim")
	create(t, d, a.ID)
	if got := get(t, d, a.ID, "k"); got != "victim" {
		t.Errorf("by id: %q", got)
	}
	for _, title := range []string{"", long + "x", "\xff"} {
		_, err := d.Create(t.Context(), title)
		wantErr(t, err, ErrTitle)
		_, err = d.Rename(t.Context(), "a", title)
		wantErr(t, err, ErrTitle)
	}
	for _, name := range []string{"", long + long, "\xff", "b"} {
		_, _, err := d.OpenRead(t.Context(), name)
		wantErr(t, err, ErrNotExist)
	}
	_, err := d.Create(t.Context(), "a")
	wantErr(t, err, ErrTitleInUse)
}

func TestRename(t *testing.T) {
	d := at(t)
	a := create(t, d, "a")
	create(t, d, "b")
	put(t, d, "a", "k", "v")
	_, err := d.Rename(t.Context(), "a", "b")
	wantErr(t, err, ErrTitleInUse)
	_, err = d.Rename(t.Context(), "x", "y")
	wantErr(t, err, ErrNotExist)
	for _, title := range []string{"a", "c"} {
		ns, err := d.Rename(t.Context(), a.ID, title)
		if err != nil || ns != (Namespace{a.ID, title, a.Created}) {
			t.Errorf("got %+v, %v", ns, err)
		}
	}
	if got := get(t, d, "c", "k"); got != "v" {
		t.Errorf("by the new title: %q", got)
	}
	_, _, err = d.OpenRead(t.Context(), "a")
	wantErr(t, err, ErrNotExist)
	if all, err := d.List(t.Context()); err != nil || len(all) != 2 || all[0].Title != "b" || all[1].Title != "c" {
		t.Errorf("list: %+v, %v", all, err)
	}
}

func TestDelete(t *testing.T) {
	d := at(t)
	_, err := d.Delete(t.Context(), "a")
	wantErr(t, err, ErrNotExist)
	a := create(t, d, "a")
	for name, open := range map[string]func(context.Context, string) (*engine.Store, Namespace, error){
		"reader": d.OpenRead, "writer": d.OpenWrite,
	} {
		store, _, err := open(t.Context(), "a")
		if err != nil {
			t.Fatal(name, err)
		}
		_, err = d.Delete(t.Context(), "a")
		wantErr(t, err, engine.ErrLocked)
		store.Close()
	}
	if _, err := d.Delete(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(d.storePath("")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if create(t, d, "a").ID == a.ID {
		t.Error("an id was used twice")
	}
}

func TestInterruptedDelete(t *testing.T) {
	d := at(t)
	a := create(t, d, "a")
	create(t, d, "b")
	if err := os.Rename(d.storePath(a.ID), d.storePath(a.ID)+deletedSuffix); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func(context.Context, string) (*engine.Store, Namespace, error){d.OpenRead, d.OpenWrite} {
		_, ns, err := open(t.Context(), "a")
		wantErr(t, err, engine.ErrNotStore)
		if ns.ID != a.ID {
			t.Errorf("the error does not come with the namespace: %+v", ns)
		}
	}
	if _, err := d.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(d.storePath("")); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
}

func TestInUse(t *testing.T) {
	d := at(t)
	put(t, d, DefaultTitle, "k", "v")
	first, _, err := d.OpenRead(t.Context(), DefaultTitle)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := d.OpenRead(t.Context(), DefaultTitle)
	if err != nil {
		t.Fatalf("two readers: %v", err)
	}
	second.Close()
	_, _, err = d.OpenWrite(t.Context(), DefaultTitle)
	wantErr(t, err, engine.ErrLocked)
	if !strings.Contains(err.Error(), `namespace "default" is in use`) {
		t.Error(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { first.Close() })
	store, _, err := d.Waiting(10*time.Second).OpenWrite(t.Context(), DefaultTitle)
	if err != nil {
		t.Fatalf("after waiting: %v", err)
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err = d.Waiting(10*time.Second).OpenRead(ctx, DefaultTitle)
	wantErr(t, err, context.DeadlineExceeded)
}

func TestSingleStore(t *testing.T) {
	d := at(t)
	store, err := engine.Open(d.Path(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), "k", []byte("v"), nil); err != nil {
		t.Fatal(err)
	}
	_, _, err = d.OpenRead(t.Context(), DefaultTitle)
	wantErr(t, err, engine.ErrLocked)
	store.Close()
	if got := get(t, d, DefaultTitle, "k"); got != "v" {
		t.Errorf("got %q", got)
	}
	put(t, d, DefaultTitle, "k", "w")
	_, _, err = d.OpenRead(t.Context(), "other")
	wantErr(t, err, ErrSingle)
	_, err = d.Create(t.Context(), "other")
	wantErr(t, err, ErrSingle)
	_, err = d.List(t.Context())
	wantErr(t, err, ErrSingle)
}

// TestManyAtOnce lets writers meet at the first write to a directory.
func TestManyAtOnce(t *testing.T) {
	d := at(t).Waiting(30 * time.Second)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			store, _, err := d.OpenWrite(t.Context(), DefaultTitle)
			if err != nil {
				t.Error(err)
				return
			}
			defer store.Close()
			if err := store.Put(t.Context(), fmt.Sprint(i), nil, nil); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := d.Create(t.Context(), fmt.Sprint("t", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		if got := get(t, d, DefaultTitle, fmt.Sprint(i)); got != "" {
			t.Errorf("%d: %q", i, got)
		}
	}
	if all, err := d.List(t.Context()); err != nil || len(all) != 9 {
		t.Errorf("list: %d, %v", len(all), err)
	}
}

func TestTooMany(t *testing.T) {
	d := at(t)
	create(t, d, "a")
	err := d.change(t.Context(), func(r *registry) error {
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
	_, err = d.Create(t.Context(), "b")
	wantErr(t, err, ErrTooMany)
	if all, err := d.List(t.Context()); err != nil || len(all) != maxNamespaces {
		t.Errorf("list: %d, %v", len(all), err)
	}
}
