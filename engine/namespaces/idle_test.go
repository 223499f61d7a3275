package namespaces

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
)

func TestPoolIdle(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	used, leased, idle := p.create("used"), p.create("leased"), p.create("idle")
	p.put(idle, "k", "v")
	l := p.acquire(leased)
	p.pass(59 * time.Second)
	p.wantStats(PoolStats{Namespaces: 3, Open: 3, Leases: 1})
	p.put(used, "k", "v")
	if got := p.opened(); !slices.Equal(got, []string{"idle", "leased", "used"}) { // to look is no use
		t.Errorf("open are %q", got)
	}
	p.pass(time.Second)
	if got := p.opened(); !slices.Equal(got, []string{"leased", "used"}) {
		t.Errorf("after a minute, open are %q", got)
	}
	if open := openFiles(t, p.dir.storePath(idle.ID)); len(open) > 0 {
		t.Errorf("open files of an idle store: %q", open)
	}
	p.pass(time.Hour)
	if got := p.opened(); !slices.Equal(got, []string{"leased"}) {
		t.Errorf("after an hour, open are %q", got)
	}
	l.Release()
	p.pass(59 * time.Second)
	p.wantStats(PoolStats{Namespaces: 3, Open: 1})
	p.pass(time.Second)
	p.wantStats(PoolStats{Namespaces: 3})
	if got := p.get(idle, "k"); got != "v" {
		t.Errorf("opened again: %q", got)
	}
}

// TestPoolIdleByItself does without a clock and ticks of the test's own.
func TestPoolIdleByItself(t *testing.T) {
	p, err := at(t).OpenPool(t.Context(), PoolOptions{IdleTimeout: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	if _, err := p.Create(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store is closed", func() bool { return p.Stats().Open == 0 })
}

func TestPoolMaxOpen(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{MaxOpen: 3})
	var all []Namespace
	for i := range 7 {
		all = append(all, p.create(fmt.Sprint(i)))
		p.clock.add(time.Second)
	}
	if got := p.opened(); !slices.Equal(got, []string{"4", "5", "6"}) {
		t.Errorf("open are %q", got)
	}
	p.put(all[4], "k", "v")
	p.clock.add(time.Second)
	p.put(all[0], "k", "v")
	if got := p.opened(); !slices.Equal(got, []string{"0", "4", "6"}) {
		t.Errorf("open are %q", got)
	}
	var leases []*Lease
	for _, ns := range all[:5] {
		p.clock.add(time.Second)
		leases = append(leases, p.acquire(ns))
	}
	p.wantStats(PoolStats{Namespaces: 7, Open: 5, Leases: 5})
	p.clock.add(time.Second)
	p.put(all[5], "k", "v")
	p.pass(0)
	if got := p.opened(); !slices.Equal(got, []string{"0", "1", "2", "3", "4"}) {
		t.Errorf("open are %q", got)
	}
	for _, i := range []int{3, 0, 4, 1, 2} {
		p.clock.add(time.Second)
		leases[i].Release()
	}
	p.pass(0)
	if got := p.opened(); !slices.Equal(got, []string{"1", "2", "4"}) {
		t.Errorf("open are %q", got)
	}
	for _, i := range []int{0, 4, 5} {
		if got := p.get(all[i], "k"); got != "v" {
			t.Errorf("%d: %q", i, got)
		}
	}
}

// TestPoolCaches shares the budget of caches.
func TestPoolCaches(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{MaxOpen: 16, IdleTimeout: time.Minute})
	const budget = defaultCacheBytes
	for i := range 16 {
		ns := p.create(fmt.Sprint(i))
		share := p.names.Load().byID[ns.ID].slot.cache
		if i == 0 && share != budget/2 || share < budget/16 {
			t.Errorf("store %d has %d bytes of cache", i, share)
		}
	}
	if p.cached < budget || p.cached > 2*budget {
		t.Errorf("all have %d bytes of cache", p.cached)
	}
	p.pass(time.Minute)
	if p.cached != 0 {
		t.Errorf("without any store, %d bytes of cache are given away", p.cached)
	}
}

// TestPoolThousand has as many namespaces as there may be, and uses all of them.
func TestPoolThousand(t *testing.T) {
	n := maxNamespaces
	if testing.Short() || underRace {
		n /= 10
	}
	path := t.TempDir()
	const maxOpen = 16
	p := openPool(t, path, PoolOptions{MaxOpen: maxOpen, IdleTimeout: time.Minute})
	p.pass(0)
	before := heap()
	all := make([]Namespace, n)
	for i := range all {
		all[i] = p.create(fmt.Sprint("namespace ", i))
	}
	files := 0
	for i, ns := range all {
		p.clock.add(time.Second / 100)
		p.put(ns, "k", fmt.Sprint(i))
		if i%100 == 99 {
			files = max(files, len(openFiles(t, path)))
		}
	}
	p.pass(0)
	p.wantStats(PoolStats{Namespaces: n, Open: maxOpen})
	t.Logf("in use: %d open files, %d KiB", files, (heap()-before)>>10)
	if files > 10*2*maxOpen {
		t.Errorf("%d open files, with %d stores open", files, maxOpen)
	}

	p.pass(time.Minute)
	p.wantStats(PoolStats{Namespaces: n})
	if open := openFiles(t, path+"/namespaces"); len(open) > 0 {
		t.Errorf("open files of idle stores: %q", open)
	}
	took := heap() - before
	t.Logf("idle: %d open files, %d KiB, %d goroutines", len(openFiles(t, path)), took>>10, runtime.NumGoroutine())
	if took > 4<<20 {
		t.Errorf("%d bytes of memory for %d idle namespaces", took, n)
	}
	for i, ns := range all {
		if got := p.get(ns, "k"); got != fmt.Sprint(i) {
			t.Fatalf("%d: %q", i, got)
		}
	}
}

// heap returns the bytes of objects in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // and what pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkPoolAcquire(b *testing.B) {
	for _, namespaces := range []int{1, 100} {
		b.Run(fmt.Sprint(namespaces), func(b *testing.B) {
			p, err := At(b.TempDir(), engine.Options{Sync: engine.SyncNever}).OpenPool(b.Context(), PoolOptions{MaxOpen: namespaces})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close(b.Context())
			var ids []string
			for i := range namespaces {
				ns, err := p.Create(b.Context(), fmt.Sprint(i))
				if err != nil {
					b.Fatal(err)
				}
				ids = append(ids, ns.ID)
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					l, err := p.Acquire(b.Context(), ids[i%len(ids)])
					if err != nil {
						b.Error(err)
						return
					}
					l.Release()
				}
			})
			b.StopTimer()
		})
	}
}
