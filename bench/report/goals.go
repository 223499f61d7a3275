package report

import (
	"fmt"
	"slices"
)

const (
	// subject is the engine whose goals these are.
	subject = "firn"
	// goalCores is how many cores they are meant for.
	goalCores = 2
	// fullPages is how many keys there have to be so that most pages of 1,000 keys
	// with a prefix are full.
	fullPages = 200_000
	// fullStore is how many keys make a store that the fixed sizes of segments and
	// buffers are small beside.
	fullStore = 1_000_000
)

var (
	rate      = Kind{"throughput", PerSecond, Higher}
	streaming = Kind{"bandwidth", BytesPerSecond, Higher}
	p50       = Kind{"p50", Seconds, Lower}
	p999      = Kind{"p99.9", Seconds, Lower}
	longest   = Kind{"max", Seconds, Lower}
	disk      = Kind{"disk", Bytes, Lower}
	peak      = Kind{"peak/packed", Ratio, Lower}
	rest      = Kind{"rest/packed", Ratio, Lower}
	memory    = Kind{"memory", BytesPerKey, Lower}
	opening   = Kind{"time", Seconds, Lower}
)

// goals are what the project asks of itself. An absent get is too short for its
// latency to be read from a clock, so that goal is about the rate of one thread.
var goals = slices.Concat([]goal{
	{workload: "put/durable/writers=1", kind: rate, bound: 0.85, than: "disk syncs"},
	{workload: "put/durable/writers=1", kind: rate, bound: 1.4, than: "pebble"},
	{workload: "put/durable/writers=64", kind: rate, bound: 2, than: "pebble"},
	{workload: "load/random/threads=1", kind: rate, bound: 2, than: "pebble"},
	{workload: "load/random/threads=2", kind: rate, bound: 2, than: "pebble"},
	{workload: "get/uniform/threads=1", kind: p50, bound: 5e-6},
	{workload: "get/uniform/threads=1", kind: p50, bound: 1.3e-6, data: "random"},
	{workload: "get/uniform/threads=1", kind: rate, bound: 3, than: "pebble"},
	{workload: "get/uniform/threads=1", kind: rate, bound: 3, than: "badger"},
	{workload: "get/uniform/threads=1", kind: rate, bound: 2.5, than: "goleveldb"},
	{workload: "get/uniform/threads=1", kind: disk, bound: 1, than: "pebble"},
	{workload: "get/uniform/threads=1", kind: disk, bound: 1, than: "badger"},
	{workload: "get/uniform/threads=1", kind: disk, bound: 1, than: "goleveldb"},
	{workload: "get/zipf/threads=1", kind: rate, bound: 900e3},
	{workload: "get/absent/threads=1", kind: rate, bound: 1 / 150e-9, note: "150 ns each"},
	{workload: "ycsb/a/threads=2", kind: rate, bound: 3, than: "pebble"},
	{workload: "scan/prefix/page=1000", kind: p50, bound: 1e-3, keys: fullPages},
	{workload: "list/metadata/page=1000", kind: p50, bound: 3e-3, keys: fullPages},
	{workload: "large/put/size=25MiB", kind: streaming, bound: 0.8, than: "zstd encode"},
	{workload: "large/get/size=25MiB", kind: streaming, bound: 0.8, than: "zstd decode"},
}, churnGoals("churn/uniform"), churnGoals("churn/zipf"), []goal{
	{workload: "open/clean", kind: opening, bound: 0.5, keys: 10_000_000},
	{workload: "open/crash", kind: opening, bound: 1.5, keys: 10_000_000},
	{workload: "memory", kind: memory, bound: 32, keys: fullStore, large: true, note: "24 if possible"},
})

func churnGoals(workload string) []goal {
	return []goal{
		{workload: workload, kind: p999, bound: 1e-3, keys: fullStore, large: true},
		{workload: workload, kind: longest, bound: 20e-3, always: true},
		{workload: workload, kind: peak, bound: 1.8, always: true, keys: fullStore, large: true},
		{workload: workload, kind: rest, bound: 1.3, keys: fullStore, large: true},
	}
}

// Attainment says whether a goal is met.
type Attainment string

// The attainments.
const (
	Met         Attainment = "met"
	NotMet      Attainment = "not met"
	MetByFewer  Attainment = "met with fewer keys" // than it is asked of
	TooFewKeys  Attainment = "too few keys to tell"
	NotMeasured Attainment = "not measured"
)

// Goal is a goal of the project, and what became of it.
type Goal struct {
	Workload string
	Asked    string // in words
	Measured string // in words
	Attained Attainment
}

// Goals returns all goals, or none if the report is not one of Firn.
func (r *Report) Goals() []Goal {
	if !slices.ContainsFunc(r.Engines, func(e Engine) bool { return e.Name == subject }) {
		return nil
	}
	var all []Goal
	for i := range goals {
		if g := &goals[i]; g.data == "" || g.data == r.Settings.Data.Kind {
			all = append(all, g.of(r))
		}
	}
	return all
}

// goalsAbout introduces the goals.
func (r *Report) goalsAbout(all []Goal) string {
	counts := map[Attainment]int{}
	for _, g := range all {
		counts[g.Attained]++
	}
	text := fmt.Sprintf("What the project asks of Firn on %d cores; there were %d. Medians count, unless it says \"in each round\". Of %d goals:",
		goalCores, r.Machine.Cores, len(all))
	for i, a := range []Attainment{Met, NotMet, MetByFewer, TooFewKeys, NotMeasured} {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %d %s", counts[a], a)
	}
	return text + "."
}
