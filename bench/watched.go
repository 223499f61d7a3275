package bench

import (
	"context"
	"time"
)

// watchedTimeline is a timeline of puts and the time after them.
type watchedTimeline struct {
	Timeline
	ops   int
	wrote time.Duration // how long the puts took
}

// watched calls op with the numbers below n while it watches the disk use of the
// round's store, and goes on watching for Config.Watch.
func (r *round) watched(n int, op func(i int) error) (*watchedTimeline, error) {
	w := Watch(r.dir)
	out, err := r.count(n, 1, func(i int) error {
		err := op(i)
		w.Done.Add(1)
		return err
	})
	wrote := w.Elapsed()
	if err == nil {
		err = pause(r.ctx, r.config.Watch)
	}
	seen := w.Stop()
	if err != nil {
		return nil, err
	}
	r.cell.result.Timeline = seen.thinned()
	return &watchedTimeline{seen, out.Ops, wrote}, nil
}

// pause waits for a time, unless ctx is done before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
