package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/firnkv/firn/bench/report"
)

// round is one round of a workload with one engine.
type round struct {
	*runner
	ctx      context.Context
	workload *Workload
	engine   Engine
	number   int
	dir      string // for a store of its own; it does not exist yet, and is removed after the round
	cell     *cell
}

// cell is where the rounds of a workload with an engine come together.
type cell struct {
	result    report.Result
	latencies *Latencies
}

// open opens the round's store.
func (r *round) open(writers int) (Store, error) { return r.openAt(r.dir, writers) }

func (r *round) openAt(dir string, writers int) (Store, error) {
	return r.engine.Open(dir, Options{Durable: r.workload.Durable, Writers: writers})
}

// openCopy opens a copy of a fixture, for a round that changes it.
func (r *round) openCopy(from state, writers int) (Store, error) {
	dir, err := r.fixture(r.ctx, r.engine, from)
	if err != nil {
		return nil, err
	}
	if err := clone(dir, r.dir); err != nil {
		return nil, err
	}
	return r.open(writers)
}

// end removes the round's store.
func (r *round) end() error { return os.RemoveAll(r.dir) }

// add adds a sample to the result.
func (r *round) add(kind report.Kind, sample float64) { r.cell.result.Add(kind, sample) }

// The numbers of operations go on from round to round, so that none finds in a
// cache what the round before left there.
func (r *round) warmUpFirst() int { return 2 * r.number << 24 }
func (r *round) first() int       { return (2*r.number + 1) << 24 }

// slowDown is how many times as long as others those rounds are, and their warming up,
// that are slow to get going. With a million pairs, 64 MiB of cache are full after 300,000
// gets by Zipf's law: a second.
const slowDown = 4

// measure warms up, calls op for as long as a round is, and adds what it came to.
func (r *round) measure(every int, op func(i int) error) (*Outcome, error) {
	l := Load{Threads: r.workload.Threads, Every: every}
	times := time.Duration(1)
	if r.workload.slow {
		times = slowDown
	}
	if r.config.WarmUp > 0 {
		l.First, l.For = r.warmUpFirst(), times*r.config.WarmUp
		if _, err := l.Drive(r.ctx, op); err != nil {
			return nil, err
		}
	}
	l.First, l.For = r.first(), times*r.config.Round
	out, err := l.Drive(r.ctx, op)
	if err == nil {
		r.addOutcome(out)
	}
	return out, err
}

// count calls op with the numbers below n, and adds what it came to.
func (r *round) count(n, every int, op func(i int) error) (*Outcome, error) {
	l := Load{Threads: r.workload.Threads, Every: every, Ops: n, For: r.config.Limit}
	out, err := l.Drive(r.ctx, op)
	if err != nil {
		return nil, err
	}
	r.addOutcome(out)
	if out.Ops < n {
		r.note(fmt.Sprintf("%s with %s was ended after %v, by which it had done %d of %d operations.",
			r.workload.Name, r.engine.Name, r.config.Limit, out.Ops, n))
	}
	return out, nil
}

func (r *round) addOutcome(out *Outcome) {
	l := out.Latencies
	r.add(throughput, float64(out.Ops)/out.Elapsed.Seconds())
	r.add(latency50, l.Quantile(0.5).Seconds())
	r.add(latency99, l.Quantile(0.99).Seconds())
	r.add(latency999, l.Quantile(0.999).Seconds())
	r.add(latencyMax, l.Max().Seconds())
	if out.CPU > 0 {
		r.add(cpuTime, out.CPU.Seconds()/float64(out.Ops))
	}
	r.cell.latencies.Merge(l)
}

// scratchFor returns the path of a store in the run's directory.
func (r *runner) scratchFor(name string) string { return filepath.Join(r.scratch, name) }
