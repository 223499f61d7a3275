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
)

// goal is a bound on a metric of the subject: from below if higher is better,
// otherwise from above.
type goal struct {
	workload string
	kind     Kind
	bound    float64
	// than makes the bound a multiple of what another engine has in the same
	// metric, or of what a probe of the machine gave. Empty: it is a figure.
	than string
	// always is for worst cases: it has to hold in each round. Otherwise the
	// median counts.
	always bool
	// keys is how many keys the store has to have at least. 0: any.
	keys int
	// data is the only kind of data that it is asked of. Empty: any.
	data string
	note string
}

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
	{workload: "scan/prefix/page=1000", kind: p50, bound: 1e-3},
	{workload: "list/metadata/page=1000", kind: p50, bound: 3e-3},
	{workload: "large/put/size=25MiB", kind: streaming, bound: 0.8, than: "zstd encode"},
	{workload: "large/get/size=25MiB", kind: streaming, bound: 0.8, than: "zstd decode"},
}, churnGoals("churn/uniform"), churnGoals("churn/zipf"), []goal{
	{workload: "open/clean", kind: opening, bound: 0.5, keys: 10_000_000},
	{workload: "open/crash", kind: opening, bound: 1.5, keys: 10_000_000},
	{workload: "memory", kind: memory, bound: 32, note: "24 if possible"},
})

func churnGoals(workload string) []goal {
	return []goal{
		{workload: workload, kind: p999, bound: 1e-3},
		{workload: workload, kind: longest, bound: 20e-3, always: true},
		{workload: workload, kind: peak, bound: 1.8, always: true},
		{workload: workload, kind: rest, bound: 1.3},
	}
}

// Attainment says whether a goal is met.
type Attainment string

// The attainments.
const (
	Met         Attainment = "met"
	NotMet      Attainment = "not met"
	MetByFewer  Attainment = "met with fewer keys" // than it is asked of
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

// of returns what became of the goal.
func (g *goal) of(r *Report) Goal {
	result := Goal{Workload: g.workload, Asked: g.asked(), Measured: "–", Attained: NotMeasured}
	m := r.metric(g.workload, subject, g.kind.Name)
	if m == nil {
		return result
	}
	value := m.Median()
	if least, greatest := m.Range(); g.always && g.kind.Better == Lower {
		value = greatest
	} else if g.always {
		value = least
	}
	result.Measured = m.String()
	if g.than != "" {
		other := r.reference(g.workload, g.than, g.kind.Name)
		if other == nil || other.Median() == 0 {
			return result
		}
		value /= other.Median()
		result.Measured = fmt.Sprintf("%s ×: %s to %s", digits(value), m.String(), other.String())
	}
	if g.keys > 0 {
		result.Measured += fmt.Sprintf(", with %d keys", r.Settings.Data.Keys)
	}
	switch {
	case (g.kind.Better == Higher && value < g.bound) || (g.kind.Better == Lower && value > g.bound):
		result.Attained = NotMet
	case r.Settings.Data.Keys < g.keys:
		result.Attained = MetByFewer
	default:
		result.Attained = Met
	}
	return result
}

// asked says the goal in words.
func (g *goal) asked() string {
	sign, bound := "≥", g.kind.Unit.Format(g.bound)
	if g.kind.Better == Lower {
		sign = "≤"
	}
	if g.than != "" {
		bound = fmt.Sprintf("%s × %s", digits(g.bound), g.than)
	}
	text := fmt.Sprintf("%s %s %s", g.kind.Name, sign, bound)
	if g.always {
		text += " in each round"
	}
	if g.keys > 0 {
		text += fmt.Sprintf(" with %d keys", g.keys)
	}
	if g.note != "" {
		text += " (" + g.note + ")"
	}
	return text
}

// metric returns what was measured, or nil.
func (r *Report) metric(workload, engine, name string) *Metric {
	res := r.Result(workload, engine)
	if res == nil || res.Failed != "" {
		return nil
	}
	return res.Metric(name)
}

// reference returns what a probe of the machine gave, or else what an engine has.
func (r *Report) reference(workload, than, name string) *Metric {
	for _, m := range []*Metric{&r.DiskSyncs, &r.ZstdEncode, &r.ZstdDecode} {
		if m.Name == than {
			return m
		}
	}
	return r.metric(workload, than, name)
}

// goalsAbout introduces the goals.
func (r *Report) goalsAbout(all []Goal) string {
	counts := map[Attainment]int{}
	for _, g := range all {
		counts[g.Attained]++
	}
	text := fmt.Sprintf("What the project asks of Firn on %d cores; there were %d. Medians count, unless it says \"in each round\". Of %d goals:",
		goalCores, r.Machine.Cores, len(all))
	for i, a := range []Attainment{Met, NotMet, MetByFewer, NotMeasured} {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %d %s", counts[a], a)
	}
	return text + "."
}
