package fuse

import (
	"encoding/binary"
	"fmt"
	"math"
)

// headerSize is the size in bytes of what precedes the fingerprints.
const headerSize = 16

// AppendTo appends the encoding of f to dst and returns the extended slice. The encoding stands in the package
// documentation; it is part of the segment format.
func (f *Filter) AppendTo(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, f.seed)
	dst = binary.LittleEndian.AppendUint32(dst, f.shape.starts)
	dst = append(dst, f.shape.log, 0, 0, 0)
	return append(dst, f.fingerprints...)
}

// Decode returns the filter encoded in b, which must hold nothing else. The filter keeps b: the caller must not modify
// it while the filter is in use.
//
// Decode accepts what the package documentation calls an encoding and nothing else, and copies nothing. It cannot tell
// damaged fingerprints from others: the caller verifies a checksum first, or a member may seem absent.
func Decode(b []byte) (*Filter, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("fuse: %d bytes are too short for a filter, the header has %d", len(b), headerSize)
	}
	f := &Filter{
		seed:  binary.LittleEndian.Uint64(b),
		shape: shape{starts: binary.LittleEndian.Uint32(b[8:]), log: b[12]},
	}
	switch {
	case b[13]|b[14]|b[15] != 0:
		return nil, fmt.Errorf("fuse: the reserved bytes %x are not zero", b[13:headerSize])
	case f.shape.starts == 0 && (f.seed != 0 || f.shape.log != 0):
		return nil, fmt.Errorf("fuse: the header %x of an empty filter is not zero", b[:headerSize])
	case f.shape.log > maxLog:
		return nil, fmt.Errorf("fuse: segment length 2^%d, at most 2^%d is possible", f.shape.log, maxLog)
	case f.shape.slots() > math.MaxUint32:
		return nil, fmt.Errorf("fuse: %d fingerprints, at most %d are possible", f.shape.slots(), uint32(math.MaxUint32))
	case f.shape.slots() != uint64(len(b)-headerSize):
		return nil, fmt.Errorf("fuse: %d bytes of fingerprints, the header says %d", len(b)-headerSize, f.shape.slots())
	}
	if f.shape.starts != 0 {
		f.fingerprints = b[headerSize:len(b):len(b)]
	}
	return f, nil
}
