package api

import (
	"context"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/phrase"
	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

// exchange is a request being answered.
type exchange struct {
	h       *handler
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context
	body    body
	grant   Grant // nil: everything is allowed
	binding bool

	start     time.Time
	operation string
	namespace string // id
	lease     *namespaces.Lease
	key       string // of the request
	opts      engine.PutOptions
	status    int // 0: nothing was answered yet
	sent      int64
	left      bool   // it does not count as under way any more, and has no place
	place     places // in which it has one; nil: none
}

func (x *exchange) begin(h *handler, w http.ResponseWriter, r *http.Request) {
	*x = exchange{h: h, w: w, r: r, ctx: r.Context(), operation: "none", start: h.Now()}
	x.body.r, x.body.now = r.Body, h.Now
	x.binding = r.Header[namespaceHeader] != nil
}

// end reports the exchange, also when the handler panics.
func (x *exchange) end() {
	h := x.h
	x.release()
	x.leave()
	if h.Observe != nil {
		e := Event{
			Protocol: x.protocol(), Operation: x.operation, NamespaceID: x.namespace, Status: x.status,
			Duration: h.Now().Sub(x.start), BytesIn: x.body.n, BytesOut: x.sent,
		}
		if e.Status == 0 {
			e.Status = statusPanic
		}
		h.Observe(e)
	}
	*x = exchange{}
	exchanges.Put(x)
}

// leave gives up the request's places among those under way.
func (x *exchange) leave() {
	if x.left {
		return
	}
	x.left = true
	x.h.inFlight.Add(-1)
	x.giveBack()
}

const (
	statusGone  = 499 // the client has gone; nothing was answered
	statusPanic = 500
)

// Header values that need no allocation. net/http does not change them.
var (
	typeBytes  = []string{"application/octet-stream"}
	typeJSON   = []string{"application/json"}
	typeText   = []string{"text/plain; charset=utf-8"}
	retryAfter = []string{"1"}
	bearerOnly = []string{"Bearer"}
	closeValue = []string{"close"}
)

// autoLength is the length of a body from which on net/http does not find out its
// length by itself.
const autoLength = 2048

// reply answers with a body that is in memory.
func (x *exchange) reply(status int, contentType []string, body []byte) {
	h := x.w.Header()
	h["Content-Type"] = contentType
	if len(body) >= autoLength {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	x.head(status)
	x.Write(body)
}

// head writes the header of the response.
func (x *exchange) head(status int) {
	x.status = status
	x.w.WriteHeader(status)
}

// Write writes some of the body of the response.
func (x *exchange) Write(b []byte) (int, error) {
	n, err := x.w.Write(b)
	x.sent += int64(n)
	return n, err
}

// fail answers err.
func (x *exchange) fail(err error) {
	x.release()
	if x.status != 0 {
		// The header has been sent: all that is left is to break the connection,
		// so that the client does not take what it has for the whole.
		x.log(err)
		panic(http.ErrAbortHandler)
	}
	if x.ctx.Err() != nil {
		x.status = statusGone
		panic(http.ErrAbortHandler)
	}
	f := failureOf(err)
	if x.binding && f.code == codeNoNamespace {
		f.status = http.StatusBadRequest // the runtime takes 404 for a key that is not there
	}
	if x.body.err != nil && f.status >= 500 {
		f = failure{status: http.StatusBadRequest, code: codeBad, text: "The request body could not be read to its end."}
	}
	if f.status == http.StatusInternalServerError {
		x.log(err)
	}
	x.leave() // a client that takes its time with what is refused keeps nobody out
	// A stranger's connection is not kept for more of the same.
	if !x.drainRefused(f.status) || f.status == http.StatusUnauthorized {
		x.w.Header()["Connection"] = closeValue
	}
	if f.status == http.StatusUnauthorized {
		x.w.Header()["Www-Authenticate"] = bearerOnly
	}
	if f.allow != "" {
		x.w.Header()["Allow"] = []string{f.allow}
	}
	if x.binding {
		if f.code == codeNoKey {
			f.text = http.StatusText(f.status) // which is cheap
		} else {
			phrase.Set(x.ctx, f.text)
		}
		x.reply(f.status, typeText, []byte(f.text))
		return
	}
	x.reply(f.status, typeJSON, appendFailure(nil, &f))
}

// log says what went wrong, but not with which key, unless that is allowed.
func (x *exchange) log(err error) {
	if x.ctx.Err() != nil {
		return // not the server's fault
	}
	x.h.Log.Error("request failed", "protocol", x.protocol(), "operation", x.operation,
		"namespace", x.namespace, "error", x.h.withoutKeys(err, x.key))
}

func (x *exchange) protocol() string {
	if x.binding {
		return "binding"
	}
	return "rest"
}

// maxBody bounds what is read of any request.
const maxBody = 100_000_000

// What is read of a request of which the sender is not known, or that comes when
// there are too many: enough for the client of any put to get its answer.
const (
	strangerBody     = maxValue + 64<<10
	strangerPatience = 30 * time.Second
)

// drainRefused is drain for a request that is refused with a status.
func (x *exchange) drainRefused(status int) bool {
	if status == http.StatusRequestTimeout {
		return false
	}
	known := x.h.Authorize == nil || x.grant != nil
	if known && status != http.StatusForbidden && status != http.StatusTooManyRequests {
		return x.drain()
	}
	return x.r.ContentLength <= strangerBody && x.drainWithin(strangerBody, strangerPatience)
}

// drain reads what is left of the body of the request. It reports whether it came to
// the end.
func (x *exchange) drain() bool { return x.drainWithin(maxBody, math.MaxInt64) }

// drainWithin is drain of a body up to a length, and for as long as patience lasts.
func (x *exchange) drainWithin(length int64, patience time.Duration) bool {
	if x.body.done || x.r.ContentLength == 0 {
		return true
	}
	if x.body.n == 0 && x.r.Header["Expect"] != nil {
		return false // the client waits for an answer before it sends anything
	}
	buffer := buffers.Get().(*[smallBody]byte)
	defer buffers.Put(buffer)
	for begun := x.h.Now(); x.body.err == nil && !x.body.done && x.body.n < length; {
		x.body.Read(buffer[:min(int64(len(buffer)), length-x.body.n)])
		if x.h.Now().Sub(begun) > patience {
			break
		}
	}
	return x.body.done
}

// body counts what is read of the body of a request, and remembers how it ended.
type body struct {
	r    io.Reader
	n    int64
	done bool  // it came to its end
	err  error // or reading failed

	now   func() time.Time
	since time.Time // it has had to come fast; zero: it has not
	from  int64     // what had been read then
}

// hurry has the rest come fast, as others wait for what the request holds.
func (b *body) hurry() {
	if b.since.IsZero() {
		b.since, b.from = b.now(), b.n
	}
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.read(p)
	if err == nil && !b.since.IsZero() {
		due := hurryGrace + time.Duration(b.n-b.from)*time.Second/hurryPace
		if b.now().Sub(b.since) > due {
			return 0, errSlow
		}
	}
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	switch {
	case err == io.EOF:
		b.done = true
	case err != nil:
		b.err = err
	}
	return n, err
}
