package peers

import (
	"errors"
	"sync"
	"time"
)

// sampleEvery is how many operations one of which is timed: reading the clock
// takes as long as looking up an absent key.
const sampleEvery = 8

// Drive calls op for every i below n, from so many goroutines, and returns how
// long the calls took. A goroutine ends at its first error.
func Drive(goroutines, n int, op func(i int) error) (*Latencies, error) {
	samples := make([]Latencies, goroutines)
	errs := make([]error, goroutines)
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() {
			errs[g] = drive(g, goroutines, n, op, &samples[g])
		})
	}
	group.Wait()
	for i := 1; i < goroutines; i++ {
		samples[0].Merge(&samples[i])
	}
	return &samples[0], errors.Join(errs...)
}

func drive(from, step, n int, op func(i int) error, samples *Latencies) error {
	timed := 0
	for i := from; i < n; i += step {
		if timed--; timed >= 0 {
			if err := op(i); err != nil {
				return err
			}
			continue
		}
		timed = sampleEvery - 1
		start := time.Now()
		if err := op(i); err != nil {
			return err
		}
		samples.Add(time.Since(start))
	}
	return nil
}
