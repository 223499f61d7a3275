package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/bench/machine"
	"github.com/firnkv/firn/bench/report"
)

// runner runs all workloads.
type runner struct {
	config   Config
	data     *dataset.Data
	scratch  string
	probe    *machine.Probe
	fixtures map[string]string // directories by engine and state
	report   *report.Report
}

// Run measures what c says. Where a workload fails, the others are run all the same:
// there is a report then, which says what failed, and an error. It leaves no files.
func Run(ctx context.Context, c Config) (_ *report.Report, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	data, err := c.Data.New()
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp(c.Dir, "firn-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	probe, err := machine.NewProbe(scratch)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, probe.Close()) }()
	r := &runner{config: c, data: data, scratch: scratch, probe: probe, fixtures: map[string]string{}}
	r.report = r.newReport()
	start := time.Now()
	if err := r.runAll(ctx); err != nil {
		return nil, err
	}
	r.report.Seconds = time.Since(start).Seconds()
	return r.report, failures(r.report)
}

// runAll runs one workload after the other.
func (r *runner) runAll(ctx context.Context) error {
	for i := range r.config.Workloads {
		w := &r.config.Workloads[i]
		cells := make([]cell, len(r.config.Engines))
		for k, e := range r.config.Engines {
			cells[k].result = report.Result{Workload: w.Name, Engine: e.Name, Metrics: []report.Metric{}}
			cells[k].latencies = NewLatencies()
		}
		for number := range r.config.roundsOf(w) {
			if err := r.runRound(ctx, w, number, cells); err != nil {
				return err
			}
		}
		for k := range cells {
			if cells[k].latencies.Count() > 0 {
				cells[k].result.Latency = cells[k].latencies.percentiles()
			}
			r.report.Results = append(r.report.Results, cells[k].result)
		}
	}
	return nil
}

// runRound goes from engine to engine, and begins with another one in each round.
func (r *runner) runRound(ctx context.Context, w *Workload, number int, cells []cell) error {
	if err := r.probeDisk(ctx); err != nil {
		return err
	}
	if w.probe != nil {
		if err := w.probe(ctx, r); err != nil {
			return err
		}
	}
	for step := range cells {
		k := (number + step) % len(cells)
		c, e := &cells[k], r.config.Engines[k]
		if c.result.Skipped != "" || c.result.Failed != "" {
			continue
		}
		if r.config.Progress != nil {
			r.config.Progress(fmt.Sprintf("%s, round %d of %d: %s", w.Name, number+1, r.config.roundsOf(w), e.Name))
		}
		one := &round{runner: r, ctx: ctx, workload: w, engine: e, number: number, dir: r.scratchFor("round"), cell: c}
		err := errors.Join(w.run(one), one.end())
		var skip skipped
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &skip):
			c.result.Skipped = skip.Error()
		case err != nil:
			c.result.Failed = err.Error()
		}
	}
	return nil
}

// probeTime is how long the disk is probed before a round.
const probeTime = 50 * time.Millisecond

func (r *runner) probeDisk(ctx context.Context) error {
	l := Load{Threads: 1, Every: 1, For: min(probeTime, r.config.Round)}
	out, err := l.Drive(ctx, func(int) error { return r.probe.Write() })
	if err == nil {
		syncs := &r.report.DiskSyncs.Samples
		*syncs = append(*syncs, float64(out.Ops)/out.Elapsed.Seconds())
	}
	return err
}

// note adds a note to the report, once.
func (r *runner) note(text string) {
	if !slices.Contains(r.report.Notes, text) {
		r.report.Notes = append(r.report.Notes, text)
	}
}

// failures is an error if anything failed.
func failures(rep *report.Report) error {
	var errs []error
	for _, res := range rep.Results {
		if res.Failed != "" {
			errs = append(errs, fmt.Errorf("%s with %s: %s", res.Workload, res.Engine, res.Failed))
		}
	}
	return errors.Join(errs...)
}
