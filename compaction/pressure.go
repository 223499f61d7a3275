package compaction

// Bounds of garbage, as multiples of Target-1 of the packed bytes. Cleaning late
// is cheap, as more of a segment has turned into garbage by then; so compaction
// starts only at busyStart while writes go on, and uses quiet times to clean to
// quietStart. Disk use at a target of 1.3 is then at most 1.45 under writes and
// 1.21 at rest; writers are delayed from 1.51 on, and the most at 1.75.
const (
	quietStart = 0.7
	busyStart  = 1.5
	slowStart  = 1.7
	slowEnd    = 2.3
)

// smallStore is added to the packed bytes when writers are delayed, so that a
// store of a few segments, where each is a large part of the whole, is not: none
// is below some 16 MiB of garbage at a target of 1.3.
const smallStore = 32 << 20

// Pressure says how much writers are to be delayed, from 0 to 1, so that
// compaction keeps up. It rises smoothly with the garbage.
//
// Garbage that no job can win back, that of State.Fixed, counts for at most half
// of what is allowed: delaying writers does nothing about it. So whenever the
// pressure is above 0, Pick finds something to do, if there is room for it.
func Pressure(st *State) float64 {
	return newView(st).pressure
}

func (v *view) delay() float64 {
	base := float64(v.packed) + smallStore
	from := v.allowed(base, slowStart)
	to := from + base*(v.Target-1)*(slowEnd-slowStart)
	x := min(max((float64(v.waste)-from)/(to-from), 0), 1)
	return x * x * (3 - 2*x)
}

// allowed is how much waste there may be when the live records take base bytes,
// and what is fixed wastes some already.
func (v *view) allowed(base, start float64) float64 {
	a := base * (v.Target - 1) * start
	return a - min(float64(v.fixedWaste), a/2)
}
