package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

// Error is an answer that is not the one that was hoped for. It matches the errors of
// packages engine and namespaces that mean the same.
type Error struct {
	Status  int
	Code    int    // in the envelope; 0: there is none
	Message string // of the server

	server     string
	hint       string // what the user can do
	later      bool   // it may be tried again, after retryAfter
	retryAfter time.Duration
}

func (e *Error) Error() string {
	text := e.server + ": "
	if meaning := e.Unwrap(); meaning != nil && !strings.Contains(e.Message, meaning.Error()) {
		text += meaning.Error() + ": "
	}
	text += fmt.Sprintf("%s (%d", e.Message, e.Status)
	if e.Code != 0 {
		text += fmt.Sprintf(", code %d", e.Code)
	}
	return text + ")" + e.hint
}

// meanings are the errors that messages of Workers KV, and codes, stand for.
var meanings = []struct {
	code int
	text string
	err  error
}{
	{10009, "", engine.ErrNotFound},
	{10013, "", namespaces.ErrNotExist},
	{10014, "", namespaces.ErrTitleInUse},
	{0, "greater than the current number of seconds", engine.ErrExpirationPast},
	{0, "Expiration times must be at least", engine.ErrExpirationTooSoon},
}

// Unwrap returns what the answer means, if that is known.
func (e *Error) Unwrap() error {
	for _, m := range meanings {
		if m.code != 0 && m.code == e.Code || m.text != "" && strings.Contains(e.Message, m.text) {
			return m.err
		}
	}
	return nil
}

// refused reports whether the server has done nothing for certain. A store that takes no
// writes any more since one has failed answers that one, too, with 503.
func (e *Error) refused() bool {
	switch e.Status {
	case http.StatusServiceUnavailable:
		return e.later
	case http.StatusInsufficientStorage:
		return true
	}
	return e.Status < 500
}

// envelope is what answers come in.
type envelope[T any] struct {
	Success bool     `json:"success"`
	Errors  []reason `json:"errors"`
	Result  T        `json:"result"`
	Info    struct {
		Cursor string `json:"cursor"`
		Total  int    `json:"total_count"`
	} `json:"result_info"`
}

// reason is why a request was refused.
type reason struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

const (
	// maxAnswer bounds what is read of an answer in an envelope: a bulk read of
	// 25 MiB, every byte of which takes six in JSON, and what is around it.
	maxAnswer = 200 << 20
	// maxRefusal bounds what is read of an answer that is none.
	maxRefusal = 64 << 10
)

// result sends a request, and decodes the envelope of the answer.
func result[T any](ctx context.Context, c *Client, r *request) (*envelope[T], error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var e envelope[T]
	err = json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&e)
	switch {
	case ctx.Err() != nil && err != nil && !r.settles:
		return nil, ctx.Err()
	case err != nil:
		return nil, r.judged(c.unanswered(brokenOff(err)))
	case !e.Success:
		return nil, r.judged(c.newError(resp, e.Errors))
	}
	return &e, nil
}

// brokenOff says why an answer could not be read.
func brokenOff(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the answer breaks off")
	}
	return fmt.Errorf("the answer cannot be read: %w", err)
}

// failure reads an answer that is not a good one.
func (c *Client) failure(resp *http.Response) error {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	var e envelope[json.RawMessage]
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err == nil {
		return c.newError(resp, e.Errors)
	}
	line, _, _ := strings.Cut(string(body), "\n")
	if line == "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		return c.newError(resp, nil)
	}
	return c.newError(resp, []reason{{Message: line}})
}

// newError returns what an answer with the errors of its envelope says.
func (c *Client) newError(resp *http.Response, reasons []reason) *Error {
	e := &Error{Status: resp.StatusCode, server: c.name, Message: http.StatusText(resp.StatusCode)}
	if len(reasons) > 0 {
		e.Code, e.Message = reasons[0].Code, reasons[0].Message
	}
	switch {
	case e.Status/100 == 3:
		e.hint = "; it redirects to " + resp.Header.Get("Location") + ", where nothing is sent"
	case e.Status == http.StatusUnauthorized && c.token == "":
		e.hint = "; it wants a token: --token-file names a file with one, or FIRN_TOKEN is one"
	case e.Status == http.StatusUnauthorized:
		e.hint = "; it does not let the token in"
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusServiceUnavailable:
		e.retryAfter, e.later = retryAfter(resp.Header)
	}
	return e
}
