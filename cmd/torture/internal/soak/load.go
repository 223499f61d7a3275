package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"

	"github.com/firnkv/firn/cmd/torture/internal/workload"
	"github.com/firnkv/firn/engine"
)

const readers = 3

// expires is as far ahead as the clock moves now and then.
var expires = workload.Window{From: 2, To: 300}

// load has writers, readers and an operator work on the store at once.
func (r *Run) load(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	written := make(chan struct{})
	var writing, beside sync.WaitGroup
	run := func(group *sync.WaitGroup, work func(*rand.Rand) error) {
		rng := rand.New(rand.NewPCG(r.rng.Uint64(), 0))
		group.Go(func() {
			if err := work(rng); err != nil {
				cancel(err)
			}
		})
	}
	// until repeats work until all is written, once at least.
	until := func(work func(context.Context, *rand.Rand) error) func(*rand.Rand) error {
		return func(rng *rand.Rand) error {
			for {
				if err := work(ctx, rng); err != nil {
					return err
				}
				select {
				case <-written:
					return nil
				default:
				}
			}
		}
	}
	steps := 10 + r.rng.IntN(90)
	for _, w := range r.rng.Perm(writers)[:1+r.rng.IntN(writers)] {
		run(&writing, func(*rand.Rand) error { return r.write(ctx, w, steps) })
	}
	for range readers {
		run(&beside, until(r.read))
	}
	run(&beside, until(r.operate))
	writing.Wait()
	close(written)
	beside.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return r.check(ctx)
}

func (r *Run) write(ctx context.Context, w, steps int) error {
	for range steps {
		if err := r.writeStep(ctx, w); err != nil {
			return fmt.Errorf("writer %d, step %d: %w", w, r.next[w], err)
		}
		r.next[w]++
		r.tally.add(writes)
	}
	return nil
}

// writeStep does the next step of a writer, in one second.
func (r *Run) writeStep(ctx context.Context, w int) error {
	r.clock.RLock()
	defer r.clock.RUnlock()
	step := workload.Plan(r.seed, w, r.next[w], r.clock.now(), expires)
	r.ledgers[w].Begin(step)
	if err := step.Do(ctx, r.store); err != nil {
		return err
	}
	r.ledgers[w].Acknowledge()
	return nil
}

// begin notes when a read of a writer's keys begins, end when it ends.
func (r *Run) begin(w int) workload.Span {
	return workload.Span{Low: r.ledgers[w].Done(), From: r.clock.now()}
}

func (r *Run) end(w int, sp *workload.Span) {
	sp.High, sp.To = r.ledgers[w].Begun(), r.clock.now()
}

func (r *Run) read(ctx context.Context, rng *rand.Rand) error {
	switch k := rng.IntN(20); {
	case k == 0:
		return r.list(ctx, rng)
	case k < 3:
		return r.slowStream(ctx, rng)
	default:
		return r.get(ctx, rng)
	}
}

func (r *Run) get(ctx context.Context, rng *rand.Rand) error {
	w := rng.IntN(writers)
	key := choose(rng, workload.Keys(w)...)
	sp := r.begin(w)
	s, err := workload.Look(ctx, r.store, key, rng.IntN(3) == 0)
	if err != nil {
		return err
	}
	r.end(w, &sp)
	r.tally.add(reads)
	return r.ledgers[w].Fits(key, s, sp)
}

// slowStream reads other things while a value is being read.
func (r *Run) slowStream(ctx context.Context, rng *rand.Rand) error {
	w := rng.IntN(writers)
	key := choose(rng, workload.Keys(w)...)
	sp := r.begin(w)
	v, err := r.store.GetReader(ctx, key)
	r.end(w, &sp)
	if errors.Is(err, engine.ErrNotFound) {
		return r.ledgers[w].Fits(key, workload.State{}, sp)
	}
	if err != nil {
		return err
	}
	defer v.Close()
	s, err := workload.StreamState(v, readerFunc(func(p []byte) (int, error) {
		if err := r.get(ctx, rng); err != nil {
			return 0, err
		}
		return v.Read(p[:min(len(p), 1+rng.IntN(64<<10))])
	}))
	if err != nil {
		return fmt.Errorf("stream %.60q: %w", key, err)
	}
	r.tally.add(slowStreams)
	return r.ledgers[w].Fits(key, s, sp)
}

// readerFunc is an io.Reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// list lists a writer's keys, in pages or in one go.
func (r *Run) list(ctx context.Context, rng *rand.Rand) error {
	w := rng.IntN(writers)
	limit := rng.IntN(12)
	sp := r.begin(w)
	infos, err := list(ctx, r.store, workload.Prefix(w), limit)
	if err != nil {
		return err
	}
	r.end(w, &sp)
	r.tally.add(listings)
	return fitsListing(r.ledgers[w], w, infos, sp)
}

// list returns the keys with a prefix; a limit above 0 is that of a page.
func list(ctx context.Context, store *engine.Store, prefix string, limit int) ([]engine.KeyInfo, error) {
	var infos []engine.KeyInfo
	if limit == 0 {
		for info, err := range store.Keys(ctx, prefix) {
			if err != nil {
				return nil, err
			}
			infos = append(infos, info)
		}
		return infos, nil
	}
	for cursor := ""; ; {
		page, err := store.List(ctx, engine.ListOptions{Prefix: prefix, Limit: limit, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		infos = append(infos, page.Keys...)
		if cursor = page.Cursor; cursor == "" {
			return infos, nil
		}
	}
}

func fitsListing(l *workload.Ledger, w int, infos []engine.KeyInfo, sp workload.Span) error {
	listed := map[string]*engine.KeyInfo{}
	for i := range infos {
		if i > 0 && infos[i-1].Name >= infos[i].Name {
			return fmt.Errorf("list: %.60q comes before %.60q", infos[i-1].Name, infos[i].Name)
		}
		listed[infos[i].Name] = &infos[i]
	}
	for _, key := range workload.Keys(w) {
		if err := l.FitsInfo(key, listed[key], sp); err != nil {
			return err
		}
		delete(listed, key)
	}
	for key := range listed {
		return fmt.Errorf("list: nobody ever wrote %.60q", key)
	}
	return nil
}

// operate does something that operators do.
func (r *Run) operate(ctx context.Context, rng *rand.Rand) error {
	switch rng.IntN(8) {
	case 0:
		r.tally.add(compactions)
		return r.store.Compact(ctx)
	case 1:
		return r.pause(ctx, rng)
	case 2:
		r.tally.add(verifies)
		return workload.Verify(ctx, r.store)
	case 3:
		return r.renewBackup(ctx, rng)
	case 4, 5:
		r.moveClock(1 + rng.Int64N(30))
		return nil
	case 6:
		return r.store.Sync(ctx)
	default:
		if st := r.store.Stats(); st.Keys < 0 || st.Bytes < 0 || st.Compaction.LastError != "" {
			return fmt.Errorf("stats: %+v", st)
		}
		return nil
	}
}

// pause has compaction stand still while something is read.
func (r *Run) pause(ctx context.Context, rng *rand.Rand) error {
	r.tally.add(pauses)
	resume := r.store.PauseCompaction()
	defer resume()
	for range rng.IntN(100) {
		if err := r.read(ctx, rng); err != nil {
			return err
		}
	}
	return nil
}

// renewBackup makes a backup and compares it with what may be in it.
func (r *Run) renewBackup(ctx context.Context, rng *rand.Rand) error {
	if r.backup != "" && rng.IntN(5) == 0 {
		if err := os.RemoveAll(r.backup); err != nil {
			return err
		}
		r.backup = ""
	}
	if r.backup == "" {
		r.backup = r.newPath("backup")
	}
	var low, high [writers]int
	for w, l := range r.ledgers {
		low[w] = l.Done()
	}
	if _, err := r.store.Backup(ctx, r.backup, nil); err != nil {
		return err
	}
	for w, l := range r.ledgers {
		high[w] = l.Begun()
	}
	r.tally.add(backups)
	return r.within(r.backup, func(backup *engine.Store) error {
		return r.compare(ctx, backup, &r.ledgers, low, high)
	})
}
