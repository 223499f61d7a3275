package server

import (
	"io"
	"net/http"
	"time"
)

// pace cuts off clients that send bodies, or take answers, too slowly. A fixed
// timeout would have to be long enough for the largest value on the slowest
// line, and then anybody could hold a connection for that long with a few bytes.
// Deadlines end with the body and with the request: net/http clears them then.
func pace(next http.Handler, l Limits) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(w)
		in := &pacedBody{ReadCloser: r.Body, conn: conn, credit: newCredit(l, 0)}
		out := &pacedWriter{ResponseWriter: w, conn: conn, credit: newCredit(l, kernelBuffer), body: in}
		if in.ended = r.Body == http.NoBody; !in.ended {
			r.Body = in
		}
		next.ServeHTTP(out, r)
		// For what net/http still does: it sends what is in its buffer.
		_ = conn.SetWriteDeadline(out.deadline())
		in.leave()
	})
}

// credit is for how long a client may make the server wait. Waiting uses it up,
// and bytes that pass earn it back.
type credit struct {
	left, most time.Duration
	perByte    time.Duration
}

// newCredit returns the credit of a client of which buffer bytes may be on their
// way without anybody noticing.
func newCredit(l Limits, buffer int) credit {
	perByte := time.Second / time.Duration(l.BytesPerSecond)
	return credit{left: l.Patience, most: l.Patience + time.Duration(buffer)*perByte, perByte: perByte}
}

func (c *credit) deadline() time.Time { return time.Now().Add(c.left) }

func (c *credit) passed(n int, begun time.Time) {
	c.left = min(c.left-time.Since(begun)+time.Duration(n)*c.perByte, c.most)
}

// pacedBody is a body that has to come in time. Only the time in Read counts: a
// handler that is busy with something else is not the fault of the client.
type pacedBody struct {
	io.ReadCloser
	conn *http.ResponseController
	credit
	ended bool
	left  bool // by the handler, so far
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if b.ended {
		return b.ReadCloser.Read(p)
	}
	b.left = false
	begun := time.Now()
	_ = b.conn.SetReadDeadline(b.deadline())
	n, err := b.ReadCloser.Read(p)
	b.passed(n, begun)
	if err == io.EOF {
		// From here on net/http reads ahead, without a deadline, to notice
		// that a client goes away.
		b.ended = true
	}
	return n, err
}

// leave bounds how long net/http waits for the rest of the body, which it reads
// before it writes the header of an answer, or later.
func (b *pacedBody) leave() {
	if !b.ended && !b.left {
		b.left = true
		_ = b.conn.SetReadDeadline(b.deadline())
	}
}

// kernelBuffer is how much of an answer the kernel takes before the client has
// seen any of it: 4 MiB, the most that Linux gives a connection. It wakes a
// writer only when a third of that has gone out, so that also a client that is
// fast enough makes a writer wait for as long as this takes.
const kernelBuffer = 4 << 20

// pieceBytes is how much is written with one deadline: what a client that is
// fast enough takes in a fraction of Patience.
const pieceBytes = 64 << 10

// pacedWriter is a response that has to be taken in time.
type pacedWriter struct {
	http.ResponseWriter
	conn *http.ResponseController
	credit
	body *pacedBody
}

// Hurry has the client take the rest of the answer faster than others have to: it
// holds what others wait for.
func (w *pacedWriter) Hurry(bytesPerSecond int, patience time.Duration) {
	w.credit = newCredit(Limits{BytesPerSecond: bytesPerSecond, Patience: patience}, kernelBuffer)
}

// Unwrap serves [http.ResponseController].
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *pacedWriter) Write(p []byte) (int, error) {
	w.body.leave()
	written := 0
	for {
		piece := p[written:min(len(p), written+pieceBytes)]
		begun := time.Now()
		_ = w.conn.SetWriteDeadline(w.deadline())
		n, err := w.ResponseWriter.Write(piece)
		w.passed(n, begun)
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}
