package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"

	"github.com/firnkv/firn/engine"
)

// cutsPerLog is how many places a log is cut at.
const cutsPerLog = 8

// cutFrom is the first place: a log is on disk with its header before it is used.
const cutFrom = 4 << 10

// torn cuts copies of the log at random places, as if the rest had never been
// written: then each writer's keys have to be as after one of its steps, and every
// batch whole or not there.
//
// Nothing is compacted meanwhile: that relies on what was synced.
func (r *Run) torn(ctx context.Context) error {
	if err := r.store.Close(); err != nil {
		return err
	}
	r.tally.add(cleanOpens)
	opts := r.options()
	opts.ManualCompaction = true
	if err := r.openWith(opts); err != nil {
		return err
	}
	old := map[uint64]bool{}
	for _, sg := range r.store.Stats().Segments {
		old[sg.ID] = true
	}
	if err := r.writeOnly(ctx); err != nil {
		return err
	}
	if err := r.store.Sync(ctx); err != nil {
		return err
	}
	files, err := filesAtRest(ctx, r.path)
	if err != nil {
		return err
	}
	for _, sg := range r.store.Stats().Segments {
		if sg.Kind != "log" || sg.State != "active" || old[sg.ID] {
			continue // what is in an old one may be from before
		}
		name := fmt.Sprintf("%06d.seg", sg.ID)
		log := bytes.TrimRight(files[name], "\x00")
		if len(log) < cutFrom {
			continue // made ahead
		}
		for range cutsPerLog {
			cut := maps.Clone(files)
			cut[name] = log[:cutFrom+r.rng.IntN(len(log)-cutFrom+1)]
			if err := r.tryTorn(ctx, cut); err != nil {
				return fmt.Errorf("%s cut at %d: %w", name, len(cut[name]), err)
			}
		}
	}
	return r.check(ctx)
}

// writeOnly has all writers write.
func (r *Run) writeOnly(ctx context.Context) error {
	steps := 20 + r.rng.IntN(60)
	errs := make([]error, writers)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() { errs[w] = r.write(ctx, w, steps) })
	}
	group.Wait()
	return errors.Join(errs...)
}

func (r *Run) tryTorn(ctx context.Context, files map[string][]byte) error {
	dir := r.newPath("torn")
	if err := writeFiles(dir, files); err != nil {
		return err
	}
	r.tally.add(cuts)
	opts := r.options()
	opts.Clock = r.clock.still()
	store, err := engine.Open(dir, opts)
	if errors.Is(err, engine.ErrCorrupt) {
		r.tally.add(cutsFound)
		return os.RemoveAll(dir)
	}
	if err != nil {
		return err
	}
	var high [writers]int
	for w, l := range r.ledgers {
		high[w] = l.Done()
	}
	err = errors.Join(r.compare(ctx, store, &r.ledgers, settled, high), store.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return os.RemoveAll(dir)
}
