// Package simulate runs the compaction policy against a store that is modelled
// by counts, so that years of traffic take seconds.
//
// Records are kept as cohorts: so many bytes of records that share a fate, such
// as to expire in the same minutes, or to be equally likely to be overwritten. A
// job takes the CPU time that a rewrite takes, and disk space for its outputs
// from its start.
package simulate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/firnkv/firn/compaction"
)

const (
	recordSize    = 500 // bytes of key, metadata and value
	tombstoneSize = 48  // bytes on disk

	// Bytes on disk of a raw byte: log frames hold many records, young ones
	// several, settled ones one record that is compressed with a dictionary.
	logRatio     = 0.65
	youngRatio   = 0.5
	settledRatio = 0.45

	// Seconds of CPU that a record takes to rewrite, and what is read and
	// checked of a record that is dropped.
	youngCost   = 5e-6
	settledCost = 25e-6
	dropCost    = 0.2e-6

	checkpointKey = 12      // bytes of the checkpoint for each live record
	manifestSize  = 1 << 20 // bytes

	target = 1.3
)

// cohort is so many live bytes of records that share a fate. Cohorts of a
// segment are in the order of their ids.
type cohort struct {
	id   int64
	live float64
}

// expiring is the base of the ids of cohorts that expire: the id is expiring and
// the second.
const expiring = 1 << 48

func expiry(id int64) int64 {
	if id < expiring {
		return 0
	}
	return id - expiring
}

type segment struct {
	compaction.Segment
	cohorts []cohort
	live    float64 // the sum of cohorts
	oldest  int64   // time of the oldest record
	width   int64   // seconds of the widest time bucket of its records
	born    int64   // when it was sealed or written
	deleted float64 // bytes of records that were deleted
	expired int64   // the second in which the first record expired, 0 if none has
}

// put adds live records.
func (g *segment) put(id int64, bytes float64) {
	i, ok := slices.BinarySearchFunc(g.cohorts, id, func(c cohort, id int64) int { return cmp.Compare(c.id, id) })
	if !ok {
		g.cohorts = slices.Insert(g.cohorts, i, cohort{id: id})
	}
	g.cohorts[i].live += bytes
	g.live += bytes
}

// scale multiplies the live bytes of a cohort. It returns how many are gone.
func (g *segment) scale(id int64, by float64) float64 {
	i, ok := slices.BinarySearchFunc(g.cohorts, id, func(c cohort, id int64) int { return cmp.Compare(c.id, id) })
	if !ok {
		return 0
	}
	was := g.live
	c := &g.cohorts[i]
	g.live -= c.live * (1 - by)
	c.live *= by
	if c.live < 1 {
		g.live -= c.live
		g.cohorts = slices.Delete(g.cohorts, i, i+1)
	}
	if len(g.cohorts) == 0 {
		g.live = 0
	}
	return was - g.live
}

// expire drops the cohorts that have expired.
func (g *segment) expire(now int64) {
	i, _ := slices.BinarySearchFunc(g.cohorts, int64(expiring), func(c cohort, id int64) int { return cmp.Compare(c.id, id) })
	j := i
	for j < len(g.cohorts) && expiry(g.cohorts[j].id) <= now {
		if g.expired == 0 {
			g.expired = expiry(g.cohorts[j].id)
		}
		g.live -= g.cohorts[j].live
		j++
	}
	g.cohorts = slices.Delete(g.cohorts, i, j)
	if len(g.cohorts) == 0 {
		g.live = 0
	}
}

// store is the model of a store.
type store struct {
	began    int64 // Unix seconds, as now
	now      int64
	capacity int64   // of the disk; 0: without limit
	cpu      float64 // share of a core that compaction gets

	segments []*segment
	log      *segment // takes writes
	nextID   uint64
	ballast  int64
	job      *rewrite
	busy     bool  // something was written since time passed
	wrote    int64 // time of the last write

	alive    map[int64]float64 // live bytes of each cohort that does not expire
	last     compaction.State
	pressure float64 // mean of a step

	written, rewritten float64 // bytes on disk
	refused            bool
	late               int64 // the longest that an expired record stayed beyond its bucket, seconds
	jobs               map[compaction.Reason]int
}

const ballastSize = 8 << 20

func newStore(now, capacity int64, cpu float64) *store {
	s := &store{began: now, now: now, capacity: capacity, cpu: cpu, nextID: 1, wrote: now, alive: map[int64]float64{},
		jobs: map[compaction.Reason]int{}}
	if capacity > 0 {
		s.ballast = ballastSize
	}
	s.log = s.newSegment(compaction.Log)
	return s
}

func (s *store) newSegment(form compaction.Form) *segment {
	g := &segment{oldest: math.MaxInt64, born: s.now}
	g.ID, g.Form = s.nextID, form
	s.nextID++
	return g
}

func (s *store) live() float64 {
	live := s.log.live
	for _, g := range s.segments {
		live += g.live
	}
	return live
}

func (s *store) packed() float64 { return s.live() * settledRatio }

func (s *store) fixed() int64 {
	return s.log.Disk + manifestSize + int64(s.live()/recordSize*checkpointKey)
}

// disk is what the store takes, without its ballast.
func (s *store) disk() int64 {
	disk := s.fixed()
	for _, g := range s.segments {
		disk += g.Disk
	}
	if s.job != nil {
		disk += s.job.reserved
	}
	return disk
}

func (s *store) free() int64 {
	if s.capacity == 0 {
		return -1
	}
	return s.capacity - s.disk() - s.ballast
}

func (s *store) state() *compaction.State {
	s.last = compaction.State{Segments: s.last.Segments[:0], Now: s.now, Fixed: s.fixed(), FixedLive: int64(s.log.live), Free: s.free(),
		Quiet: float64(s.now - s.wrote), Target: target}
	for _, g := range s.segments {
		g.Live = int64(g.live)
		s.last.Segments = append(s.last.Segments, g.Segment)
	}
	return &s.last
}

// write appends records or tombstones to the log.
func (s *store) write(raw float64, tombstones int64) {
	disk := int64(raw*logRatio) + tombstones*tombstoneSize
	s.log.Disk += disk
	s.log.Puts += int64(raw)
	s.log.Tombstones += tombstones
	s.log.Newest = s.now
	s.log.oldest = min(s.log.oldest, s.now)
	s.written += float64(disk)
	s.busy = true
}

// put writes records, and kills as many of the same cohort if they replace them.
func (s *store) put(id int64, bytes float64, replace bool) {
	if replace {
		s.kill(id, bytes, false)
	}
	s.write(bytes, 0)
	s.log.put(id, bytes)
	if e := expiry(id); e == 0 {
		s.alive[id] += bytes
		s.log.Expires = math.MaxInt64
	} else {
		s.log.Expires = max(s.log.Expires, e)
	}
}

// del writes tombstones for records of a cohort. It reports whether there was
// room for them.
func (s *store) del(id int64, bytes float64) bool {
	bytes = min(bytes, s.alive[id])
	n := int64(math.Ceil(bytes / recordSize))
	if s.capacity > 0 && s.free() < n*tombstoneSize {
		s.ballast = 0
		if s.free() < n*tombstoneSize {
			return false
		}
	}
	s.kill(id, bytes, true)
	s.write(0, n)
	return true
}

// kill makes garbage of records of a cohort, evenly in all segments.
func (s *store) kill(id int64, bytes float64, deleted bool) {
	all := s.alive[id]
	if all <= 0 || bytes <= 0 {
		return
	}
	by := max(1-bytes/all, 0)
	for _, g := range append(s.segments, s.log) {
		if n := g.scale(id, by); deleted {
			g.deleted += n
		}
	}
	s.alive[id] = all * by
	if by == 0 {
		delete(s.alive, id)
	}
}

// roll seals the log when it is large enough.
func (s *store) roll() {
	if s.log.Disk < compaction.Unit(s.disk()) {
		return
	}
	if s.log.Expires == math.MaxInt64 {
		s.log.Expires = 0
	}
	s.log.born = s.now
	s.segments = append(s.segments, s.log)
	s.log = s.newSegment(compaction.Log)
}

// advance lets time pass, and compaction work.
func (s *store) advance(to int64) error {
	budget := s.cpu * float64(to-s.now)
	s.now = to
	if s.busy {
		s.busy, s.wrote = false, s.now
	}
	s.log.expire(s.now)
	for _, g := range s.segments {
		g.expire(s.now)
		if g.expired != 0 {
			s.late = max(s.late, s.now-max(g.expired, g.born)-g.width)
		}
	}
	s.roll()
	for budget > 0 {
		if s.job == nil {
			job, ok := compaction.Pick(s.state())
			if !ok {
				break
			}
			if err := s.start(job); err != nil {
				return err
			}
		}
		spent := min(budget, s.job.cpu)
		s.job.cpu -= spent
		budget -= spent
		if s.job.cpu <= 0 {
			s.finish()
		}
	}
	if s.capacity > 0 && s.free() < 0 {
		return fmt.Errorf("the store takes %d bytes, the disk has %d", s.disk()+s.ballast, s.capacity)
	}
	if s.capacity > 0 && s.ballast == 0 && s.free() > compaction.Reserve(s.disk())+2*ballastSize {
		s.ballast = ballastSize
	}
	return nil
}
