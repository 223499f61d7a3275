package namespaces

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
)

// TestPoolManyAtOnce has callers use, create, rename and delete namespaces of a pool
// that keeps hardly any open. Each has namespaces of its own, and knows what is in
// them; and there is one that all use.
func TestPoolManyAtOnce(t *testing.T) {
	const callers, rounds = 8, 60
	p := openPool(t, t.TempDir(), PoolOptions{MaxOpen: 3, IdleTimeout: time.Minute})
	common := p.create("common")
	var added atomic.Int64
	stop := make(chan struct{})
	var ticking, working sync.WaitGroup
	ticking.Go(func() {
		for {
			p.clock.add(20 * time.Second)
			select {
			case p.ticks <- time.Time{}:
			case <-stop:
				return
			}
			for l := range p.OpenStores() {
				_ = l.Store().Stats()
			}
			time.Sleep(time.Millisecond)
		}
	})
	for i := range callers {
		working.Go(func() {
			c := poolCaller{testPool: p, name: fmt.Sprint(i), rng: rand.New(rand.NewPCG(uint64(i), 0)), values: map[string]string{}}
			for range rounds {
				c.step()
				l := c.lease(common)
				if err := l.Store().Put(t.Context(), fmt.Sprint(added.Add(1)), nil, nil); err != nil {
					t.Error(err)
				}
				l.Release()
			}
			for _, ns := range c.own {
				c.check(ns)
			}
		})
	}
	working.Wait()
	close(stop)
	ticking.Wait()
	l := p.acquire(common)
	defer l.Release()
	if n := l.Store().Usage().Keys; n != added.Load() {
		t.Errorf("all use one namespace, and of %d pairs %d are there", added.Load(), n)
	}
}

type poolCaller struct {
	*testPool
	name   string
	rng    *rand.Rand
	n      int
	own    []Namespace
	values map[string]string // by id
}

func (c *poolCaller) step() {
	ctx := context.Background()
	c.n++
	title := fmt.Sprint(c.name, " ", c.n)
	if len(c.own) == 0 || c.rng.IntN(8) == 0 {
		ns, err := c.Create(ctx, title)
		if err != nil {
			c.t.Error(err)
			return
		}
		c.own = append(c.own, ns)
	}
	i := c.rng.IntN(len(c.own))
	ns := c.own[i]
	switch c.rng.IntN(8) {
	case 0:
		renamed, err := c.Rename(ctx, ns.ID, title+" renamed")
		if err != nil {
			c.t.Error(err)
		}
		c.own[i] = renamed
	case 1:
		l := c.lease(ns)
		if _, err := c.Delete(ctx, ns.ID); err != nil {
			c.t.Error(err)
		}
		c.wantGone(ns)
		if err := l.Store().Put(ctx, "k", nil, nil); err != nil {
			c.t.Errorf("under a lease: %v", err)
		}
		l.Release()
		c.own = slices.Delete(c.own, i, i+1)
	case 2, 3:
		l := c.lease(ns)
		if err := l.Store().Put(ctx, "k", []byte(title), nil); err != nil {
			c.t.Error(err)
		}
		l.Release()
		c.values[ns.ID] = title
	case 4:
		short, cancel := context.WithCancel(ctx)
		go cancel()
		if l, err := c.Acquire(short, ns.ID); err == nil {
			l.Release()
		} else {
			wantErr(c.t, err, context.Canceled)
		}
	default:
		c.check(ns)
	}
}

func (c *poolCaller) lease(ns Namespace) *Lease {
	l, err := c.Acquire(context.Background(), ns.ID)
	if err != nil {
		c.t.Error(err)
		panic(err)
	}
	if l.Namespace() != ns {
		c.t.Errorf("a lease of %+v, not of %+v", l.Namespace(), ns)
	}
	return l
}

func (c *poolCaller) check(ns Namespace) {
	l := c.lease(ns)
	defer l.Release()
	v, err := l.Store().Get(context.Background(), "k")
	want, put := c.values[ns.ID]
	if put && (err != nil || string(v) != want) || !put && !errors.Is(err, engine.ErrNotFound) {
		c.t.Errorf("%q has %q, %v, not %q", ns.Title, v, err, want)
	}
}
