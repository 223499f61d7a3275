package namespaces

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/internal/vfs"
)

// TestPoolIdleUnsaved has a store be idle while its writes, which were acknowledged,
// wait in memory for the disk: it stays open until they are on disk.
func TestPoolIdleUnsaved(t *testing.T) {
	for name, err := range map[string]error{"full": syscall.ENOSPC, "failing": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			disk := faultyDisk(t)
			p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
			ns, other := p.create("a"), p.create("other")
			disk.SetHook(failing(p.dir.storePath(ns.ID), err, vfs.KindWrite))
			p.put(ns, "k", "v")
			for range 2 {
				p.pass(time.Minute)
				if got := p.opened(); !slices.Equal(got, []string{"a"}) {
					t.Errorf("open are %q", got)
				}
			}
			if got := p.get(ns, "k"); got != "v" {
				t.Errorf("waiting for room: %q", got)
			}
			disk.SetHook(nil)
			p.pass(time.Minute)
			p.wantStats(PoolStats{Namespaces: 2})
			if got := p.get(ns, "k"); got != "v" {
				t.Errorf("after there was room: %q", got)
			}
			p.put(other, "k", "v")
		})
	}
}

// TestPoolExcessUnsaved has more stores open than may be, of which one cannot be
// closed.
func TestPoolExcessUnsaved(t *testing.T) {
	disk := faultyDisk(t)
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Hour, MaxOpen: 2})
	ns := p.create("unsaved")
	disk.SetHook(full(p.dir.storePath(ns.ID)))
	p.put(ns, "k", "v")
	for _, title := range []string{"a", "b", "c"} {
		p.clock.add(time.Second)
		p.create(title) // which begins to close what is too many
		p.settled()
	}
	p.clock.add(time.Second)
	p.pass(0)
	p.pass(0)
	p.settled()
	if got := p.opened(); !slices.Contains(got, "unsaved") || len(got) != 2 {
		t.Errorf("open are %q", got)
	}
	if got := p.get(ns, "k"); got != "v" {
		t.Errorf("got %q", got)
	}
	disk.SetHook(nil)
	p.pass(time.Hour)
	p.wantStats(PoolStats{Namespaces: 4})
	if got := p.get(ns, "k"); got != "v" {
		t.Errorf("after there was room: %q", got)
	}
}

// TestPoolWaitForUnsaved asks for a store that is just being closed, and stays open.
func TestPoolWaitForUnsaved(t *testing.T) {
	disk := faultyDisk(t)
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns := p.create("a")
	held := make(chan struct{})
	noRoom := full(p.dir.storePath(ns.ID))
	disk.SetHook(func(op vfs.Op) error {
		err := noRoom(op)
		if err != nil {
			<-held
		}
		return err
	})
	p.put(ns, "k", "v")
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		p.pass(time.Minute)
	}()
	leases := make(chan *Lease, 4)
	eventually(t, "it is being closed", func() bool { return p.Stats().Open == 0 })
	for range cap(leases) {
		go func() {
			l, err := p.Acquire(t.Context(), ns.ID)
			if err != nil {
				t.Error(err)
			}
			leases <- l
		}()
	}
	p.wantWaiters(ns, cap(leases))
	close(held)
	for range cap(leases) {
		l := <-leases
		if l == nil {
			t.FailNow()
		}
		defer l.Release()
		if v, err := l.Store().Get(t.Context(), "k"); err != nil || string(v) != "v" {
			t.Errorf("got %q, %v", v, err)
		}
	}
	<-passed
	p.wantStats(PoolStats{Namespaces: 1, Open: 1, Leases: cap(leases)})
	disk.SetHook(nil)
}

// TestPoolIdleFailed has a store turn read-only as a sync fails. Nothing can save its
// writes any more, and it takes new ones when it is opened again.
func TestPoolIdleFailed(t *testing.T) {
	for name, err := range map[string]error{"failing": syscall.EIO, "full": syscall.ENOSPC} {
		t.Run(name, func(t *testing.T) {
			disk := faultyDisk(t)
			p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
			ns := p.create("a")
			p.put(ns, "k", "v")
			disk.SetHook(failing(p.dir.storePath(ns.ID), err, vfs.KindSync))
			p.pass(time.Minute)
			p.wantStats(PoolStats{Namespaces: 1})
			disk.SetHook(nil)
			p.put(ns, "k", "w")
			if got := p.get(ns, "k"); got != "w" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestPoolCloseUnsaved closes a pool with writes that wait for room: who closes it is
// told that they are lost. Those of a deleted namespace nobody wants.
func TestPoolCloseUnsaved(t *testing.T) {
	disk := faultyDisk(t)
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns := p.create("a")
	disk.SetHook(full(p.dir.storePath(ns.ID)))
	p.put(ns, "k", "v")
	p.pass(time.Minute)
	p.ended = engine.ErrNoSpace
	wantErr(t, p.Close(t.Context()), p.ended)

	p = openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns = p.create("a")
	disk.SetHook(full(p.dir.storePath(ns.ID)))
	p.put(ns, "k", "v")
	p.pass(time.Minute)
	l := p.acquire(ns)
	if _, err := p.Delete(t.Context(), ns.ID); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- p.Close(t.Context()) }()
	eventually(t, "the pool is being closed", p.closed.Load)
	l.Release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got := storeDirs(t, p.path); len(got) > 0 {
		t.Errorf("there is %q", got)
	}
}

// TestPoolDeleteUnsaved deletes a namespace with writes that wait for room: it is what
// makes room.
func TestPoolDeleteUnsaved(t *testing.T) {
	disk := faultyDisk(t)
	p := openPool(t, t.TempDir(), PoolOptions{})
	ns := p.create("a")
	disk.SetHook(full(p.dir.storePath(ns.ID)))
	p.put(ns, "k", "v")
	if _, err := p.Delete(t.Context(), ns.ID); err != nil {
		t.Fatal(err)
	}
	p.wantFilesGone(ns)
	p.wantNoneDeleted()
	p.wantStats(PoolStats{})
}
