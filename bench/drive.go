package bench

import (
	"context"
	"sync"
	"time"

	"github.com/firnkv/firn/bench/machine"
)

// Load says how to call an operation. At least one of Ops and For has to be set.
// Each thread calls it at least once, if there are Ops enough.
type Load struct {
	Threads int
	// First is the number of the first operation.
	First int
	// Ops is how many operations there are at most. 0: no limit.
	Ops int
	// For is how long they go on at most. 0: no limit.
	For time.Duration
	// Every is how many operations one of which is timed, at least 1.
	Every int
}

// SampleEvery is [Load.Every] for operations that may take no longer than reading
// the clock does, as looking up an absent key.
const SampleEvery = 8

// Outcome is what operations came to.
type Outcome struct {
	Ops       int
	Elapsed   time.Duration
	CPU       time.Duration // of the whole process
	Latencies *Latencies    // of those that were timed
}

// Drive calls op with ascending numbers. Each thread takes its share of them: with
// n threads, every n-th. It stops at the first error of op, or when ctx is done.
func (l Load) Drive(ctx context.Context, op func(i int) error) (*Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	threads := make([]thread, l.Threads)
	start, cpu := time.Now(), machine.CPUTime()
	var group sync.WaitGroup
	for g := range threads {
		t := &threads[g]
		t.latencies = NewLatencies()
		group.Go(func() {
			if err := t.drive(ctx, l, g, start, op); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	out := &Outcome{Elapsed: time.Since(start), CPU: machine.CPUTime() - cpu, Latencies: NewLatencies()}
	for _, t := range threads {
		out.Ops += t.ops
		out.Latencies.Merge(t.latencies)
	}
	return out, context.Cause(ctx)
}

type thread struct {
	ops       int
	latencies *Latencies
	_         [64]byte // its neighbour counts too
}

// drive is one thread, the g-th.
func (t *thread) drive(ctx context.Context, l Load, g int, began time.Time, op func(i int) error) error {
	untimed := 0
	for i := l.First + g; l.Ops == 0 || i < l.First+l.Ops; i += l.Threads {
		if untimed > 0 {
			untimed--
			if err := op(i); err != nil {
				return err
			}
			t.ops++
			continue
		}
		untimed = l.Every - 1
		start := time.Now()
		if ctx.Err() != nil || l.For > 0 && t.ops > 0 && start.Sub(began) >= l.For {
			return nil
		}
		if err := op(i); err != nil {
			return err
		}
		t.ops++
		t.latencies.Add(time.Since(start))
	}
	return nil
}
