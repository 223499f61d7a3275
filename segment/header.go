package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Version is the format version that this package writes, and the only one it
// reads.
const Version = 1

// HeaderSize is the length of the file header in bytes; the first frame starts
// there.
const HeaderSize = 64

// MaxSize is the length that no segment exceeds: an offset in units of 8 bytes
// has to fit 26 bits of the index.
const MaxSize = 512 << 20

const magic = "FIRNSEG\n"

// Kind tells what a segment is used for.
type Kind uint8

// The kinds of segments.
const (
	Log    Kind = 1
	Packed Kind = 2
	Value  Kind = 3
)

func (k Kind) String() string {
	switch k {
	case Log:
		return "log"
	case Packed:
		return "packed"
	case Value:
		return "value"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Header is what the first 64 bytes of a segment say.
type Header struct {
	Kind    Kind
	StoreID [16]byte
	ID      uint64
	Salt    uint64
}

// Append appends the encoded header to dst.
func (h Header) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint32(dst, Version)
	dst = append(dst, byte(h.Kind), 0, 0, 0)
	dst = append(dst, h.StoreID[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, h.ID)
	dst = binary.LittleEndian.AppendUint64(dst, h.Salt)
	dst = binary.LittleEndian.AppendUint64(dst, 0)
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[start:]))
}

// VersionDamaged tells whether a header of 64 bytes, of a segment or another file
// that has the version and the checksum in the same places, is one of that version in
// which only the bytes of the version are damaged.
func VersionDamaged(b []byte, version uint32) bool {
	was := [HeaderSize]byte(b[:HeaderSize])
	binary.LittleEndian.PutUint32(was[8:], version)
	return xxhash.Sum64(was[:56]) == binary.LittleEndian.Uint64(was[56:])
}

// DecodeHeader decodes a file header. Its errors match [ErrCorrupt], or
// [ErrVersion] if the file is of a format version that this package does not
// know.
func DecodeHeader(b []byte) (Header, error) {
	var h Header
	if len(b) < HeaderSize {
		return h, corrupt(0, "file header cut short")
	}
	b = b[:HeaderSize]
	if string(b[:8]) != magic {
		return h, corrupt(0, "not a segment (wrong magic)")
	}
	// The version is looked at first: the rest may have another shape in it.
	if v := binary.LittleEndian.Uint32(b[8:]); v != Version {
		if VersionDamaged(b, Version) {
			return h, corrupt(8, "file header: checksum mismatch")
		}
		return h, fmt.Errorf("%w: format version %d, this program knows %d", ErrVersion, v, Version)
	}
	if xxhash.Sum64(b[:56]) != binary.LittleEndian.Uint64(b[56:]) {
		return h, corrupt(0, "file header: checksum mismatch")
	}
	h.Kind = Kind(b[12])
	if h.Kind < Log || h.Kind > Value {
		return h, corrupt(0, "file header: unknown kind")
	}
	copy(h.StoreID[:], b[16:])
	h.ID = binary.LittleEndian.Uint64(b[32:])
	h.Salt = binary.LittleEndian.Uint64(b[40:])
	return h, nil
}
