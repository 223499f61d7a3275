package compaction

// Bounds of garbage, as multiples of Target-1 of the packed bytes. Cleaning late
// is cheap, as more of a segment has turned into garbage by then; so compaction
// starts only at busyStart while writes go on, and uses quiet times to clean to
// quietStart. Disk use at a target of 1.3 is then at most 1.47 under writes and
// 1.21 at rest; writers are delayed from 1.53 on, and the most at 1.66. With the
// outputs of a job and what is written meanwhile, it stays below 1.8. Where the
// delay grows over a shorter way, it swings more, and more puts wait for long.
const (
	quietStart = 0.7
	busyStart  = 1.55
	slowStart  = 1.75
	slowEnd    = 2.2
)

// smallStore is how many packed bytes a store is taken to have on top when
// writers are delayed, so that a store of a few segments, where each is a large
// part of the whole, is not: none is below some 16 MiB of garbage at a target of
// 1.3.
const smallStore = 32 << 20

// Pressure says how much writers are to be delayed, from 0 to 1, so that
// compaction keeps up. It rises smoothly with the garbage.
//
// Only garbage that takes work to win back counts. Dead segments do not, nor what
// log segments may shrink by when they are packed, before it is known by how much
// the data of the store does. What no job can win back, such as that of
// State.Fixed, counts for at most half of what is allowed: delaying writers does
// nothing about it. So whenever the pressure is above 0, Pick finds something to
// do, if there is room for it and Target is at least 1.1.
func Pressure(st *State) float64 {
	return newView(st).pressure
}

func (v *view) delay() float64 {
	var waste int64
	for i := range v.Segments {
		s := &v.Segments[i]
		if v.dead(s) {
			continue
		}
		waste += s.Disk - v.stays(s)
		if s.Form == Log && !v.measured {
			waste -= s.liveDisk() - v.livePuts(s)
		}
	}
	small := smallStore * (v.Target - 1)
	from := v.allowed(slowStart) + small*slowStart
	to := from + (float64(v.packed)*(v.Target-1)+small)*(slowEnd-slowStart)
	x := min(max((float64(waste)-from)/(to-from), 0), 1)
	return x * x * (3 - 2*x)
}

// allowed is how much waste there may be at a bound, beside that which no job can
// win back.
func (v *view) allowed(start float64) float64 {
	a := float64(v.packed) * (v.Target - 1) * start
	return a - min(float64(v.fixedWaste), a/2)
}
