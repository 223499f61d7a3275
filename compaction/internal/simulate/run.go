package simulate

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"

	"github.com/firnkv/firn/compaction"
)

// Step is the time in seconds for which traffic is described at once.
const Step = 600

// Put is that so many bytes of records are written. They replace as many of the
// cohort, if Replace is set. If Expires is not 0, they form the cohort of that
// second.
type Put struct {
	Cohort  int64
	Bytes   float64
	Replace bool
	Expires int64
}

// Delete is that so many bytes of records are deleted.
type Delete struct {
	Cohort int64
	Bytes  float64
}

// Load is what happens in a step.
type Load struct {
	Puts    []Put
	Deletes []Delete
}

// View is what traffic sees of the store.
type View struct {
	Now     int64 // seconds since the start
	Live    float64
	Refused bool // puts were refused in the step before
	Rand    *rand.Rand
	Alive   func(cohort int64) float64 // live bytes of a cohort
}

// Scenario is a store and its traffic.
type Scenario struct {
	Name     string
	CPU      float64 // share of a core that compaction gets
	Capacity int64   // bytes of the disk, 0 for no limit
	Traffic  func(View) Load
}

// Sample is the state of the store at the end of a step.
type Sample struct {
	Now                int64 // seconds since the start
	Packed, Disk, Free int64 // bytes; Free is negative if not limited
	Written, Rewritten float64
	Pressure           float64
	Quiet              int64 // seconds
	Segments           int
	Unsettled          int // log and young segments among them
	Refused            bool
}

// Result is what a run yields.
type Result struct {
	Scenario Scenario
	Samples  []Sample
	Jobs     map[compaction.Reason]int
	Late     int64 // the longest that an expired record stayed beyond its bucket, in seconds
}

// rest is how many days without traffic a run ends with.
const rest = 2

// Run simulates so many days of traffic, and two of rest.
func Run(sc Scenario, days int, seed uint64) (*Result, error) {
	const start = 1_800_000_000 / 86400 * 86400
	s := newStore(start, sc.Capacity, sc.CPU)
	rng := rand.New(rand.NewPCG(seed, 1))
	res := &Result{Scenario: sc, Jobs: s.jobs}
	for end := int64(start) + int64(days)*86400; s.now < end+rest*86400; {
		var load Load
		if s.now < end {
			load = sc.Traffic(View{Now: s.now - start, Live: s.live(), Refused: s.refused, Rand: rng,
				Alive: func(cohort int64) float64 { return s.alive[cohort] }})
		}
		if err := s.step(load); err != nil {
			return res, fmt.Errorf("%s, day %d: %w", sc.Name, (s.now-start)/86400, err)
		}
		res.Samples = append(res.Samples, s.sample())
	}
	res.Late = s.late
	return res, nil
}

func (s *store) sample() Sample {
	unsettled := 0
	for _, g := range s.segments {
		if g.Form != compaction.Settled {
			unsettled++
		}
	}
	return Sample{
		Now:       s.now - s.began,
		Packed:    int64(s.packed()),
		Disk:      s.disk(),
		Free:      s.free(),
		Written:   s.written,
		Rewritten: s.rewritten,
		Pressure:  s.pressure,
		Quiet:     s.now - s.wrote,
		Segments:  len(s.segments),
		Unsettled: unsettled,
		Refused:   s.refused,
	}
}

// step spreads a load over the time of a step, in slices of at most half a log
// segment.
func (s *store) step(load Load) error {
	var bytes float64
	for _, p := range load.Puts {
		bytes += p.Bytes
	}
	slices := min(math.Ceil(bytes*logRatio/float64(compaction.Unit(s.disk())/2)), Step)
	slices = max(slices, 1)
	s.refused, s.pressure = false, 0
	began := s.now
	for i := range int64(slices) {
		pressure := compaction.Pressure(s.state())
		s.pressure += pressure / slices
		for _, p := range load.Puts {
			n := p.Bytes / slices * (1 - pressure)
			if s.capacity > 0 && s.free()-int64(n*logRatio) < compaction.Reserve(s.disk()) {
				s.refused = true
				continue
			}
			id := p.Cohort
			if p.Expires != 0 {
				id = expiring + s.began + p.Expires
			}
			s.put(id, n, p.Replace)
		}
		for _, d := range load.Deletes {
			if !s.del(d.Cohort, d.Bytes/slices) {
				return errors.New("no room for a delete")
			}
		}
		if err := s.advance(began + Step*(i+1)/int64(slices)); err != nil {
			return err
		}
	}
	return nil
}

// Amplification returns disk use over what the live records take packed.
func (s *Sample) Amplification() float64 {
	return float64(s.Disk) / float64(max(s.Packed, 1))
}

// WriteAmplification returns what was written to disk over what was written to
// the log, between two samples; 0 if that was nothing.
func WriteAmplification(from, to Sample) float64 {
	written := to.Written - from.Written
	if written <= 0 {
		return 0
	}
	return (written + to.Rewritten - from.Rewritten) / written
}

// Table prints one line for each month.
func (r *Result) Table(w io.Writer) {
	const month = 30 * 86400 / Step
	fmt.Fprintf(w, "%s (jobs %v, expired records stay at most %d s beyond their bucket)\n", r.Scenario.Name, r.Jobs, r.Late)
	fmt.Fprintln(w, "month  packed MiB  disk MiB  space mean   max  write  segments  delayed %  refused %")
	for m := 0; m*month < len(r.Samples); m++ {
		part := r.Samples[m*month : min((m+1)*month, len(r.Samples))]
		var sum, most, delayed, refused float64
		for i := range part {
			a := part[i].Amplification()
			sum += a
			most = max(most, a)
			delayed += part[i].Pressure
			if part[i].Refused {
				refused++
			}
		}
		n, last := float64(len(part)), part[len(part)-1]
		fmt.Fprintf(w, "%5d  %10d  %8d  %10.2f  %4.2f  %5.2f  %8d  %9.2f  %9.2f\n", m+1, last.Packed>>20, last.Disk>>20,
			sum/n, most, WriteAmplification(part[0], last), last.Segments, delayed/n*100, refused/n*100)
	}
}
