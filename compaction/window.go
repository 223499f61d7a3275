package compaction

import (
	"errors"
	"io"
)

// windowSize is how many bytes are read at once from a segment that is gone
// through from one end to the other.
const windowSize = 256 << 10

// window reads ahead for a reader that goes through a file by rising offsets. It
// is not safe for concurrent use.
type window struct {
	file io.ReaderAt
	buf  []byte
	off  int64 // of buf in the file
}

func (w *window) ReadAt(p []byte, off int64) (int, error) {
	if off < w.off || off+int64(len(p)) > w.off+int64(len(w.buf)) {
		if cap(w.buf) < max(windowSize, len(p)) {
			w.buf = make([]byte, max(windowSize, len(p)))
		}
		w.buf = w.buf[:cap(w.buf)]
		n, err := w.file.ReadAt(w.buf, off)
		w.buf, w.off = w.buf[:n], off
		if err != nil && !errors.Is(err, io.EOF) {
			w.buf = w.buf[:0]
			return 0, err
		}
	}
	n := copy(p, w.buf[off-w.off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
