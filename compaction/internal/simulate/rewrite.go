package simulate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/firnkv/firn/compaction"
)

// rewrite is a job that runs.
type rewrite struct {
	job      compaction.Job
	began    int64 // Unix seconds
	victims  []*segment
	puts     map[bucket]float64 // bytes that are copied
	reserved int64              // disk space of the outputs
	cpu      float64            // seconds that it still takes
}

type bucket struct{ from, to int64 }

func (r *rewrite) bucket(id int64) bucket {
	from, to := compaction.Bucket(expiry(id), r.began)
	return bucket{from, to}
}

func ratio(form compaction.Form) float64 {
	if form == compaction.Young {
		return youngRatio
	}
	return settledRatio
}

func (s *store) start(job compaction.Job) error {
	r := &rewrite{job: job, began: s.now, puts: map[bucket]float64{}}
	var live, puts, tombstones float64
	for _, g := range s.segments {
		if !slices.Contains(job.Victims, g.ID) {
			continue
		}
		r.victims = append(r.victims, g)
		for _, c := range g.cohorts {
			r.puts[r.bucket(c.id)] += c.live
		}
		live += g.live
		puts += float64(g.Puts)
		tombstones += float64(g.Tombstones)
	}
	if len(r.victims) != len(job.Victims) {
		return fmt.Errorf("%s job of %v: not all of these exist", job.Reason, job.Victims)
	}
	tombstones *= s.needed(r.victims)
	cost := youngCost
	if job.Form == compaction.Settled {
		cost = settledCost
	}
	r.cpu = live/recordSize*cost + puts/recordSize*dropCost + tombstones*youngCost + 1e-3
	r.reserved = int64(live*ratio(job.Form)) + int64(tombstones*tombstoneSize)
	s.job = r
	s.jobs[job.Reason]++
	if s.capacity > 0 && s.free() < 0 {
		return fmt.Errorf("%s job of %d segments: outputs of %d bytes do not fit, %d bytes are free",
			job.Reason, len(job.Victims), r.reserved, s.free()+r.reserved)
	}
	return nil
}

// needed is the share of the tombstones of victims that hide deleted records in
// other segments. Each hides one, in any of them.
func (s *store) needed(victims []*segment) float64 {
	tombstones, deleted := float64(s.log.Tombstones), 0.0
	for _, g := range s.segments {
		tombstones += float64(g.Tombstones)
		if !slices.Contains(victims, g) {
			deleted += g.deleted / recordSize
		}
	}
	return min(deleted/max(tombstones, 1), 1)
}

func (s *store) finish() {
	r := s.job
	groups := map[bucket]*segment{} // before they are cut into outputs
	var tombstones int64
	sum := &segment{oldest: math.MaxInt64}
	gone := int64(math.MaxInt64)
	for _, g := range r.victims {
		sum.Newest = max(sum.Newest, g.Newest)
		sum.oldest = min(sum.oldest, g.oldest)
		if g.Puts > 0 {
			gone = min(gone, g.oldest)
		}
		tombstones += g.Tombstones
		for _, c := range g.cohorts {
			b := r.bucket(c.id)
			if groups[b] == nil {
				groups[b] = &segment{}
			}
			groups[b].put(c.id, c.live)
		}
	}

	tombstones = int64(float64(tombstones) * s.needed(r.victims))
	s.segments = slices.DeleteFunc(s.segments, func(g *segment) bool { return slices.Contains(r.job.Victims, g.ID) })
	for _, g := range s.segments {
		if g.Newest > gone {
			g.Kept = false
		}
	}

	outputs := s.outputs(r, groups, sum)
	if tombstones > 0 {
		if n := len(outputs); n == 0 || outputs[0].Expires != 0 {
			outputs = slices.Insert(outputs, 0, s.newSegment(compaction.Settled))
		}
		g := outputs[0]
		g.Tombstones, g.Kept = tombstones, true
		g.Disk += tombstones * tombstoneSize
		g.Newest, g.oldest = sum.Newest, sum.oldest
	}
	for _, g := range outputs {
		s.rewritten += float64(g.Disk)
	}
	s.segments = append(s.segments, outputs...)
	s.job = nil
}

// outputs are the segments that a job leaves, without tombstones; those that do
// not expire come first.
func (s *store) outputs(r *rewrite, groups map[bucket]*segment, sum *segment) []*segment {
	var list []*segment
	unit := float64(compaction.Unit(s.disk()))
	for _, b := range slices.SortedFunc(maps.Keys(r.puts), func(a, b bucket) int { return cmp.Compare(a.to, b.to) }) {
		puts, group := r.puts[b], groups[b]
		n := math.Ceil(puts * ratio(r.job.Form) / unit)
		for range int(n) {
			g := s.newSegment(r.job.Form)
			g.Puts = int64(puts / n)
			g.Disk = int64(puts * ratio(r.job.Form) / n)
			g.Newest, g.oldest, g.width = sum.Newest, sum.oldest, b.to-b.from
			if group != nil {
				for _, c := range group.cohorts {
					g.put(c.id, c.live/n)
				}
			}
			if b.to != 0 {
				g.Expires = b.to - 1
				if len(g.cohorts) > 0 {
					g.Expires = expiry(g.cohorts[len(g.cohorts)-1].id)
				}
			}
			list = append(list, g)
		}
	}
	return list
}
