package index

// A Location says where a record is: in which segment (by a slot number that the owner gives it), at which offset in
// units of 8 bytes, and which record of the frame there. It is 50 bits long; every value of them is a valid one.
type Location uint64

const (
	slotBits    = 16
	unitBits    = 26
	ordinalBits = 8

	locationBits = slotBits + unitBits + ordinalBits
)

// MakeLocation panics if unit is 2^26 or more.
func MakeLocation(slot uint16, unit uint32, ordinal uint8) Location {
	if unit >= 1<<unitBits {
		panic("index: unit of a location out of range")
	}
	return Location(slot)<<(unitBits+ordinalBits) | Location(unit)<<ordinalBits | Location(ordinal)
}

// Slot returns the number of the segment.
func (l Location) Slot() uint16 { return uint16(l >> (unitBits + ordinalBits)) }

// Unit returns the offset of the frame in the segment, in units of 8 bytes.
func (l Location) Unit() uint32 { return uint32(l>>ordinalBits) & (1<<unitBits - 1) }

// Ordinal returns the position of the record in its frame.
func (l Location) Ordinal() uint8 { return uint8(l) }

// Entry is what the index holds for a key.
type Entry struct {
	Location Location
	// Size is what the pair counts for in the totals, in bytes; at least 0.
	Size int64
	// Expiration is the second of Unix time from which on the pair is expired, 0 if never. Times beyond 2106 are to be
	// given as math.MaxUint32.
	Expiration uint32
}

// check panics for entries that the slots cannot hold: such a one would come back as another.
func (e Entry) check() {
	if e.Location >= 1<<locationBits {
		panic("index: location out of range")
	}
	if e.Size < 0 {
		panic("index: negative size")
	}
}
