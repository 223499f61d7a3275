package compaction

// guessRatio is the ratio of a store that has no packed segments yet.
const guessRatio = 0.45

// tombstoneSize is about what a tombstone, or a pointer to a large value, takes
// on disk with its entry in the footer, in bytes.
const tombstoneSize = 48

// Limits of [Unit], in bytes.
const (
	minUnit = 4 << 20
	maxUnit = 64 << 20
)

// Unit returns how many bytes a log segment should have when the log rolls, and
// a segment that a rewrite writes: a 48th of the store, which is total bytes on
// disk, so that the segment that takes writes and the outputs of a job are small
// beside the store; at least 4 MiB and at most 64 MiB. With a sixteenth, a store of
// 230 MB takes a tenth more at the same rate of overwrites.
func Unit(total int64) int64 {
	return asUnit(total / 48)
}

func asUnit(n int64) int64 { return min(max(n, minUnit), maxUnit) }

// margin returns how many bytes jobs leave free on disk, other than those that
// remove dead segments: room for what is written while they run.
func margin(total int64) int64 {
	return max(4<<20, total/50)
}

// Reserve returns the number of bytes that puts should leave free on disk in a
// store that takes total bytes. A job that makes room fits into it as long as
// there is any garbage, so a store that refuses puts below it never locks up.
// Deletes may use it.
func Reserve(total int64) int64 {
	return margin(total) + spare(total)
}

// spare is room for the rewrite of any segment that is not much larger than those
// of today: the store may have been three times as large when it was written.
func spare(total int64) int64 {
	return asUnit(total / 16)
}

// view is a state, and what follows from it. All of it but the number of
// segments is in bytes on disk.
type view struct {
	*State
	total int64
	unit  int64
	list  []*Segment // see collect

	// ratio is what a raw byte takes when it is packed. It is a guess unless
	// measured.
	ratio    float64
	measured bool

	// unneeded is the share of tombstones that are not known to be needed which
	// a rewrite may be expected to drop.
	unneeded float64

	packed     int64 // what all live records take when they are packed
	waste      int64 // what rewriting all segments would win that are not left to die
	fixedWaste int64 // the rest: tombstones, and what of Fixed is not live

	pressure float64 // see Pressure
}

func newView(st *State) view {
	v := view{State: st, total: st.Fixed, ratio: guessRatio}
	var disk, puts float64
	for i := range st.Segments {
		s := &st.Segments[i]
		v.total += s.Disk
		if (s.Form == Young || s.Form == Settled) && s.Puts > 0 {
			disk += float64(s.Disk - s.markers())
			puts += float64(s.Puts)
		}
	}
	v.unit = Unit(v.total)
	if puts > 0 {
		v.ratio = max(disk/puts, 0.001)
		v.measured = true
	}
	v.unneeded = v.guessUnneeded()
	for i := range st.Segments {
		s := &st.Segments[i]
		stays := v.stays(s)
		v.waste += s.Disk - stays
		if !v.dead(s) {
			v.packed += v.livePuts(s)
		}
	}
	fixed := min(int64(float64(st.FixedLive)*v.ratio), st.Fixed)
	v.packed += fixed
	v.fixedWaste = v.total - v.packed - v.waste
	v.pressure = v.delay()
	for i := range st.Segments {
		if s := &st.Segments[i]; v.leftToDie(s) {
			v.waste -= s.Disk - v.stays(s)
		}
	}
	return v
}

// guessUnneeded estimates the share of tombstones that hide nothing any more. A
// needed one hides garbage, of some four times its size or more; so there cannot
// be many needed ones if there is little garbage. What this overlooks is at most
// a quarter of the other garbage, and so within bounds. To take all tombstones
// for garbage would be wrong: as long as they are needed, they would be
// rewritten again and again for nothing.
func (v *view) guessUnneeded() float64 {
	var garbage, tombstones float64
	for i := range v.Segments {
		s := &v.Segments[i]
		if s.Form != Values && s.Puts > 0 {
			garbage += float64(s.Disk - s.markers() - v.livePuts(s))
		}
		tombstones += float64(s.Tombstones * tombstoneSize)
	}
	if tombstones == 0 {
		return 0
	}
	return max(1-garbage/(4*tombstones), 0)
}

// dead reports whether nothing in a segment is live. Segments of nothing but
// tombstones and pointers are dead if at least half of them should go.
func (v *view) dead(s *Segment) bool {
	if s.Puts == 0 && s.Tombstones+s.Pointers > 0 {
		return !s.Kept && (v.expired(s) || s.Pointers > 0 || v.unneeded >= 0.5)
	}
	return s.Live <= 0 || v.expired(s)
}

func (v *view) expired(s *Segment) bool {
	return s.Expires != 0 && s.Expires <= v.Now
}

// dying reports whether a segment is about to die whole, within the time given
// in seconds.
func (v *view) dying(s *Segment, within int64) bool {
	return s.Expires != 0 && s.Expires-v.Now <= within
}

// leftToDie reports whether a segment soon gives all its space back by itself, so
// that rewriting it would win little for the copying of what still lives. Soon is
// what a bucket lets a pair keep its space, too; see [Bucket]. Where space is
// urgent, none is left.
func (v *view) leftToDie(s *Segment) bool {
	if s.Expires == 0 || v.expired(s) || v.tight() || v.pressure > 0 {
		return false
	}
	return v.dying(s, max(mergeSoon, (s.Expires-s.Newest)/8))
}

// needed reports whether a segment holds nothing but tombstones and pointers
// which are needed.
func (s *Segment) needed() bool {
	return s.Puts == 0 && s.Tombstones+s.Pointers > 0 && s.Kept
}

// markers returns about what tombstones and pointers take on disk.
func (s *Segment) markers() int64 {
	return min((s.Tombstones+s.Pointers)*tombstoneSize, s.Disk)
}

// liveDisk returns the part of the disk space of puts that is live: what it
// takes when it is rewritten as it is.
func (s *Segment) liveDisk() int64 {
	if s.Live <= 0 || s.Puts <= 0 {
		return 0
	}
	body := s.Disk - s.markers()
	return min(body, int64(float64(body)*float64(s.Live)/float64(s.Puts)))
}

// livePuts estimates what the live puts of a segment take when it is rewritten.
// The ratio of the store counts for a log segment only: a packed one knows its
// own, and data that does not shrink must not look like garbage for ever. Nor is
// a segment ever estimated to grow.
func (v *view) livePuts(s *Segment) int64 {
	if v.expired(s) {
		return 0
	}
	live := s.liveDisk()
	if s.Form == Log {
		live = min(live, int64(float64(s.Live)*v.ratio))
	}
	return live
}

// stays estimates what remains of the segment on disk when it is rewritten.
func (v *view) stays(s *Segment) int64 {
	if s.needed() {
		return s.Disk
	}
	markers := s.markers()
	if !s.Kept && s.Tombstones > 0 {
		markers -= int64(float64(markers) * v.unneeded * float64(s.Tombstones) / float64(s.Tombstones+s.Pointers))
	}
	return v.livePuts(s) + markers
}

// worst is the most that rewriting the segment may take: all tombstones turn
// out to be needed, and the records of a log segment shrink by a fifth less than
// those of others did, or not at all if nothing is known of any. They may well
// take more than before, as the frames of a log hold more records.
func (v *view) worst(s *Segment) int64 {
	live := s.liveDisk()
	if s.Form == Log && !v.expired(s) {
		packed := int64(float64(s.Live) * v.ratio)
		if v.measured {
			live = packed + packed/4
		} else {
			live = max(live, packed)
		}
	}
	return live + s.markers()
}

// room is what the outputs of a job may take on disk.
func (v *view) room() int64 {
	if v.Free < 0 {
		return 1 << 62
	}
	return v.Free - margin(v.total)
}

// tight reports whether the disk is so full that space counts more than the
// work of winning it.
func (v *view) tight() bool {
	return v.slack() < 0.5
}

// slack is 1 if there is at least twice the spare room above the reserve, and
// falls to 0 at the reserve.
func (v *view) slack() float64 {
	if v.Free < 0 {
		return 1
	}
	return min(max(float64(v.Free-Reserve(v.total))/float64(2*spare(v.total)), 0), 1)
}
