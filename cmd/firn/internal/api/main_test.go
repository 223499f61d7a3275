package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/firnkv/firn/cmd/firn/internal/phrase"
	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a handler in a server of its own, on a directory of its own.
type server struct {
	t    testing.TB
	addr string
	dir  string
	pool *namespaces.Pool
	id   string // of the namespace "test"
	log  *lockedBuilder

	mu     sync.Mutex
	events []Event
}

type lockedBuilder struct {
	mu sync.Mutex
	strings.Builder
}

func (b *lockedBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}

func (b *lockedBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.String()
}

// start starts a server. Its configuration may be nil, and its pool is set.
func start(t testing.TB, c *Config) *server {
	t.Helper()
	if c == nil {
		c = &Config{}
	}
	s := &server{t: t, log: new(lockedBuilder)}
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	s.dir = filepath.Join(t.TempDir(), "data")
	dir := namespaces.At(s.dir, engine.Options{Logger: logger})
	pool, err := openPool(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	s.pool = pool
	ns, err := pool.Create(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	s.id = ns.ID
	if c.Pool == nil {
		c.Pool = pool
	}
	c.Log = logger
	c.Observe = func(e Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	}
	s.t.Cleanup(func() {
		if err := closePool(s.pool); err != nil {
			s.t.Error(err)
		}
	})
	s.serve(New(*c))
	return s
}

// serve has requests from now on answered by h.
func (s *server) serve(h http.Handler) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().String()
	server := &http.Server{Handler: h, ConnContext: phrase.ConnContext, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(s.log, nil), slog.LevelError)}
	done := make(chan error, 1)
	go func() { done <- server.Serve(phrase.Listener(l)) }()
	s.t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			s.t.Error(err)
		}
	})
}

func openPool(ctx context.Context, d *namespaces.Directory) (*namespaces.Pool, error) {
	return d.OpenPool(ctx, namespaces.PoolOptions{})
}

func closePool(p *namespaces.Pool) error { return p.Close(context.Background()) }

// event returns the last event, which comes a moment after the answer.
func (s *server) event(n int) Event {
	for range 1000 {
		s.mu.Lock()
		if len(s.events) >= n {
			defer s.mu.Unlock()
			return s.events[n-1]
		}
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	s.t.Fatalf("there is no event %d", n)
	return Event{}
}

// answer is a response.
type answer struct {
	t      testing.TB
	status int
	phrase string
	header http.Header
	body   string
}

// send sends a request as it stands here, and returns the answer. headers are lines.
// The length of the body is added.
func (s *server) send(method, target string, headers []string, body string) *answer {
	s.t.Helper()
	if body != "" || method == "PUT" || method == "POST" {
		headers = append([]string{"Content-Length: " + strconv.Itoa(len(body))}, headers...)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: fake-host\r\n", method, target)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("\r\n")
	a := s.raw(b.String()+body, method)
	if a == nil {
		s.t.Fatalf("%s %.100s: no answer", method, target)
	}
	return a
}

// raw sends bytes and returns the answer, or nil if there is none.
func (s *server) raw(request, method string) *answer {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	go io.WriteString(c, request)
	response, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Errorf("body of the answer: %v", err)
	}
	response.Body.Close()
	_, text, _ := strings.Cut(response.Status, " ")
	return &answer{s.t, response.StatusCode, text, response.Header, string(body)}
}

// binding sends a request of the binding protocol.
func (s *server) binding(method, target, body string, headers ...string) *answer {
	s.t.Helper()
	return s.send(method, target, append(headers, "Firn-Namespace: test"), body)
}

const account = "/client/v4/accounts/00000000000000000000000000000001/storage/kv/namespaces"

// rest sends a request about the namespace.
func (s *server) rest(method, path, body string, headers ...string) *answer {
	s.t.Helper()
	return s.send(method, account+"/"+s.id+path, headers, body)
}

// is checks status and body.
func (a *answer) is(status int, body string) {
	a.t.Helper()
	if a.status != status || a.body != body {
		a.t.Errorf("got %d %q, want %d %q", a.status, a.body, status, body)
	}
}

// failed checks a failure of the binding protocol.
func (a *answer) failed(status int, text string) {
	a.t.Helper()
	if a.status != status || a.body != text || a.phrase != text {
		a.t.Errorf("got %d %q, phrase %q; want %d %q", a.status, a.body, a.phrase, status, text)
	}
}

type envelope struct {
	Success bool
	Errors  []struct {
		Code    int
		Message string
	}
	Messages   []any
	Result     json.RawMessage
	ResultInfo json.RawMessage `json:"result_info"`
}

func (a *answer) envelope() envelope {
	a.t.Helper()
	var e envelope
	if got := a.header.Get("Content-Type"); got != "application/json" {
		a.t.Errorf("content type %q", got)
	}
	d := json.NewDecoder(strings.NewReader(a.body))
	if err := d.Decode(&e); err != nil || e.Errors == nil || e.Messages == nil || e.Result == nil {
		a.t.Fatalf("envelope %d %s: %v", a.status, a.body, err)
	}
	return e
}

// result checks the result of a REST call.
func (a *answer) result(want string) {
	a.t.Helper()
	e := a.envelope()
	if a.status != 200 || !e.Success || len(e.Errors) != 0 || !sameJSON(string(e.Result), want) {
		a.t.Errorf("got %d %s, want %s", a.status, a.body, want)
	}
}

// refused checks a failure of a REST call.
func (a *answer) refused(status, code int, text string) {
	a.t.Helper()
	e := a.envelope()
	if a.status != status || e.Success || len(e.Errors) != 1 || e.Errors[0].Code != code || string(e.Result) != "null" || !strings.Contains(e.Errors[0].Message, text) {
		a.t.Errorf("got %d %s, want %d, code %d, %q", a.status, a.body, status, code, text)
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// in returns a second that many seconds ahead.
func in(seconds int64) string { return strconv.FormatInt(time.Now().Unix()+seconds, 10) }
