package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// scanWindow is how many bytes a scan reads at a time.
const scanWindow = 512 << 10

// Scanner reads the frames of a segment one after the other. It is not safe for
// concurrent use.
//
// A scan ends where it reaches its limit, the end of the file, or a place that
// holds no valid frame; a frame of an older incarnation than one before it is
// stale, and none. [Scanner.Err] tells these apart; [Scanner.Search] goes
// on behind a place that holds none.
type Scanner struct {
	r      *Reader
	limit  int64
	next   int64 // offset of the frame to look at
	window []byte
	start  int64 // offset of window[0]
	reads  int   // windows read so far
	buf    Buffer
	frame  Frame
	offset int64
	valid  int    // reads when the current frame was verified
	oldest uint32 // incarnation below which a frame is stale
	err    error
}

// Scan returns a scanner over the frames that start at from, a multiple of 8,
// and end at or before limit.
func (r *Reader) Scan(from, limit int64) *Scanner {
	return &Scanner{r: r, limit: limit, next: from, start: from}
}

// Next goes to the next frame and verifies it.
func (s *Scanner) Next() bool {
	if s.err != nil {
		return false
	}
	b, ok := s.at(s.next, extendedHeaderSize)
	if !ok || len(b) < frameHeaderSize || isZero(b[:frameHeaderSize]) {
		return false
	}
	if !s.accept(s.next, false) {
		if s.err == nil {
			s.err = corrupt(s.next, "no valid frame")
		}
		return false
	}
	return true
}

// accept verifies the frame at off and makes it the current one.
func (s *Scanner) accept(off int64, check bool) bool {
	b, ok := s.at(off, extendedHeaderSize)
	if !ok {
		return false
	}
	f, ok := decodeFrameHeader(b, s.r.header.Salt, off, check)
	if !ok || off+f.Size() > s.limit {
		return false
	}
	total := f.headerSize() + f.Stored
	if f.Extended && f.Incarnation < s.oldest {
		return false
	}
	b, ok = s.at(off, total)
	if !ok || len(b) < total || !f.verify(b, s.r.header.Salt, off) {
		return false
	}
	s.frame, s.offset, s.next = f, off, off+f.Size()
	s.valid, s.oldest = s.reads, max(s.oldest, f.Incarnation)
	return true
}

// at returns the bytes at off: n of them, or fewer at the limit or the end of
// the file.
func (s *Scanner) at(off int64, n int) ([]byte, bool) {
	if off < s.start || off+int64(n) > s.start+int64(len(s.window)) {
		size := min(int64(max(scanWindow, n)), s.limit-off)
		if size <= 0 {
			return nil, true
		}
		if int64(cap(s.window)) < size {
			s.window = make([]byte, size)
		}
		s.window = s.window[:size]
		s.reads++
		m, err := s.r.file.ReadAt(s.window, off)
		if err != nil && !errors.Is(err, io.EOF) {
			s.err = fmt.Errorf("read at %d: %w", off, err)
			s.window = s.window[:0]
			return nil, false
		}
		s.window, s.start = s.window[:m], off
	}
	b := s.window[off-s.start:]
	return b[:min(n, len(b))], true
}

// Frame returns the current frame.
func (s *Scanner) Frame() *Frame { return &s.frame }

// Offset returns where the current frame starts.
func (s *Scanner) Offset() int64 { return s.offset }

// End returns where the current frame ends, padding included; before the first
// frame, where the scan began.
func (s *Scanner) End() int64 { return s.next }

// Payload returns the payload of the current frame, decompressed. It is valid
// until the scanner is used again.
func (s *Scanner) Payload() ([]byte, error) {
	total := s.frame.headerSize() + s.frame.Stored
	b, ok := s.at(s.offset, total)
	if !ok {
		return nil, s.err
	}
	if len(b) < total || s.valid != s.reads && !s.frame.verify(b, s.r.header.Salt, s.offset) {
		return nil, corrupt(s.offset, "no valid frame")
	}
	// Decompressing overwrites the header, and the window may be asked for this
	// frame again.
	b = append(s.buf.grow(0), b...)
	s.buf.file = b
	return s.r.payload(&s.frame, b, &s.buf, s.offset)
}

// Err returns nil if the scan ended at its limit, at the end of the file or at
// zeros (preallocated space); an error that matches [ErrCorrupt] if it ended at
// bytes that are no valid frame; otherwise the error of the read that failed.
func (s *Scanner) Err() error { return s.err }

// Search goes to the first valid frame that starts at or after from, whatever
// lies before it. It reads every byte up to there once: the header check keeps
// it from verifying at more than one in 65,536 wrong places. ok is false if
// there is none, or if reading fails ([Scanner.Err]).
func (s *Scanner) Search(from int64) (ok bool) {
	s.err = nil
	if from < s.next {
		s.oldest = 0
	}
	for off := align(from); off < s.limit; off += 8 {
		b, ok := s.at(off, extendedHeaderSize)
		if !ok {
			return false
		}
		if len(b) < frameHeaderSize {
			return false
		}
		if binary.LittleEndian.Uint64(b[8:]) == 0 {
			continue
		}
		if s.accept(off, true) {
			return true
		}
		if s.err != nil {
			return false
		}
	}
	return false
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
