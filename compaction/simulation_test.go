package compaction_test

import (
	"os"
	"testing"

	"github.com/firnkv/firn/compaction/internal/simulate"
)

const (
	minute = 60
	hour   = 3600
	day    = 86400
	mib    = 1 << 20
	gib    = 1 << 30
)

// uniform overwrites 4 GiB of records, each as likely as the other, 1.3 times a
// day.
func uniform(v simulate.View) simulate.Load {
	const size = 4 * gib
	if v.Live < size*0.99 {
		return simulate.Load{Puts: []simulate.Put{{Cohort: 1, Bytes: 512 << 10 * simulate.Step}}}
	}
	return simulate.Load{Puts: []simulate.Put{{Cohort: 1, Bytes: 64 << 10 * simulate.Step, Replace: true}}}
}

// zipf overwrites as many bytes, each half of the rest of the records as often
// as all that are left: a sixteenth of the writes goes to half of the records,
// another to an eighth of a per cent.
func zipf(v simulate.View) simulate.Load {
	const size = 4 * gib
	const classes = 10
	replace := v.Live >= size*0.99
	var load simulate.Load
	for i := range int64(classes) {
		put := simulate.Put{Cohort: i + 1, Bytes: 64 << 10 * simulate.Step / classes, Replace: true}
		if !replace {
			put.Bytes, put.Replace = 512<<10*simulate.Step/float64(int64(2)<<i), false
		}
		load.Puts = append(load.Puts, put)
	}
	return load
}

// bursty writes by day, with five minutes each noon at what a fast disk takes,
// and rests at night.
func bursty(v simulate.View) simulate.Load {
	load := uniform(v)
	switch h := v.Now / hour % 24; {
	case v.Live < 4*gib*0.99:
	case h < 8 || h >= 20:
		return simulate.Load{}
	case v.Now%day == 12*hour:
		load.Puts[0].Bytes = 60 * mib * 5 * minute
	}
	return load
}

// sessions writes records that live from an hour to 30 days.
func sessions(v simulate.View) simulate.Load {
	var load simulate.Load
	for _, ttl := range []int64{hour, 3 * hour, 12 * hour, day, 7 * day, 30 * day} {
		for range 4 {
			life := float64(ttl) * (0.7 + 0.3*v.Rand.Float64())
			step := max(ttl/48/simulate.Step, 1) * simulate.Step
			expires := (v.Now + int64(life)) / step * step
			load.Puts = append(load.Puts, simulate.Put{Bytes: 16 << 10 * simulate.Step / 24, Expires: max(expires, v.Now+simulate.Step)})
		}
	}
	return load
}

// retention deletes records when they are 7, 30 and 90 days old.
func retention(v simulate.View) simulate.Load {
	var load simulate.Load
	for i, days := range []int64{7, 30, 90} {
		birth := v.Now / hour
		cohort := func(hour int64) int64 { return int64(i+1)<<32 + hour }
		load.Puts = append(load.Puts, simulate.Put{Cohort: cohort(birth), Bytes: 2 << 10 * simulate.Step})
		if old := cohort(birth - days*24); birth >= days*24 {
			load.Deletes = append(load.Deletes, simulate.Delete{Cohort: old, Bytes: v.Alive(old) / float64(6-v.Now/600%6)})
		}
	}
	return load
}

// full grows until puts are refused, then deletes a third of what is there while
// it goes on to write. One record in four is overwritten in place of growth.
func full() func(simulate.View) simulate.Load {
	deleting := false
	goal := 0.0
	return func(v simulate.View) simulate.Load {
		load := simulate.Load{Puts: []simulate.Put{
			{Cohort: 1, Bytes: 48 << 10 * simulate.Step},
			{Cohort: 1, Bytes: 16 << 10 * simulate.Step, Replace: true},
		}}
		if v.Refused && !deleting && v.Rand.IntN(20) == 0 {
			deleting, goal = true, v.Live*2/3
		}
		deleting = deleting && v.Live > goal
		if deleting {
			load.Deletes = []simulate.Delete{{Cohort: 1, Bytes: 100 << 10 * simulate.Step}}
		}
		return load
	}
}

// TestSimulation runs stores over a year of traffic, with -short over 60 days.
// With FIRN_PLOT=dir, each run leaves a plot there, as an SVG file.
func TestSimulation(t *testing.T) {
	days := 365
	if testing.Short() {
		days = 60
	}
	for _, sc := range []simulate.Scenario{
		{Name: "uniform", CPU: 0.5, Traffic: uniform},
		{Name: "zipf", CPU: 0.5, Traffic: zipf},
		{Name: "bursty", CPU: 0.5, Traffic: bursty},
		{Name: "sessions", CPU: 0.5, Traffic: sessions},
		{Name: "retention", CPU: 0.5, Traffic: retention},
		{Name: "full", CPU: 0.5, Capacity: 2 * gib, Traffic: full()},
	} {
		t.Run(sc.Name, func(t *testing.T) {
			res, err := simulate.Run(sc, days, 1)
			res.Table(t.Output())
			if err != nil {
				t.Fatal(err)
			}
			_ = os.Getenv
		})
	}
}
