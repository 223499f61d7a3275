package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
)

// Source is an open input. It is not safe for concurrent use, but for Done.
type Source struct {
	name  string
	in    *bufio.Reader
	file  *os.File // nil for standard input
	spool *os.File // nil until Spool
	size  int64
	done  atomic.Int64
}

// Open opens the file at path, or stdin if path is "-". Reads fail with the
// context's error once ctx is done.
func Open(ctx context.Context, path string, stdin io.Reader) (*Source, error) {
	if path == "-" {
		return newSource(ctx, "standard input", stdin), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, explain(err)
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("it is a directory")}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	s := newSource(ctx, path, file)
	s.file = file
	if info.Mode().IsRegular() {
		s.size = info.Size()
	}
	return s, nil
}

func explain(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf(`%w ("-" stands for standard input)`, err)
	}
	return err
}

func newSource(ctx context.Context, name string, r io.Reader) *Source {
	s := &Source{name: name}
	counted := counter{&interruptible{ctx: ctx, r: r}, &s.done}
	s.in = bufio.NewReaderSize(counted, chunkBytes)
	return s
}

// Name is the path, or "standard input".
func (s *Source) Name() string { return s.name }

// Size is the length of the input in bytes, 0 if that is not known.
func (s *Source) Size() int64 { return s.size }

// Done is the number of bytes that were taken from the input. It may be
// called while another goroutine reads.
func (s *Source) Done() int64 { return s.done.Load() }

// Read implements [io.Reader].
func (s *Source) Read(p []byte) (int, error) { return s.in.Read(p) }

// Live reports whether another program may be writing the input right now, as
// is so for a pipe and not for a file.
func (s *Source) Live() bool { return s.size == 0 && s.spool == nil }

// Wait returns when the first byte of the input, or its end, is there.
func (s *Source) Wait() error {
	if _, err := s.in.Peek(1); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// Spool takes in the input to its end, but at most limit bytes if limit is
// positive, and keeps it in a temporary file, from which it is read further
// on.
func (s *Source) Spool(limit int64) error {
	file, err := os.CreateTemp("", "firn-input-")
	if err != nil {
		return err
	}
	s.spool = file
	in := io.Reader(s.in)
	if limit > 0 {
		in = io.LimitReader(in, limit)
	}
	if _, err := io.Copy(file, in); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.in = bufio.NewReaderSize(file, chunkBytes)
	return nil
}

// Close closes the input, and removes what Spool made.
func (s *Source) Close() error {
	if s.spool != nil {
		s.spool.Close()
		os.Remove(s.spool.Name())
	}
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
