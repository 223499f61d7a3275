package api

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
)

// spool keeps a value whose metadata has not come yet: in memory up to 512 KiB, and
// in a temporary file beyond that. Of a value that is too large, it keeps only how
// large it is.
type spool struct {
	dir   string
	begin func() error // is called before the file is made
	n     int64
	small *[smallBody]byte
	large *[largeBody]byte
	file  *os.File
}

const largeBody = 512 << 10

var largeBuffers = sync.Pool{New: func() any { return new([largeBody]byte) }}

// fill reads r to its end.
func (s *spool) fill(r io.Reader) error {
	s.small = buffers.Get().(*[smallBody]byte)
	if ended, err := s.read(r, s.small[:]); ended || err != nil {
		return err
	}
	s.large = largeBuffers.Get().(*[largeBody]byte)
	copy(s.large[:], s.small[:])
	if ended, err := s.read(r, s.large[:]); ended || err != nil {
		return err
	}
	return s.fillFile(r)
}

// read fills b behind what is there already, and reports whether r has ended.
func (s *spool) read(r io.Reader, b []byte) (ended bool, err error) {
	for s.n < int64(len(b)) {
		n, err := r.Read(b[s.n:])
		s.n += int64(n)
		if err != nil {
			return err == io.EOF, notEOF(err)
		}
	}
	return false, nil
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func (s *spool) fillFile(r io.Reader) error {
	var err error
	if err := s.begin(); err != nil {
		return err
	}
	if s.file, err = os.CreateTemp(s.dir, "firn-value-*"); err != nil {
		return s.explain(err)
	}
	if runtime.GOOS != "windows" {
		_ = os.Remove(s.file.Name()) // so that it does not outlive a crash
	}
	if _, err := s.file.Write(s.large[:]); err != nil {
		return s.explain(err)
	}
	for {
		n, err := r.Read(s.large[:])
		s.n += int64(n)
		if s.n <= maxValue {
			if _, err := s.file.Write(s.large[:n]); err != nil {
				return s.explain(err)
			}
		}
		if err != nil {
			return notEOF(err)
		}
	}
}

// explain says that it was the temporary file that failed.
func (s *spool) explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return errNoSpace
	}
	return &spoolError{err}
}

// spoolError is a failure of the temporary file, not of the body.
type spoolError struct{ err error }

func (e *spoolError) Error() string { return "keep a value until its metadata comes: " + e.err.Error() }

func (e *spoolError) Unwrap() error { return e.err }

// bytes returns what was read, unless it is in the file.
func (s *spool) bytes() []byte {
	if s.large != nil {
		return s.large[:s.n]
	}
	return s.small[:s.n]
}

func (s *spool) close() {
	if s.small != nil {
		buffers.Put(s.small)
	}
	if s.large != nil {
		largeBuffers.Put(s.large)
	}
	if s.file != nil {
		s.file.Close()
		_ = os.Remove(s.file.Name()) // on Windows, where an open file cannot be removed
	}
}
