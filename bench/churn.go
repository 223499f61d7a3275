package bench

import (
	"fmt"

	"github.com/firnkv/firn/bench/machine"
)

const (
	// churnTimes is how often each pair is overwritten, on average.
	churnTimes   = 10
	churnThreads = 2
	// SpaceGoal is the disk use to come down to, as a multiple of what a store
	// takes packed.
	SpaceGoal = 1.3
)

// churns overwrite a filled store many times over, and watch what it takes on disk.
func churns() []Workload {
	about := "Overwrite a filled store %d times over, pairs chosen %s, nothing synced; disk use over time, until after the last put, as a multiple of what it takes packed."
	return []Workload{{
		Name:    "churn/uniform",
		About:   fmt.Sprintf(about, churnTimes, "uniformly"),
		Threads: churnThreads,
		long:    true,
		run:     func(r *round) error { return r.churn(r.data.Uniform) },
	}, {
		Name:    "churn/zipf",
		About:   fmt.Sprintf(about, churnTimes, "by Zipf's law"),
		Threads: churnThreads,
		long:    true,
		run:     func(r *round) error { return r.churn(r.data.Zipf) },
	}}
}

func (r *round) churn(key func(i int) int) error {
	s, err := r.openCopy(filled, churnThreads)
	if err != nil {
		return err
	}
	return closing(s, r.churnIn(s, key))
}

func (r *round) churnIn(s Store, key func(i int) int) error {
	d := r.data
	written := machine.BytesWritten()
	seen, err := r.watched(churnTimes*d.Keys, func(i int) error {
		k := key(i)
		return s.Put(d.Key(k), d.Value(k+i%7))
	})
	if err != nil {
		return err
	}
	written = machine.BytesWritten() - written
	if err := s.Settle(); err != nil {
		return err
	}
	disk, err := machine.DiskUsage(r.dir)
	if err != nil {
		return err
	}
	packed := float64(disk)
	r.add(packedUse, packed)
	r.add(peakUse, float64(seen.Peak(seen.wrote))/packed)
	r.add(restUse, float64(seen.Last())/packed)
	r.add(timeToGoal, seen.Below(int64(SpaceGoal*packed), seen.wrote).Seconds())
	if written > 0 {
		perPut := float64(d.Bytes()) / float64(d.Keys)
		r.add(writtenUse, float64(written)/(perPut*float64(seen.ops)))
	}
	return nil
}
