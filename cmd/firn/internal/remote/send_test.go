package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firnkv/firn/engine"
)

// script answers one request after the other. It reads the bodies of those that it
// answers.
type script struct {
	t       *testing.T
	answers []func(r *http.Request) (*http.Response, error)
	bodies  []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if len(s.answers) == 0 {
		s.t.Error("one request too many")
		return nil, errors.New("no answer")
	}
	next := s.answers[0]
	s.answers = s.answers[1:]
	return next(r)
}

// noConnection is the failure to get one. The body is left alone.
func noConnection(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
}

func (s *script) read(r *http.Request) {
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		s.bodies = append(s.bodies, string(b))
	}
}

// broken is a connection that breaks before the answer.
func (s *script) broken(r *http.Request) (*http.Response, error) {
	s.read(r)
	return nil, &net.OpError{Op: "read", Err: syscall.ECONNRESET}
}

// says answers with a status, and headers in pairs.
func (s *script) says(status int, headers ...string) func(*http.Request) (*http.Response, error) {
	if status == 200 {
		return s.answersWith(200, `{"success":true,"result":{"id":"1"}}`, headers...)
	}
	return s.answersWith(status, unsuccessful, headers...)
}

const unsuccessful = `{"success":false,"errors":[{"code":1,"message":"not now"}]}`

func (s *script) answersWith(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		s.read(r)
		return response(r, status, body, headers...), nil
	}
}

func response(r *http.Request, status int, body string, headers ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Request: r}
	for i := 0; i < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp
}

func TestRetries(t *testing.T) {
	s := &script{}
	busy, later := s.says(429, "Retry-After", "0"), s.says(503, "Retry-After", "7")
	type answers = []func(*http.Request) (*http.Response, error)
	for name, test := range map[string]struct {
		answers answers
		do      func(context.Context, *Namespace) error
		want    string // in the error; empty: none
		certain bool   // that nothing was done
		slowest time.Duration
		atLeast time.Duration
	}{
		"busy":                  {answers{busy, busy, s.says(200)}, put, "", true, 2 * time.Second, 0},
		"later":                 {answers{later, later, s.says(200)}, put, "", true, 15 * time.Second, 14 * time.Second},
		"a date":                {answers{s.says(503, "Retry-After", "Sat, 01 Jan 2000 00:00:09 GMT"), s.says(200)}, put, "", true, 10 * time.Second, 9 * time.Second},
		"always busy":           {answers{busy, busy, busy, busy, busy}, put, "not now (429, code 1)", true, 4 * time.Second, 0},
		"much later":            {answers{s.says(503, "Retry-After", "3600")}, put, "not now", true, 0, 0},
		"not said when":         {answers{s.says(503)}, put, "not now", false, 0, 0},
		"no space":              {answers{s.says(507)}, put, "not now", true, 0, 0},
		"a proxy's failure":     {answers{s.says(502)}, put, "not now", false, 0, 0},
		"a failure":             {answers{s.says(500)}, put, "not now", false, 0, 0},
		"refused":               {answers{s.says(400, "Retry-After", "1")}, put, "not now", true, 0, 0},
		"no connection":         {answers{noConnection, noConnection, s.says(200)}, put, "", true, 2 * time.Second, 0},
		"never a connection":    {answers{noConnection, noConnection, noConnection, noConnection, noConnection}, put, "no answer from http://kv", true, 4 * time.Second, 0},
		"broken":                {answers{s.broken, s.says(200)}, put, "", true, time.Second, 0},
		"always broken":         {answers{s.broken, s.broken, s.broken, s.broken, s.broken}, put, "no answer", false, 4 * time.Second, 0},
		"broken, refused":       {answers{s.broken, s.says(400)}, put, "not now", false, time.Second, 0},
		"unsuccessful":          {answers{s.answersWith(200, unsuccessful)}, put, "not now", true, 0, 0},
		"broken, unsuccessful":  {answers{s.broken, s.answersWith(200, unsuccessful)}, put, "not now", false, time.Second, 0},
		"broken read":           {answers{s.broken, s.broken, s.broken, s.broken, s.broken}, get, "no answer", true, 4 * time.Second, 0},
		"stream":                {answers{s.says(200)}, stream, "", true, 0, 0},
		"stream, no connection": {answers{noConnection, s.says(200)}, stream, "", true, time.Second, 0},
		"stream, busy":          {answers{busy}, stream, "not now", true, 0, 0},
		"stream, broken":        {answers{s.broken}, stream, "no answer", false, 0, 0},
		"bulk":                  {answers{s.broken, later, s.says(200)}, bulk, "", true, 8 * time.Second, 7 * time.Second},
		"create, broken":        {answers{s.broken}, create, "no answer", false, 0, 0},
		"create, busy":          {answers{busy}, create, "not now", true, 0, 0},
		"create, no connection": {answers{noConnection, s.says(200)}, create, "", true, time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				*s = script{t: t, answers: test.answers}
				n := &Namespace{c: newClient(t, "http://kv", s), name: "films", id: someID}
				begun := time.Now()
				err := test.do(t.Context(), n)
				took := time.Since(begun)
				switch {
				case err == nil != (test.want == ""), err != nil && !strings.Contains(err.Error(), test.want):
					t.Errorf("got %v, want %q", err, test.want)
				case errors.Is(err, ErrUncertain) == test.certain:
					t.Errorf("certain: %v", err)
				}
				if took < test.atLeast || took > test.slowest {
					t.Errorf("it took %v", took)
				}
				if left := len(s.answers); left != 0 {
					t.Errorf("%d requests too few", left)
				}
				for _, body := range s.bodies {
					if body != s.bodies[0] {
						t.Errorf("sent %q", s.bodies)
					}
				}
			})
		})
	}
}

func put(ctx context.Context, n *Namespace) error {
	return n.Put(ctx, "k", []byte("value"), &engine.PutOptions{Metadata: nil})
}

func stream(ctx context.Context, n *Namespace) error {
	return n.PutFrom(ctx, "k", strings.NewReader("value"), -1, &engine.PutOptions{})
}

func get(ctx context.Context, n *Namespace) error {
	_, err := n.OpenValue(ctx, "k")
	return err
}

func bulk(ctx context.Context, n *Namespace) error {
	b := n.NewBatch()
	b.Put("k", []byte("value"), &engine.PutOptions{})
	return b.Write(ctx)
}

func create(ctx context.Context, n *Namespace) error {
	_, err := n.c.Create(ctx, "films")
	return err
}

// TestInterruptedPause ends a pause before its time.
func TestInterruptedPause(t *testing.T) {
	for name, do := range map[string]func(context.Context, *Namespace) error{"put": put, "bulk": bulk} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{t: t}
				s.answers = append(s.answers, s.broken, s.says(503, "Retry-After", "20"))
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				begun := time.Now()
				err := do(ctx, &Namespace{c: newClient(t, "http://kv", s), id: someID})
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrUncertain) || time.Since(begun) != 3*time.Second {
					t.Errorf("%v after %v", err, time.Since(begun))
				}
			})
		})
	}
}

// TestSettles interrupts a put and a bulk write that are under way: only the latter is
// not called off.
func TestSettles(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(context.Context, *Namespace) error
		want error
	}{"put": {put, context.Canceled}, "bulk": {bulk, nil}} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &script{t: t}
		s.answers = append(s.answers, func(r *http.Request) (*http.Response, error) {
			cancel()
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			return s.says(200)(r)
		})
		err := test.do(ctx, &Namespace{c: newClient(t, "http://kv", s), id: someID})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBodyThatFails has the value break off: the server must not take what there was
// for the whole.
func TestBodyThatFails(t *testing.T) {
	failed := errors.New("the disk is gone")
	for _, metadata := range []string{"", "1"} {
		for _, size := range []int64{-1, 3 << 20} {
			came := make(chan error, 1)
			n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, _ string) {
				_, err := io.Copy(io.Discard, r.Body)
				came <- err
			})
			value := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), failing{failed})
			opts := &engine.PutOptions{}
			if metadata != "" {
				opts.Metadata = []byte(metadata)
			}
			if err := n.PutFrom(t.Context(), "k", value, size, opts); !errors.Is(err, failed) || err.Error() != failed.Error() {
				t.Errorf("got %v", err)
			}
			if err := <-came; err == nil {
				t.Error("the server takes the body for a whole one")
			}
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestStreamOfEarlierTry has a transport come to read a stream only when the try is over
// that it was for.
func TestStreamOfEarlierTry(t *testing.T) {
	for _, metadata := range []string{"", "1"} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{t: t}
			var late io.Reader
			s.answers = append(s.answers, func(r *http.Request) (*http.Response, error) {
				late = r.Body
				return response(r, 503, unsuccessful, "Retry-After", "1"), nil
			}, func(r *http.Request) (*http.Response, error) {
				if b, err := io.ReadAll(late); err == nil || strings.Contains(string(b), "value\n") {
					t.Errorf("the earlier try has read %q, %v", b, err)
				}
				return s.says(200)(r)
			})
			n := &Namespace{c: newClient(t, "http://kv", s), id: someID}
			opts := &engine.PutOptions{}
			if metadata != "" {
				opts.Metadata = []byte(metadata)
			}
			if err := n.PutFrom(t.Context(), "k", strings.NewReader("value\n"), -1, opts); err != nil {
				t.Error(err)
			}
			if len(s.bodies) != 1 || !strings.Contains(s.bodies[0], "value\n") {
				t.Errorf("sent %q", s.bodies)
			}
		})
	}
}

// TestStalled has the other side stop in the middle of a request, and of an answer.
func TestStalled(t *testing.T) {
	half := make([]byte, 2)
	for name, test := range map[string]struct {
		do     func(context.Context, *Namespace) error
		answer func(*http.Request) (*http.Response, error)
	}{
		"request": {put, func(r *http.Request) (*http.Response, error) {
			io.ReadFull(r.Body, half)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}},
		"stream": {stream, func(r *http.Request) (*http.Response, error) {
			io.ReadFull(r.Body, half)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}},
		"bulk": {bulk, func(r *http.Request) (*http.Response, error) {
			io.ReadFull(r.Body, half)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}},
		"answer": {put, func(r *http.Request) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			resp := response(r, 200, "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"success":`), untilDone{r.Context()}))
			return resp, nil
		}},
		"value": {readAll, func(r *http.Request) (*http.Response, error) {
			resp := response(r, 200, "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("a part"), untilDone{r.Context()}))
			return resp, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{t: t, answers: []func(*http.Request) (*http.Response, error){test.answer}}
				begun := time.Now()
				err := test.do(t.Context(), &Namespace{c: newClient(t, "http://kv", s), id: someID})
				if err == nil || !strings.Contains(err.Error(), "no byte moved for 2m0s") || errors.Is(err, ErrUncertain) != (name != "value") {
					t.Errorf("got %v", err)
				}
				if took := time.Since(begun); took != 2*time.Minute {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// untilDone gives nothing until a request is called off.
type untilDone struct{ ctx context.Context }

func (u untilDone) Read([]byte) (int, error) {
	<-u.ctx.Done()
	return 0, u.ctx.Err()
}

func readAll(ctx context.Context, n *Namespace) error {
	r, err := n.OpenValue(ctx, "k")
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

// TestSlowSides has the input of a put come slowly, and the reader of a value be slow:
// neither is the server's fault.
func TestSlowSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t}
		s.answers = append(s.answers, s.says(200), s.says(200))
		n := &Namespace{c: newClient(t, "http://kv", s), id: someID}
		if err := n.PutFrom(t.Context(), "k", &rarely{strings.NewReader("value")}, -1, &engine.PutOptions{}); err != nil {
			t.Error(err)
		}
		value, err := n.OpenValue(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		defer value.Close()
		time.Sleep(time.Hour) // of the bubble
		if _, err := io.Copy(io.Discard, value); err != nil {
			t.Error(err)
		}
	})
}

// rarely gives something once an hour.
type rarely struct{ r io.Reader }

func (r *rarely) Read(p []byte) (int, error) {
	time.Sleep(time.Hour) // of the bubble
	return r.r.Read(p)
}

// TestCertificate asks a server whose certificate nobody vouches for.
func TestCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	transport := newTransport(new(url.URL), nil)
	t.Cleanup(transport.CloseIdleConnections)
	c := newClient(t, s.URL, transport)
	_, err := c.Create(t.Context(), "films")
	if err == nil || errors.Is(err, ErrUncertain) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}
