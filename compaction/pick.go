package compaction

import (
	"cmp"
	"math"
	"slices"
)

const (
	// maxVictims bounds the open files and the footers in the memory of a job.
	maxVictims = 64

	// minGarbage is the share of a segment that must be garbage so that it is
	// rewritten. Where the average is below it, that decides, but not below
	// leastGarbage.
	minGarbage   = 0.15
	leastGarbage = 0.05

	// smallWaste is how much garbage there may be in any store, in bytes.
	smallWaste = 1 << 20

	// packAfter and settleAfter are for how many seconds nothing must have
	// been written before segments are packed and settled for good.
	packAfter   = 1.0
	settleAfter = 2.0

	// oldAfter is the age in seconds at which segments are packed and settled
	// also while writes go on.
	oldAfter = 600

	// soon and mergeSoon are in how many seconds a segment must die so that
	// packing and merging it do not pay.
	soon      = 60
	mergeSoon = 600

	// packBacklog is how many units of log segments there may be while writes
	// go on; at twice that they are packed the cheap way.
	packBacklog = 12

	// A merge takes from mergeMin to mergeMax segments, each smaller than a
	// mergeMin-th of a unit, so that they become one.
	mergeMin = 8
	mergeMax = 16

	// maxPiggyback is how many segments of needed tombstones a job takes along.
	maxPiggyback = 8
)

// Pick returns the most useful job, or false if there is none. It is a pure
// function: the same state gives the same job, whatever the order of the
// segments. Applied to a store that does not change otherwise, jobs come to an
// end.
//
// The rules, in this order:
//
//   - Dead: all segments in which nothing is live go in one job, so that
//     tombstones and what they hide vanish together. It needs hardly any space.
//   - Space: there is more garbage than Target allows. Victims are chosen by
//     cost and benefit (Rosenblum and Ousterhout, "The Design and
//     Implementation of a Log-Structured File System", 1992).
//   - Pack: log segments become settled.
//   - Settle: young segments become settled.
//   - Merge: many small settled segments become one.
//
// No job takes more space than is free.
func Pick(st *State) (job Job, ok bool) {
	v := newView(st)
	for _, rule := range []func(*view) (Reason, Form, []*Segment){dead, space, pack, settle, merge} {
		reason, form, victims := rule(&v)
		if len(victims) == 0 {
			continue
		}
		if form != Values && reason != Settle {
			victims = v.piggyback(victims)
		}
		return newJob(reason, form, victims), true
	}
	return Job{}, false
}

func newJob(reason Reason, form Form, victims []*Segment) Job {
	ids := make([]uint64, len(victims))
	for i, s := range victims {
		ids[i] = s.ID
	}
	slices.Sort(ids)
	return Job{Reason: reason, Victims: ids, Form: form}
}

// collect returns the segments that match, in the order of compare, then of
// their ids. The list is good until the next call.
func (v *view) collect(match func(*Segment) bool, compare func(a, b *Segment) int) []*Segment {
	list := v.list[:0]
	for i := range v.Segments {
		if s := &v.Segments[i]; match(s) {
			list = append(list, s)
		}
	}
	v.list = list
	slices.SortFunc(list, func(a, b *Segment) int {
		return cmp.Or(compare(a, b), cmp.Compare(a.ID, b.ID))
	})
	return list
}

func byID(a, b *Segment) int { return cmp.Compare(a.ID, b.ID) }

func byAge(a, b *Segment) int { return cmp.Compare(a.Newest, b.Newest) }

// gather takes segments in their order as long as their outputs fit into most
// bytes, but at least one, and into the room there is.
func (v *view) gather(list []*Segment, most int64) []*Segment {
	var victims []*Segment
	var stays int64
	room := v.room()
	for _, s := range list {
		worst := v.worst(s)
		if worst > room {
			continue
		}
		stays += v.stays(s)
		if len(victims) > 0 && stays > most || len(victims) == maxVictims {
			break
		}
		room -= worst
		victims = append(victims, s)
	}
	return victims
}

// piggyback adds a few segments of needed tombstones to a job, so that sooner or
// later they meet what they hide and both vanish. They add at most a quarter to
// what the job reads, and an eighth of a unit to what it writes.
func (v *view) piggyback(victims []*Segment) []*Segment {
	var read, worst int64
	for _, s := range victims {
		read += s.Disk
		worst += v.worst(s)
	}
	limit := min(read/4, v.unit/8, v.room()-worst)
	n := 0
	for _, s := range v.collect(func(s *Segment) bool { return s.needed() && s.Pointers == 0 }, byID) {
		if n == maxPiggyback || len(victims) == maxVictims {
			break
		}
		if s.Disk <= limit && !slices.Contains(victims, s) {
			limit -= s.Disk
			victims = append(victims, s)
			n++
		}
	}
	return victims
}

// dead is the rule of the same name. Its outputs hold tombstones and pointers
// that are still needed. On a disk too full even for these, the segment with the
// fewest goes alone.
func dead(v *view) (Reason, Form, []*Segment) {
	all := v.collect(v.dead, byID)
	if len(all) == 0 {
		return Dead, Settled, nil
	}
	free := v.Free
	if free < 0 {
		free = v.room()
	}
	var victims []*Segment
	for _, s := range all {
		if m := s.markers(); m <= free && len(victims) < maxVictims {
			free -= m
			victims = append(victims, s)
		}
	}
	if len(victims) == 0 {
		victims = append(victims, slices.MinFunc(all, func(a, b *Segment) int {
			return cmp.Or(cmp.Compare(a.markers(), b.markers()), byID(a, b))
		}))
	}
	form := Settled
	if !slices.ContainsFunc(victims, func(s *Segment) bool { return s.Form != Values }) {
		form = Values
	}
	return Dead, form, victims
}

// space is the rule of the same name. Its victims are of one class: settled, log
// and young, or value segments. What soon dies whole is neither counted nor taken,
// unless space is urgent.
func space(v *view) (Reason, Form, []*Segment) {
	start := busyStart
	if v.Quiet >= settleAfter {
		start = quietStart
	}
	allowed := max(v.allowed(start), smallWaste) * v.slack()
	if float64(v.waste) <= allowed {
		return Space, Settled, nil
	}

	room := v.room()
	list := v.collect(func(s *Segment) bool {
		return v.worth(s) && !v.leftToDie(s) && v.worst(s) <= room
	}, func(a, b *Segment) int {
		return cmp.Compare(v.score(b), v.score(a))
	})
	if len(list) == 0 {
		return Space, Settled, nil
	}

	class := classOf(list[0])
	var same []*Segment
	enough := float64(v.waste) - 0.9*allowed
	for _, s := range list {
		if classOf(s) == class && enough > 0 {
			enough -= float64(s.Disk - v.stays(s))
			same = append(same, s)
		}
	}
	victims := v.gather(same, v.unit)
	return Space, v.spaceForm(victims), victims
}

func classOf(s *Segment) Form {
	if s.Form == Log {
		return Young
	}
	return s.Form
}

// worth reports whether a segment holds so much garbage that rewriting it pays.
// Large values are dear to copy, so of a value segment half must be garbage;
// when the disk is tight or writers are delayed a third, and at rest only so much
// that the target can be kept. It is never more than the average of all segments,
// lest none is worth it when all are alike.
func (v *view) worth(s *Segment) bool {
	if s.Disk <= 0 {
		return false
	}
	least := minGarbage
	if s.Form == Values {
		switch {
		case v.Quiet >= oldAfter:
			least = min(1-1/v.Target, 1.0/3)
		case v.tight() || v.pressure > 0:
			least = 1.0 / 3
		default:
			least = 1.0 / 2
		}
	}
	average := 0.99 * float64(v.waste) / float64(max(v.total-v.Fixed, 1)) // a little less, as sizes are rounded
	garbage := 1 - float64(v.stays(s))/float64(s.Disk)
	return garbage >= max(min(least, average), leastGarbage)
}

// score is benefit over cost: the space won, times how long it stays won, over
// what is read and written. Data that has not changed for long will stay as it
// is, but a segment that expires gives back its space anyhow. The time counts by
// its root: in the simulation, its full weight and none both cost 3% more writes
// with a skewed load. Where space is urgent it does not count at all: that saves
// 15% of the writes when they come in bursts.
func (v *view) score(s *Segment) float64 {
	u := float64(v.stays(s)) / float64(s.Disk)
	if v.tight() || v.pressure > 0 {
		return (1 - u) / (1 + u)
	}
	age := v.Now - s.Newest
	if s.Expires != 0 {
		age = min(age, s.Expires-v.Now)
	}
	return (1 - u) / (1 + u) * math.Sqrt(float64(max(age, 1)))
}

// spaceForm is the form of what remains of victims. What is young stays so as
// long as it may change soon, and if writers wait for compaction, all of it is
// written the cheap way. On a tight disk it is written the small way.
func (v *view) spaceForm(victims []*Segment) Form {
	if len(victims) > 0 && victims[0].Form == Values {
		return Values
	}
	if v.Quiet >= settleAfter || v.tight() {
		return Settled
	}
	if v.pressure > 0 {
		return Young
	}
	for _, s := range victims {
		if s.Form != Settled && v.Now-s.Newest <= oldAfter {
			return Young
		}
	}
	return Settled
}

// pack is the rule of the same name. Segments which are about to die whole are
// left alone. Where all expire, more go at a time: the part of a bucket in a job
// of one unit would be too small for a segment of its own.
func pack(v *view) (Reason, Form, []*Segment) {
	logs := v.collect(func(s *Segment) bool { return s.Form == Log }, byAge)
	var backlog int64
	for _, s := range logs {
		backlog += s.Disk
	}
	all := v.Quiet >= packAfter || backlog > packBacklog*v.unit
	logs = slices.DeleteFunc(logs, func(s *Segment) bool {
		return v.dying(s, soon) || !all && v.Now-s.Newest <= oldAfter
	})
	form := Settled
	if v.Quiet < packAfter && backlog > 2*packBacklog*v.unit {
		form = Young
	}
	most := v.unit
	if !slices.ContainsFunc(logs, func(s *Segment) bool { return s.Expires == 0 }) {
		most *= packBacklog
	}
	return Pack, form, v.gather(logs, most)
}

// settle is the rule of the same name.
func settle(v *view) (Reason, Form, []*Segment) {
	return Settle, Settled, v.gather(v.collect(func(s *Segment) bool {
		return s.Form == Young && !v.dying(s, soon) && (v.Quiet >= settleAfter || v.Now-s.Newest > oldAfter)
	}, byAge), v.unit)
}

// merge is the rule of the same name. The smallest go first, so that a record is
// merged only a few times. Those that expire are merged within their bucket.
func merge(v *view) (Reason, Form, []*Segment) {
	small := v.collect(func(s *Segment) bool {
		return s.Form == Settled && s.Disk < v.unit/mergeMin && !v.dying(s, mergeSoon)
	}, func(a, b *Segment) int { return cmp.Compare(a.Expires, b.Expires) })
	for len(small) >= mergeMin {
		_, to := Bucket(small[0].Expires, v.Now)
		n, _ := slices.BinarySearchFunc(small, max(to, 1), expires)
		n = max(n, 1)
		if n >= mergeMin {
			group := small[:n]
			slices.SortFunc(group, func(a, b *Segment) int {
				return cmp.Or(cmp.Compare(a.Disk, b.Disk), byID(a, b))
			})
			if victims := v.gather(group[:min(n, mergeMax)], v.unit); len(victims) >= mergeMin {
				return Merge, Settled, victims
			}
		}
		small = small[n:]
	}
	return Merge, Settled, nil
}

func expires(s *Segment, at int64) int { return cmp.Compare(s.Expires, at) }
