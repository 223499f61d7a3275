package namespaces

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
)

// handClock goes on when it is told to.
type handClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *handClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// testPool is a pool whose clock and ticks are the test's.
type testPool struct {
	*Pool
	t     *testing.T
	path  string
	clock *handClock
	ticks chan time.Time
	ended error // what Close is to return
}

// openPool opens a pool, which is closed at the end of the test, with options for
// stores that do not wait for the disk.
func openPool(t *testing.T, path string, opts PoolOptions) *testPool {
	t.Helper()
	p := &testPool{t: t, path: path, clock: &handClock{at: time.Now()}, ticks: make(chan time.Time)}
	d := At(path, engine.Options{Sync: engine.SyncNever, Clock: p.clock.now, Logger: slog.New(slog.DiscardHandler)}).Waiting(time.Minute)
	opts.ticks = p.ticks
	var err error
	if p.Pool, err = d.OpenPool(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		wantErr(t, p.Close(ctx), p.ended)
		if open := openFiles(t, path); len(open) > 0 {
			t.Errorf("open after the pool was closed: %q", open)
		}
	})
	return p
}

// pass lets time pass, and has idle stores closed.
func (p *testPool) pass(d time.Duration) {
	p.clock.add(d)
	p.ticks <- time.Time{}
	p.ticks <- time.Time{} // taken when the first one is done with
}

// settled waits until no store is being opened or closed.
func (p *testPool) settled() {
	p.t.Helper()
	eventually(p.t, "no store is being opened or closed", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.live == len(p.open)
	})
}

func (p *testPool) create(title string) Namespace {
	p.t.Helper()
	ns, err := p.Create(p.t.Context(), title)
	if err != nil {
		p.t.Fatal(err)
	}
	return ns
}

func (p *testPool) acquire(ns Namespace) *Lease {
	p.t.Helper()
	l, err := p.Acquire(p.t.Context(), ns.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	return l
}

func (p *testPool) put(ns Namespace, key, value string) {
	p.t.Helper()
	l := p.acquire(ns)
	defer l.Release()
	if err := l.Store().Put(p.t.Context(), key, []byte(value), nil); err != nil {
		p.t.Fatal(err)
	}
}

func (p *testPool) get(ns Namespace, key string) string {
	p.t.Helper()
	l := p.acquire(ns)
	defer l.Release()
	value, err := l.Store().Get(p.t.Context(), key)
	if err != nil {
		return err.Error()
	}
	return string(value)
}

// opened returns the titles of the namespaces whose stores are open.
func (p *testPool) opened() (titles []string) {
	for l := range p.OpenStores() {
		titles = append(titles, l.Namespace().Title)
	}
	return titles
}

func (p *testPool) wantStats(want PoolStats) {
	p.t.Helper()
	if got := p.Stats(); got != want {
		p.t.Errorf("stats: %+v, want %+v", got, want)
	}
}

// wantGone fails unless the pool knows nothing of a namespace.
func (p *testPool) wantGone(ns Namespace) {
	p.t.Helper()
	ctx := p.t.Context()
	_, err := p.Acquire(ctx, ns.ID)
	wantErr(p.t, err, ErrNotExist)
	_, err = p.Find(ctx, ns.ID)
	wantErr(p.t, err, ErrNotExist)
	_, err = p.Resolve(ctx, ns.ID)
	wantErr(p.t, err, ErrNotExist)
	_, err = p.Rename(ctx, ns.ID, "new")
	wantErr(p.t, err, ErrNotExist)
	_, err = p.Delete(ctx, ns.ID)
	wantErr(p.t, err, ErrNotExist)
	all, err := p.List(ctx)
	if err != nil {
		p.t.Error(err)
	}
	for _, other := range all {
		if other.ID == ns.ID {
			p.t.Errorf("%q is listed", ns.Title)
		}
	}
	for l := range p.OpenStores() {
		if l.Namespace().ID == ns.ID {
			p.t.Errorf("%q is among the open stores", ns.Title)
		}
	}
}

// occupy opens the store of a namespace as another process would, so that nobody
// else gets it until release is called.
func (p *testPool) occupy(ns Namespace) (release func()) {
	p.t.Helper()
	store, err := engine.Open(p.dir.storePath(ns.ID), &p.dir.opts)
	if err != nil {
		p.t.Fatal(err)
	}
	return func() {
		if err := store.Close(); err != nil {
			p.t.Error(err)
		}
	}
}

// eventually waits until ok, for what the pool does in the background.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for give := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(give) {
			t.Fatalf("not after 30 s: %s", what)
		}
	}
}

// storeDirs returns what is in the directory of the stores.
func storeDirs(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(path, "namespaces"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// crashed returns a copy of a data directory as it is at one instant, which is what a
// process that is killed then leaves. Files are read until two readings in a row
// agree.
func crashed(t *testing.T, path string) string {
	t.Helper()
	files := readTree(t, path)
	for again := readTree(t, path); !maps.Equal(files, again); again = readTree(t, path) {
		files = again
	}
	to := filepath.Join(t.TempDir(), "crashed")
	for name, content := range files {
		name = filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// readTree returns the content of the files in and below dir, those that are there
// when their turn comes.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		rel, _ := filepath.Rel(dir, name)
		files[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
