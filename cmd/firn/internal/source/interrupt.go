package source

import (
	"context"
	"io"
)

const chunkBytes = 128 << 10

// interruptible is a reader whose Read returns when ctx is done. A read of a
// terminal or a pipe that has begun cannot be called off: then the goroutine
// that is in it stays behind, for as long as the process, and what it reads is
// lost.
type interruptible struct {
	ctx  context.Context
	r    io.Reader
	buf  []byte // belongs to fill while it runs
	rest []byte // of buf, not handed out yet
	err  error
	done chan result
}

type result struct {
	n   int
	err error
}

func (r *interruptible) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && r.err == nil {
		r.fill()
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *interruptible) fill() {
	if r.err = r.ctx.Err(); r.err != nil {
		return
	}
	if r.buf == nil {
		r.buf = make([]byte, chunkBytes)
		r.done = make(chan result, 1)
	}
	go func() {
		n, err := r.r.Read(r.buf)
		r.done <- result{n, err}
	}()
	select {
	case <-r.ctx.Done():
		r.err = r.ctx.Err()
	case got := <-r.done:
		r.rest, r.err = r.buf[:got.n], got.err
	}
}
