package compaction

// Form is how a segment holds its records.
type Form uint8

// The forms of segments. A log segment is in the order of writing, with frames
// of many records; it was cheap to write and is slow to read at random. A young
// segment is packed: sorted by key, with frames of several records and a
// dictionary that it takes over where one is at hand, not much dearer to write and
// smaller. A settled one is packed with one record a frame and a dictionary
// trained for it: dear to write, and fast to read at random. A value segment holds
// large values.
const (
	Log Form = iota
	Young
	Settled
	Values
)

func (f Form) String() string { return [...]string{"log", "young", "settled", "values"}[f] }

// Segment is what the policy knows about a segment that may be rewritten: one
// that takes no more frames and has a footer, or a value segment that takes no
// more values.
type Segment struct {
	ID   uint64
	Form Form

	Disk int64 // bytes that the file takes on disk

	// Puts are all versions whose value is in the segment, Live those that
	// are neither replaced nor expired; in bytes of key, metadata and value.
	Puts, Live int64

	// Tombstones is the number of records of deletes, Pointers that of puts
	// whose value is in a value segment, live or not.
	//
	// Kept is set when a rewrite has found that all of them are needed, and
	// cleared when that may have changed: when a segment with puts that are
	// older than a record here has gone, or a value segment that a record
	// here points into. Without that rule a segment of nothing but needed
	// tombstones would be rewritten for ever.
	Tombstones, Pointers int64
	Kept                 bool

	// Expires is the second in which the last of the puts, pointers included,
	// expires, 0 if one of them never does.
	Expires int64

	// Newest is the time of the newest commit in it, Unix seconds.
	Newest int64
}

// State is what the policy decides upon.
type State struct {
	Now      int64 // Unix seconds
	Segments []Segment

	// Fixed are bytes on disk of what cannot be rewritten now: the log
	// segments that take frames or have no footer yet, value segments that
	// take values, the manifest, a checkpoint; not the ballast. FixedLive is
	// how many bytes of key, metadata and value of Fixed are live.
	Fixed, FixedLive int64

	Free int64 // bytes of disk that are available; negative: not known

	// Quiet is for how many seconds nothing has been written.
	Quiet float64

	// Target is the disk use that compaction keeps to, as a multiple of what
	// the live records take when they are packed; above 1.
	Target float64
}

// Reason says why a job is done.
type Reason string

// The reasons, the most urgent first.
const (
	Dead   Reason = "dead"   // nothing in the segments is live
	Space  Reason = "space"  // garbage takes more than it may
	Pack   Reason = "pack"   // log segments are slow to read at random
	Settle Reason = "settle" // so are young ones, if less so
	Merge  Reason = "merge"  // many small segments are slow to list
	Full   Reason = "full"   // somebody asked for it
)

// Job is a rewrite: what is needed of the victims goes to new segments of the
// form, and the victims go.
type Job struct {
	Reason  Reason
	Victims []uint64 // ascending
	Form    Form     // Young, Settled, or Values if all victims are value segments
}
