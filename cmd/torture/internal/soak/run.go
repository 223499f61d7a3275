package soak

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firnkv/firn/cmd/torture/internal/kill"
	"github.com/firnkv/firn/cmd/torture/internal/workload"
	"github.com/firnkv/firn/engine"
)

const writers = 8

// Run is a soak under way: a store that lives on through all steps, and another
// that processes are killed on.
type Run struct {
	dir   string
	seed  uint64
	rng   *rand.Rand
	clock clock
	tally tally
	steps int

	store   *engine.Store
	path    string // of the store
	names   int    // of directories that were given out
	backup  string // that is renewed; empty: none
	next    [writers]int
	ledgers [writers]*workload.Ledger

	killer *kill.Run
	killed kill.Counts // by those before
}

// clock is moved ahead by those who hold the lock; those who hold it for reading
// see it stand still.
type clock struct {
	sync.RWMutex
	second atomic.Int64
}

func (c *clock) now() int64 { return c.second.Load() }

func (c *clock) time() time.Time { return time.Unix(c.now(), 0) }

// still returns a clock that stands at the present second.
func (c *clock) still() func() time.Time {
	t := c.time()
	return func() time.Time { return t }
}

// New begins a run in an empty directory.
func New(dir string, seed uint64) (*Run, error) {
	r := &Run{dir: dir, seed: seed, rng: rand.New(rand.NewPCG(seed, 1))}
	r.clock.second.Store(1_800_000_000)
	for w := range r.ledgers {
		r.ledgers[w] = workload.NewLedger()
	}
	r.path = r.newPath("store")
	return r, r.open()
}

// Close ends the run.
func (r *Run) Close() error { return r.store.Close() }

// newPath returns the path of a directory that is not there yet.
func (r *Run) newPath(kind string) string {
	r.names++
	return filepath.Join(r.dir, fmt.Sprintf("%s-%d", kind, r.names))
}

func choose[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// options are random ones.
func (r *Run) options() *engine.Options {
	return &engine.Options{
		Sync:             choose(r.rng, engine.SyncAlways, engine.SyncAlways, engine.SyncEvery(time.Millisecond), engine.SyncNever),
		SegmentBytes:     choose[int64](r.rng, 64<<10, 64<<10, 256<<10, 1<<20),
		CacheBytes:       choose[int64](r.rng, -1, 64<<10, 8<<20),
		SpaceTarget:      choose(r.rng, 0, 1.1, 2),
		ManualCompaction: r.rng.IntN(5) == 0,
		Clock:            r.clock.time,
		Limits:           engine.Limits{MinTTL: time.Second},
		Logger:           slog.New(slog.DiscardHandler),
	}
}

// readOnly are those to look at a store.
func (r *Run) readOnly() *engine.Options {
	return &engine.Options{ReadOnly: true, CacheBytes: 1 << 20, Clock: r.clock.still(), Logger: slog.New(slog.DiscardHandler)}
}

func (r *Run) open() error { return r.openWith(r.options()) }

func (r *Run) openWith(opts *engine.Options) error {
	store, err := engine.Open(r.path, opts)
	if err == nil {
		r.store = store
	}
	return err
}

// Step does something at random. An error is a violation, unless ctx has ended.
func (r *Run) Step(ctx context.Context) error {
	r.steps++
	name, do := "", (func(context.Context) error)(nil)
	switch k := r.rng.IntN(21); {
	case k < 8:
		name, do = "load", r.load
	case k < 12:
		name, do = "kill", r.kill
	case k < 13:
		name, do = "expiry", r.age
	case k < 15:
		name, do = "clean close", r.reopen
	case k < 17:
		name, do = "no close", r.abandon
	case k < 18:
		name, do = "restore", r.restore
	case k < 19:
		name, do = "torn log", r.torn
	default:
		name, do = "damage", r.damage
	}
	if err := do(ctx); err != nil {
		return fmt.Errorf("step %d, %s: %w", r.steps, name, err)
	}
	return nil
}

// roundsPerStore is after how many kills there is a new store: the first moments
// of one are worth a try too.
const roundsPerStore = 30

func (r *Run) kill(ctx context.Context) error {
	if r.killer != nil && r.killer.Counts.Rounds == roundsPerStore {
		r.killed.Add(r.killer.Counts)
		r.killer = nil
		if err := os.RemoveAll(filepath.Join(r.dir, "kill")); err != nil {
			return err
		}
	}
	if r.killer == nil {
		r.killer = kill.New(filepath.Join(r.dir, "kill"), r.rng.Uint64())
	}
	return r.killer.Round(ctx)
}

// settled is after how many steps a ledger is that has none.
var settled [writers]int

// check compares the store with the ledgers. Nobody writes meanwhile.
func (r *Run) check(ctx context.Context) error {
	for _, l := range r.ledgers {
		l.Settle(l.Done())
	}
	r.tally.add(comparisons)
	return r.compare(ctx, r.store, &r.ledgers, settled, settled)
}

// compare compares a store that is at rest with ledgers. Each writer's keys have to
// be as they were after low to high of its steps.
func (r *Run) compare(ctx context.Context, store *engine.Store, ledgers *[writers]*workload.Ledger, low, high [writers]int) error {
	now := r.clock.now()
	got, err := workload.Contents(ctx, store, writers)
	if err != nil {
		return err
	}
	for w, l := range ledgers {
		if _, err := l.Match(got[w], now, low[w], high[w]); err != nil {
			return fmt.Errorf("writer %d: %w", w, err)
		}
	}
	r.tally.add(verifies)
	return workload.Verify(ctx, store)
}

// age lets the clock go so far that pairs expire, and has them removed.
func (r *Run) age(ctx context.Context) error {
	r.moveClock(20 + r.rng.Int64N(200))
	if err := r.check(ctx); err != nil {
		return err
	}
	r.tally.add(compactions)
	if err := r.store.Compact(ctx); err != nil {
		return err
	}
	return r.check(ctx)
}

func (r *Run) moveClock(seconds int64) {
	r.clock.Lock()
	defer r.clock.Unlock()
	r.clock.second.Add(seconds)
	r.tally.add(expiries)
}

// reopen closes the store and opens it again.
func (r *Run) reopen(ctx context.Context) error {
	if err := r.store.Close(); err != nil {
		return err
	}
	r.tally.add(cleanOpens)
	if err := r.open(); err != nil {
		return err
	}
	return r.check(ctx)
}

// abandon goes on with a copy of the store that was made while it was open, as
// after a kill.
func (r *Run) abandon(ctx context.Context) error {
	if err := r.store.Sync(ctx); err != nil {
		return err
	}
	resume := r.store.PauseCompaction()
	path := r.newPath("store")
	err := copyAtRest(ctx, r.path, path)
	resume()
	if err != nil {
		return err
	}
	return r.goOnWith(ctx, path, crashOpens)
}

// goOnWith makes another directory the store.
func (r *Run) goOnWith(ctx context.Context, path string, why what) error {
	if err := errors.Join(r.store.Close(), os.RemoveAll(r.path)); err != nil {
		return err
	}
	r.path = path
	r.tally.add(why)
	if err := r.open(); err != nil {
		return err
	}
	return r.check(ctx)
}

// restore goes on with what was restored from a backup, and makes sure that this
// does not change the backup.
func (r *Run) restore(ctx context.Context) error {
	from, to := r.newPath("backup"), r.newPath("store")
	if _, err := r.store.Backup(ctx, from, nil); err != nil {
		return err
	}
	var was [writers]*workload.Ledger
	for w, l := range r.ledgers {
		was[w] = l.Clone()
	}
	err := r.within(from, func(backup *engine.Store) error {
		r.tally.add(backups)
		if err := r.compare(ctx, backup, &was, settled, settled); err != nil {
			return err
		}
		_, err := backup.Backup(ctx, to, nil)
		return err
	})
	if err != nil {
		return err
	}
	if r.backup != "" {
		if err := os.RemoveAll(r.backup); err != nil { // what is restored is another store
			return err
		}
		r.backup = ""
	}
	if err := r.goOnWith(ctx, to, restores); err != nil {
		return err
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	err = r.within(from, func(backup *engine.Store) error {
		return r.compare(ctx, backup, &was, settled, settled)
	})
	if err != nil {
		return fmt.Errorf("the backup, after writes to what was restored from it: %w", err)
	}
	return os.RemoveAll(from)
}

// within opens a store for reading and calls do with it.
func (r *Run) within(path string, do func(*engine.Store) error) error {
	store, err := engine.Open(path, r.readOnly())
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	return errors.Join(do(store), store.Close())
}
