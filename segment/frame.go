package segment

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// MaxRaw is the most bytes that the payload of a frame has before compression:
// one zstd block.
const MaxRaw = 128 << 10

// MaxRecords is the most records that a frame holds: an ordinal is 8 bits in
// the index.
const MaxRecords = 256

const (
	frameHeaderSize    = 16
	extendedHeaderSize = 32
	lengthBits         = 20
	lengthMask         = 1<<lengthBits - 1
	moreFlag           = 1 << 46
	extendedFlag       = 1 << 47
	wordMask           = 1<<48 - 1
	timeMask           = 1<<48 - 1
)

// maxFrameSize is the most bytes a frame takes in the file.
const maxFrameSize = extendedHeaderSize + MaxRaw

// FrameType says what the payload of a frame is.
type FrameType uint8

// The types of frames.
const (
	FrameRecords    FrameType = 1
	FrameChunk      FrameType = 2
	FrameDictionary FrameType = 3
	FrameKeys       FrameType = 4
	FrameMetadata   FrameType = 5
	FrameSparse     FrameType = 6
	FrameFilter     FrameType = 7
	FrameFooter     FrameType = 8
)

// Frame is the header of a frame.
type Frame struct {
	Type     FrameType
	Codec    Codec
	More     bool // the next frame belongs to the same commit
	Extended bool // has the fields below Raw; frames of log segments
	Stored   int  // bytes of the payload in the file
	Raw      int  // bytes of the payload decompressed

	Incarnation uint32
	Durable     int64 // the log was on disk up to this offset
	Time        int64 // of the commit, Unix seconds
	Records     int
}

func (f *Frame) headerSize() int {
	if f.Extended {
		return extendedHeaderSize
	}
	return frameHeaderSize
}

// Size returns the bytes that the frame takes in the file, padding included.
func (f *Frame) Size() int64 {
	return align(int64(f.headerSize() + f.Stored))
}

func align(n int64) int64 { return (n + 7) &^ 7 }

func frameSeed(salt uint64, incarnation uint32, off int64) uint64 {
	return salt ^ (uint64(incarnation)<<32 | uint64(off)/8)
}

func sum(seed uint64, b []byte) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.Write(b)
	return d.Sum64()
}

// headerCheck is taken over the header from the word on, with no check in it.
func headerCheck(seed uint64, b []byte) uint64 {
	return sum(seed+1, b) << 48
}

// AppendFrame appends the frame with the payload as it is stored (what
// [Compressor.Compress] returned) to dst. off is the offset in the file that
// the frame is going to have, a multiple of 8; Stored is taken from payload. It
// panics if no reader would take the frame: if Raw is above [MaxRaw], or payload
// longer than Raw.
func AppendFrame(dst []byte, salt uint64, off int64, f Frame, payload []byte) []byte {
	f.Stored = len(payload)
	if f.Raw > MaxRaw || f.Stored > f.Raw || off%8 != 0 {
		panic("segment: frame outside the limits of the format")
	}
	word := uint64(f.Stored) | uint64(f.Raw)<<lengthBits | uint64(f.Type)<<40 | uint64(f.Codec)<<44
	if f.More {
		word |= moreFlag
	}
	if f.Extended {
		word |= extendedFlag
	}
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, word)
	if f.Extended {
		dst = binary.LittleEndian.AppendUint32(dst, f.Incarnation)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(f.Durable/8))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(f.Time)&timeMask|uint64(f.Records)<<48)
	}
	seed := frameSeed(salt, f.Incarnation, off)
	word |= headerCheck(seed, dst[start+8:])
	binary.LittleEndian.PutUint64(dst[start+8:], word)
	dst = append(dst, payload...)
	binary.LittleEndian.PutUint64(dst[start:], sum(seed, dst[start+8:]))
	for (len(dst)-start)%8 != 0 {
		dst = append(dst, 0)
	}
	return dst
}

// decodeFrameHeader decodes the header at the start of b and tells whether it
// can be one: its fields are in range and, if check is set, its header check is
// right. A header that is accepted is not yet verified.
func decodeFrameHeader(b []byte, salt uint64, off int64, check bool) (f Frame, ok bool) {
	if len(b) < frameHeaderSize {
		return f, false
	}
	word := binary.LittleEndian.Uint64(b[8:])
	f.Stored = int(word & lengthMask)
	f.Raw = int(word >> lengthBits & lengthMask)
	f.Type = FrameType(word >> 40 & 15)
	f.Codec = Codec(word >> 44 & 3)
	f.More = word&moreFlag != 0
	f.Extended = word&extendedFlag != 0
	if f.Type < FrameRecords || f.Type > FrameFooter || f.Raw > MaxRaw || f.Codec > codecZstdDict {
		return f, false
	}
	if f.Codec == codecRaw && f.Stored != f.Raw || f.Codec != codecRaw && (f.Stored >= f.Raw || f.Stored == 0) {
		return f, false
	}
	n := f.headerSize()
	if len(b) < n {
		return f, false
	}
	if f.Extended {
		f.Incarnation = binary.LittleEndian.Uint32(b[16:])
		f.Durable = int64(binary.LittleEndian.Uint32(b[20:])) * 8
		last := binary.LittleEndian.Uint64(b[24:])
		f.Time = int64(last & timeMask)
		f.Records = int(last >> 48)
		if f.Incarnation == 0 {
			return f, false
		}
	}
	if check {
		var plain [extendedHeaderSize - 8]byte
		copy(plain[:], b[8:n])
		binary.LittleEndian.PutUint64(plain[:], word&wordMask)
		seed := frameSeed(salt, f.Incarnation, off)
		if headerCheck(seed, plain[:n-8]) != word&^uint64(wordMask) {
			return f, false
		}
	}
	return f, true
}

// verify tells whether b, which starts with the frame f, has the right
// checksum. b has to hold the whole payload.
func (f *Frame) verify(b []byte, salt uint64, off int64) bool {
	seed := frameSeed(salt, f.Incarnation, off)
	return sum(seed, b[8:f.headerSize()+f.Stored]) == binary.LittleEndian.Uint64(b)
}
