package bench

import (
	"errors"
	"runtime"
	"time"

	"github.com/firnkv/firn/bench/dataset"
)

// Config says what to measure.
type Config struct {
	Engines   []Engine
	Workloads []Workload
	Data      dataset.Spec

	// Rounds is how often each workload is run with each engine; one that takes
	// long is run half as often, rounded down, but at least once. Four are needed
	// for [report.Compare] to call anything significant.
	Rounds int
	// Round is how long a round of operations goes on that are not counted: four
	// times as long where caches have to fill and compaction has to get going.
	Round time.Duration
	// WarmUp is how long they go on before it, or four times as long.
	WarmUp time.Duration
	// Limit ends a round of counted operations that takes longer.
	Limit time.Duration
	// Watch is for how long disk use is watched when writing has ended.
	Watch time.Duration

	// Dir is where stores are made, in a directory of their own that is removed
	// in the end. Empty: the directory for temporary files.
	Dir string
	// Child is a command line that calls [Child] with these Engines. Empty:
	// workloads that need a process of their own are skipped.
	Child []string
	// Progress, if any, is told what is about to be measured.
	Progress func(step string)
}

// Full returns the settings of a run that takes some minutes an engine.
func Full() Config {
	return Config{
		Workloads: Workloads(runtime.GOMAXPROCS(0)),
		Data:      dataset.Spec{Kind: dataset.JSON, Keys: 200_000},
		Rounds:    4,
		Round:     500 * time.Millisecond,
		WarmUp:    300 * time.Millisecond,
		Limit:     20 * time.Second,
		Watch:     5 * time.Second,
	}
}

// Quick returns the settings of a run that takes half a minute an engine. It shows
// large differences, and that everything works.
func Quick() Config {
	c := Full()
	c.Data.Keys = 10_000
	c.Rounds = 2
	c.Round = 100 * time.Millisecond
	c.WarmUp = 50 * time.Millisecond
	c.Limit = 5 * time.Second
	c.Watch = 500 * time.Millisecond
	return c
}

func (c *Config) check() error {
	switch {
	case len(c.Engines) == 0:
		return errors.New("no engine to measure")
	case len(c.Workloads) == 0:
		return errors.New("no workload to run")
	case c.Rounds < 1 || c.Round <= 0 || c.Limit <= 0:
		return errors.New("rounds have to be at least one, and to have time")
	}
	return nil
}

// roundsOf returns how many rounds of a workload there are.
func (c *Config) roundsOf(w *Workload) int {
	if w.long {
		return max(c.Rounds/2, 1)
	}
	return c.Rounds
}
