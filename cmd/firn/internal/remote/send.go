package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ErrUncertain: the server may have done what was asked, or some of it.
var ErrUncertain = errors.New("the server may have done it, or some of it")

// request is what to send. It may be sent several times.
type request struct {
	method  string
	path    string // escaped, below that of all namespaces
	query   url.Values
	payload payload

	changes bool // it changes something
	once    bool // to do it twice is not the same as once
	settles bool // once begun, it is not called off
	doubt   bool // a try that failed may have taken effect
}

const (
	maxTries   = 5
	firstPause = 100 * time.Millisecond
	// maxPause is the longest that a server can have it wait between two tries.
	maxPause = 30 * time.Second
)

// send sends a request until it is answered, and returns the answer if that is a good
// one. Its body has to be closed.
func (c *Client) send(ctx context.Context, r *request) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, err := c.try(ctx, r)
		if err == nil {
			return resp, nil
		}
		r.payload.release() // before it is judged whether it can be sent again
		pause := firstPause << (try - 1)
		pause += rand.N(pause)
		var answered *Error
		if errors.As(err, &answered) {
			pause = max(pause, answered.retryAfter)
		}
		if try == maxTries || pause > maxPause || !r.again(err) {
			return nil, r.judged(err)
		}
		r.note(err)
		select {
		case <-ctx.Done():
			return nil, r.judged(ctx.Err())
		case <-time.After(pause):
		}
	}
}

// try sends a request once.
func (c *Client) try(ctx context.Context, r *request) (*http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.settles {
		ctx = context.WithoutCancel(ctx)
	}
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	within, callOff := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(within, r.method, address, nil)
	if err != nil {
		callOff(nil)
		return nil, err
	}
	req.Header.Set("User-Agent", "firn")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	sending := newWatch(callOff)
	r.payload.attach(req, sending)
	resp, err := c.http.Do(req)
	sending.end()
	if err != nil {
		defer callOff(nil)
		return nil, c.noAnswer(ctx, within, r, err)
	}
	resp.Body = newAnswerBody(within, callOff, resp.Body)
	if resp.StatusCode/100 != 2 {
		return nil, c.failure(resp)
	}
	return resp, nil
}

// noAnswer says why a try got no answer that ran in the context within, inside of ctx.
func (c *Client) noAnswer(ctx, within context.Context, r *request, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case r.payload.err() != nil:
		return r.payload.err()
	case context.Cause(within) == errStalled:
		return c.unanswered(errStalled)
	}
	return c.unanswered(err)
}

// unansweredError is a request without an answer.
type unansweredError struct {
	server string
	err    error
}

func (e *unansweredError) Error() string {
	return fmt.Sprintf("no answer from %s: %v", e.server, e.err)
}

func (e *unansweredError) Unwrap() error { return e.err }

func (c *Client) unanswered(err error) error {
	// Around the cause there is the URL, in which the key is encoded.
	var about *url.Error
	if errors.As(err, &about) {
		err = about.Err
	}
	return &unansweredError{c.name, err}
}

// unsent reports whether there was no connection to send anything on.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// untrusted reports whether TLS has failed, before anything was sent.
func untrusted(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &record)
}

// again reports whether a request that failed is worth another try.
func (r *request) again(err error) bool {
	var answered *Error
	var silent *unansweredError
	var timeout net.Error
	switch {
	case r.payload.spent():
		return false
	case errors.As(err, &answered):
		return answered.later && !r.once
	case !errors.As(err, &silent), errors.As(err, &timeout) && timeout.Timeout(), untrusted(err):
		return false
	}
	return unsent(err) || !r.once
}

// note remembers whether a request that failed may have taken effect all the same.
func (r *request) note(err error) {
	var answered *Error
	var silent *unansweredError
	switch {
	case !r.changes:
	case errors.As(err, &answered):
		r.doubt = r.doubt || !answered.refused()
	case errors.As(err, &silent):
		r.doubt = r.doubt || !unsent(err) && !untrusted(err)
	}
}

// judged says in the last error of a request whether one of its tries may have taken
// effect.
func (r *request) judged(err error) error {
	if r.note(err); r.doubt {
		return fmt.Errorf("%w; %w", err, ErrUncertain)
	}
	return err
}

// retryAfter returns how long a server wants to be left alone.
func retryAfter(h http.Header) (pause time.Duration, given bool) {
	text := h.Get("Retry-After")
	if s, err := strconv.Atoi(text); err == nil && s >= 0 {
		return time.Duration(min(s, 1<<30)) * time.Second, true
	}
	at, err := http.ParseTime(text)
	return time.Until(at), err == nil
}
