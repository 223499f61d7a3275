package namespaces

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/internal/vfs"
)

// closingStore is an idle store whose closing takes until go on is called.
type closingStore struct {
	*testPool
	ns     Namespace
	goOn   func()
	passed chan struct{} // closed when it is closed
	locked atomic.Int64  // how often somebody has tried to open it since
}

func newClosingStore(t *testing.T) *closingStore {
	t.Helper()
	disk := faultyDisk(t)
	c := &closingStore{testPool: openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute}), passed: make(chan struct{})}
	c.ns = c.create("a")
	c.put(c.ns, "k", "v")
	held := make(chan struct{})
	c.goOn = func() { close(held) }
	path := c.dir.storePath(c.ns.ID)
	disk.SetHook(func(op vfs.Op) error {
		switch {
		case op.Kind == vfs.KindLock && filepath.Dir(op.Name) == path:
			c.locked.Add(1)
		case op.Kind == vfs.KindSync && filepath.Dir(op.Name) == path:
			<-held
		}
		return nil
	})
	go func() {
		defer close(c.passed)
		c.clock.add(time.Minute)
		c.ticks <- time.Time{}
	}()
	eventually(t, "the store is being closed", func() bool { return c.Stats().Open == 0 })
	return c
}

// acquireLater has somebody wait for the store.
func (c *closingStore) acquireLater() (done chan error) {
	c.t.Helper()
	done = make(chan error, 1)
	go func() {
		_, err := c.Acquire(c.t.Context(), c.ns.ID)
		done <- err
	}()
	c.wantWaiters(c.ns, 1)
	return done
}

// TestPoolDeleteWhileClosing deletes a namespace while somebody waits for its store,
// which is being closed: nobody opens it again.
func TestPoolDeleteWhileClosing(t *testing.T) {
	c := newClosingStore(t)
	done := c.acquireLater()
	if _, err := c.Delete(t.Context(), c.ns.ID); err != nil {
		t.Fatal(err)
	}
	c.goOn()
	wantErr(t, <-done, ErrNotExist)
	<-c.passed
	c.wantFilesGone(c.ns)
	if n := c.locked.Load(); n != 1 { // by who removes it
		t.Errorf("it was locked %d times", n)
	}
}

// TestPoolCloseWhileClosing closes a pool while somebody waits for a store that is
// being closed: nobody opens it again.
func TestPoolCloseWhileClosing(t *testing.T) {
	c := newClosingStore(t)
	done := c.acquireLater()
	closed := make(chan error, 1)
	go func() { closed <- c.Close(t.Context()) }()
	eventually(t, "the pool is being closed", c.closed.Load)
	c.goOn()
	wantErr(t, <-done, engine.ErrClosed)
	wantErr(t, <-closed, nil)
	if n := c.locked.Load(); n != 0 {
		t.Errorf("it was opened %d times", n)
	}
}

// TestPoolLeave gives up a lease for which nobody waits any more when it is there.
func TestPoolLeave(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	kept, gone := p.create("kept"), p.create("gone")
	p.pass(time.Minute)
	leave := map[Namespace]func(){}
	for _, ns := range []Namespace{kept, gone} {
		n := p.names.Load().byID[ns.ID]
		leased, tr, err := p.join(t.Context(), n)
		if leased || err != nil {
			t.Fatal(leased, err)
		}
		<-tr.done
		leave[ns] = func() { p.leave(n.slot, tr) }
	}
	p.wantStats(PoolStats{Namespaces: 2, Open: 2, Leases: 2})
	leave[kept]()
	p.pass(time.Minute)
	p.wantStats(PoolStats{Namespaces: 2, Open: 1, Leases: 1})
	if _, err := p.Delete(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	leave[gone]()
	p.wantFilesGone(gone)
	p.wantStats(PoolStats{Namespaces: 1})
}

// TestPoolReleaseTwice releases a lease twice, which does not end another one.
func TestPoolReleaseTwice(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns := p.create("a")
	one, two := p.acquire(ns), p.acquire(ns)
	one.Release()
	one.Release()
	p.wantStats(PoolStats{Namespaces: 1, Open: 1, Leases: 1})
	p.pass(time.Hour)
	if err := two.Store().Put(t.Context(), "k", nil, nil); err != nil {
		t.Error(err)
	}
	two.Release()
}

// TestPoolCloseWhileDeleting closes a pool while a delete is on its way to the disk:
// that is completed, files and all.
func TestPoolCloseWhileDeleting(t *testing.T) {
	disk := faultyDisk(t)
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns := p.create("a")
	p.pass(time.Minute)
	begun, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	disk.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.KindSync && filepath.Dir(op.Name) == p.dir.registryPath() {
			once.Do(func() { close(begun) })
			<-held
		}
		return nil
	})
	deleted, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := p.Delete(t.Context(), ns.ID)
		deleted <- err
	}()
	<-begun
	go func() { closed <- p.Close(t.Context()) }()
	eventually(t, "the pool is being closed", p.closed.Load)
	close(held)
	wantErr(t, <-closed, nil)
	wantErr(t, <-deleted, nil)
	if got := storeDirs(t, p.path); len(got) > 0 {
		t.Errorf("there is %q", got)
	}
}
