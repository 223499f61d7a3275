package bench

import (
	"context"
	"fmt"
	"regexp"
	"slices"
)

// Workload is something to measure.
type Workload struct {
	Name    string
	About   string // in words
	Threads int
	Durable bool // each put is on disk when it returns

	long bool // it is run in half of the rounds
	slow bool // to get going: caches fill, and compaction begins; see slowDown
	run  func(r *round) error
	// probe, if any, measures before each round what the machine gives for it.
	probe func(ctx context.Context, r *runner) error
}

// Workloads returns all workloads, in the order in which they are run. Some are run
// with one thread and with as many as given.
func Workloads(threads int) []Workload {
	counts := slices.Compact([]int{1, threads})
	all := slices.Concat(
		loads(counts),
		durablePuts(),
		overwrites(threads),
		gets(counts),
		ycsb(threads),
		scans(),
		largeValues(),
		[]Workload{expiring(threads)},
		churns(),
		opens(),
		[]Workload{memoryPerKey()},
	)
	for i := range all {
		if w := &all[i]; w.slow {
			w.About += fmt.Sprintf(" Rounds are %d times as long as others.", slowDown)
		}
	}
	return all
}

// Select returns the workloads whose names match a regular expression.
func Select(all []Workload, pattern string) ([]Workload, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	var selected []Workload
	for _, w := range all {
		if re.MatchString(w.Name) {
			selected = append(selected, w)
		}
	}
	if selected == nil {
		return nil, fmt.Errorf("no workload has a name that matches %q", pattern)
	}
	return selected, nil
}

// skipped is an error that says why a workload cannot be run with an engine, or
// here.
type skipped string

func (s skipped) Error() string { return string(s) }
