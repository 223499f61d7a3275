package remote

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// stallTimeout is how long a server may take no byte of a request, or give none of its
// answer. That is as long as an answer may take to begin.
const stallTimeout = answerTimeout

var errStalled = fmt.Errorf("no byte moved for %v: %w", stallTimeout, os.ErrDeadlineExceeded)

// watch calls something off when the server has had its turn for too long. It is safe
// for concurrent use.
type watch struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

// newWatch returns a watch that calls off with [errStalled]. Nothing is waited for yet.
func newWatch(callOff context.CancelCauseFunc) *watch {
	w := &watch{timer: time.AfterFunc(stallTimeout, func() { callOff(errStalled) })}
	w.timer.Stop()
	return w
}

// wait begins the server's turn.
func (w *watch) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.timer.Reset(stallTimeout)
	}
}

// rest ends the server's turn.
func (w *watch) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// end ends the last turn of the server.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
}

// requestBody is a body that the server has to take in time. How long it takes to read
// does not count.
type requestBody struct {
	r       io.Reader
	sending *watch
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.sending.rest()
	defer b.sending.wait()
	return b.r.Read(p)
}

func (b *requestBody) Close() error { return nil }

// answerBody is a body that the server has to give in time. How long its reader takes
// between two reads does not count.
type answerBody struct {
	io.ReadCloser
	receiving *watch
	ctx       context.Context
	callOff   context.CancelCauseFunc
}

func newAnswerBody(ctx context.Context, callOff context.CancelCauseFunc, body io.ReadCloser) *answerBody {
	return &answerBody{body, newWatch(callOff), ctx, callOff}
}

func (b *answerBody) Read(p []byte) (int, error) {
	b.receiving.wait()
	n, err := b.ReadCloser.Read(p)
	b.receiving.rest()
	if err != nil && err != io.EOF && context.Cause(b.ctx) == errStalled {
		err = errStalled
	}
	return n, err
}

func (b *answerBody) Close() error {
	b.receiving.end()
	err := b.ReadCloser.Close()
	b.callOff(nil)
	return err
}
