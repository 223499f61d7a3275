package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// TestModelOfConcurrentCompaction proves the same as
// TestModelOfConcurrentReadersAndWriters while segments are rewritten all the
// time, and that backups and checks of the store work meanwhile.
func TestModelOfConcurrentCompaction(t *testing.T) {
	seed := testSeed(t)
	steps := 1500
	if testing.Short() {
		steps = 200
	}
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem()
			s, err := Open(memDir, memOptions(mem, mode.mode, newTestClock()))
			if err != nil {
				t.Fatal(err)
			}
			c := &concurrent{s: s}
			for i := range 8 {
				c.keys = append(c.keys, &counterKey{name: "key" + strconv.Itoa(i)})
			}
			var workers, others sync.WaitGroup
			for g := range 6 {
				rng := rand.New(rand.NewPCG(seed, uint64(g)))
				workers.Go(func() {
					for range steps {
						if err := c.step(rng, g); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			done := make(chan struct{})
			jobs := 0
			others.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 100))
				for ; !isDone(done) && !t.Failed(); jobs++ {
					if err := c.compact(rng); err != nil {
						t.Errorf("compact: %v", err)
					}
				}
			})
			others.Go(func() {
				for !isDone(done) && !t.Failed() {
					if err := checkVerify(context.Background(), s); err != nil {
						t.Errorf("verify: %v", err)
					}
					if err := c.backup(mem, mode.mode); err != nil {
						t.Errorf("backup: %v", err)
					}
				}
			})
			workers.Wait()
			close(done)
			others.Wait()
			t.Logf("%d jobs", jobs)
			c.check(t)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			_ = mem.Remove(memDir + "/" + checkpointName)
			if c.s, err = Open(memDir, memOptions(mem, mode.mode, newTestClock())); err != nil {
				t.Fatal(err)
			}
			defer c.s.Close()
			c.check(t)
		})
	}
}

func isDone(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// check checks a store that nobody writes to.
func (c *concurrent) check(t *testing.T) {
	t.Helper()
	for _, k := range c.keys {
		if err := c.get(k); err != nil {
			t.Error(err)
		}
	}
	if err := c.list(); err != nil {
		t.Error(err)
	}
	if err := checkVerify(context.Background(), c.s); err != nil {
		t.Error(err)
	}
}

// compact rewrites some of the segments, if they can be.
func (c *concurrent) compact(rng *rand.Rand) error {
	job, err := randomJob(c.s, rng)
	if err != nil {
		return err
	}
	if err := c.s.rewrite(context.Background(), job, rng.IntN(2) == 0); err != errNotReady {
		return err
	}
	return nil
}

// backup takes a backup and checks that it holds what was there before.
func (c *concurrent) backup(mem *vfs.Mem, mode SyncMode) error {
	const dir = "/backup"
	floors := map[string]int64{}
	for _, k := range c.keys {
		floors[k.name] = k.floor.Load()
	}
	if _, err := c.s.Backup(context.Background(), dir, nil); err != nil {
		return err
	}
	opts := memOptions(mem, mode, newTestClock())
	opts.ReadOnly = true
	b, err := Open(dir, opts)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, k := range c.keys {
		p, err := b.GetPair(context.Background(), k.name)
		switch {
		case errors.Is(err, ErrNotFound):
			err = k.saw(0, floors[k.name])
		case err == nil:
			err = k.check(p.Value, string(p.Metadata), floors[k.name])
		}
		if err != nil {
			return err
		}
	}
	return checkVerify(context.Background(), b)
}
