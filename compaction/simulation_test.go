package compaction_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/firnkv/firn/compaction/internal/simulate"
)

const (
	hour = 3600
	day  = 86400
	mib  = 1 << 20
	gib  = 1 << 30
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

// zipf overwrites as many bytes, a tenth of them in each of ten classes of records,
// each half as large as the one before.
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

// bursty writes by day, each noon 36,000 records a second for ten minutes, and
// rests at night.
func bursty(v simulate.View) simulate.Load {
	load := uniform(v)
	switch h := v.Now / hour % 24; {
	case v.Live < 4*gib*0.99:
	case h < 8 || h >= 20:
		return simulate.Load{}
	case v.Now%day == 12*hour:
		load.Puts[0].Bytes = 18 * mib * simulate.Step
	}
	return load
}

// sessions writes records that live from an hour to 30 days.
func sessions(v simulate.View) simulate.Load {
	var load simulate.Load
	for _, ttl := range []int64{hour, 12 * hour, 7 * day, 30 * day} {
		for range 2 {
			life := float64(ttl) * (0.7 + 0.3*v.Rand.Float64())
			step := max(ttl/48/simulate.Step, 1) * simulate.Step
			expires := (v.Now + int64(life)) / step * step
			load.Puts = append(load.Puts, simulate.Put{Bytes: 8 << 10 * simulate.Step / 8, Expires: max(expires, v.Now+simulate.Step)})
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
		load.Puts = append(load.Puts, simulate.Put{Cohort: cohort(birth), Bytes: 1 << 10 * simulate.Step})
		if old := cohort(birth - days*24); v.Now%hour == 0 && v.Alive(old) > 0 {
			load.Deletes = append(load.Deletes, simulate.Delete{Cohort: old, Bytes: v.Alive(old)})
		}
	}
	return load
}

// full grows until puts are refused, then deletes a third of what is there, a
// while later and while it goes on to write. One put in four is an overwrite.
func full() func(simulate.View) simulate.Load {
	deleting := false
	goal := 0.0
	return func(v simulate.View) simulate.Load {
		load := simulate.Load{Puts: []simulate.Put{
			{Cohort: 1, Bytes: 6 << 10 * simulate.Step},
			{Cohort: 1, Bytes: 2 << 10 * simulate.Step, Replace: true},
		}}
		if v.Refused && !deleting && v.Rand.IntN(200) == 0 {
			deleting, goal = true, v.Live*2/3
		}
		deleting = deleting && v.Live > goal
		if deleting {
			load.Deletes = []simulate.Delete{{Cohort: 1, Bytes: 12 << 10 * simulate.Step}}
		}
		return load
	}
}

// simulations are the scenarios, with bounds on the write amplification, that of
// the log included, and on the number of segments. Measured over a year were 2.34
// and 142, 2.07 and 142, 2.25 and 142, 1.92 and 343, 2.09 and 170, 4.35 and 164.
var simulations = []struct {
	simulate.Scenario
	write    float64
	segments int
}{
	{simulate.Scenario{Name: "uniform", Traffic: uniform}, 2.6, 200},
	{simulate.Scenario{Name: "zipf", Traffic: zipf}, 2.3, 200},
	{simulate.Scenario{Name: "bursty", Traffic: bursty}, 2.5, 200},
	{simulate.Scenario{Name: "sessions", Traffic: sessions}, 2.1, 450},
	{simulate.Scenario{Name: "retention", Traffic: retention}, 2.3, 250},
	{simulate.Scenario{Name: "full", Traffic: full(), Capacity: 2 * gib}, 5, 200},
}

// TestSimulation runs stores over a year of traffic, with -short over 60 days.
// With FIRN_PLOT=dir, each run leaves a plot there, as an SVG file; with
// FIRN_SEED=n, it is another run.
func TestSimulation(t *testing.T) {
	days := 365
	if testing.Short() {
		days = 60
	}
	seed := uint64(1)
	if v := os.Getenv("FIRN_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("FIRN_SEED: %v", err)
		}
		seed = n
	}
	for _, sim := range simulations {
		t.Run(sim.Name, func(t *testing.T) {
			t.Parallel()
			sim.CPU = 0.5
			res, err := simulate.Run(sim.Scenario, days, seed)
			res.Table(t.Output())
			plot(t, res)
			if err != nil {
				t.Fatal(err)
			}
			checkSpace(t, res)
			write := simulate.WriteAmplification(res.Samples[0], res.Samples[len(res.Samples)-1])
			segments := 0
			for _, s := range res.Samples {
				segments = max(segments, s.Segments)
			}
			t.Logf("write amplification %.2f, up to %d segments", write, segments)
			if write > sim.write || segments > sim.segments {
				t.Errorf("write amplification %.2f and up to %d segments, want at most %.2f and %d",
					write, segments, sim.write, sim.segments)
			}
			if sim.Capacity > 0 {
				checkFull(t, res)
			}
		})
	}
}

// checkSpace checks what holds of the disk use in all scenarios, and that dead
// records do not stay. A store of a few segments may use 48 MiB more: the log,
// outputs of a job, and what smallWaste and smallStore allow.
func checkSpace(t *testing.T, res *simulate.Result) {
	const small = 48 * mib
	for _, s := range res.Samples {
		bound := 1.8
		if s.Quiet >= hour {
			bound = 1.3
			if s.Unsettled > 0 {
				t.Fatalf("day %d: %d segments are not settled after %d s of rest", s.Now/day, s.Unsettled, s.Quiet)
			}
		}
		if float64(s.Disk) > bound*float64(s.Packed)+small {
			t.Fatalf("day %d: the store takes %d MiB, %.2f times what is live, want at most %.2f (%d s after the last write)",
				s.Now/day, s.Disk/mib, s.Amplification(), bound, s.Quiet)
		}
	}
	if bound := int64(oldAfter + 2*simulate.Step); res.Late > bound {
		t.Errorf("an expired record stayed %d s longer than its bucket, want at most %d s", res.Late, bound)
	}
}

// oldAfter is the age in seconds at which a log segment is packed under writes.
const oldAfter = 600

// checkFull checks that a store on a full disk has used the disk, and went on.
func checkFull(t *testing.T, res *simulate.Result) {
	times := 0
	most := 0.0
	for i, s := range res.Samples[1:] {
		if s.Refused && !res.Samples[i].Refused {
			times++
		}
		most = max(most, float64(s.Packed)/float64(res.Scenario.Capacity))
	}
	t.Logf("puts refused in %d periods; live records took up to %.2f of the disk", times, most)
	if least := len(res.Samples) * simulate.Step / (10 * day); times < least {
		t.Errorf("puts were refused in %d periods, want at least %d", times, least)
	}
	if most < 0.75 {
		t.Errorf("live records never took more than %.2f of the disk, want 0.75", most)
	}
	const period = 5 * day / simulate.Step
	for i := period; i < len(res.Samples) && res.Samples[i].Quiet < day; i += period {
		if res.Samples[i].Written == res.Samples[i-period].Written {
			t.Fatalf("day %d: nothing has been written for 5 days", res.Samples[i].Now/day)
		}
	}
}

func plot(t *testing.T, res *simulate.Result) {
	dir := os.Getenv("FIRN_PLOT")
	if dir == "" {
		return
	}
	var b bytes.Buffer
	if err := res.Plot(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, res.Scenario.Name+".svg"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
