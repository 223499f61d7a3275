package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/server"
)

func TestCapOfConnections(t *testing.T) {
	entered := make(chan struct{})
	leave := map[string]chan struct{}{"/first": make(chan struct{}), "/second": make(chan struct{})}
	busy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait := leave[r.URL.Path]; wait != nil {
			entered <- struct{}{}
			<-wait
		}
		io.WriteString(w, "ok")
	})
	s := start(t, server.Config{Handler: busy, Limits: server.Limits{Connections: 2}})
	first, second, third := dial(t, s.addr), dial(t, s.addr), dial(t, s.addr)
	ask := func(conn net.Conn, path string) { send(conn, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n") }
	answered := func(conn net.Conn) error {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
		}
		return err
	}
	ask(first, "/first")
	<-entered
	ask(second, "/second")
	<-entered
	ask(third, "/")
	third.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if err := answered(third); err == nil {
		t.Error("a third connection was served")
	}
	if n := s.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
	// When one has nothing to do any more, it makes room.
	third.SetReadDeadline(time.Now().Add(patience))
	close(leave["/first"])
	if err := errors.Join(answered(first), answered(third)); err != nil {
		t.Error(err)
	}
	if _, err := first.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the first: %v", err)
	}
	close(leave["/second"])
	if err := answered(second); err != nil {
		t.Error(err)
	}
	// One of the two that wait now makes room for another.
	fourth := dial(t, s.addr)
	ask(fourth, "/")
	if err := answered(fourth); err != nil {
		t.Error(err)
	}
	closed := 0
	for _, c := range []net.Conn{second, third} {
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); err == io.EOF {
			closed++
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	}
	if closed != 1 {
		t.Errorf("%d of those that wait were closed", closed)
	}
	for _, c := range []net.Conn{first, second, third, fourth} {
		c.Close()
	}
	eventually(t, "all connections are gone", func() bool { return s.Connections() == 0 })
}

func TestHeaderTooLarge(t *testing.T) {
	s := start(t, server.Config{Handler: http.NotFoundHandler()})
	conn := dial(t, s.addr)
	go send(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 80<<10)+"\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %v, %v", resp, err)
	}
}

// TestShutdown ends a server while it answers: the answer is finished, and
// nobody gets in any more.
func TestShutdown(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := start(t, server.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
		io.WriteString(w, "done")
	})})
	answered := make(chan string)
	go func() {
		_, body := get(t, client(t), "http://"+s.addr)
		answered <- body
	}()
	<-entered
	if n := s.InFlight(); n != 1 {
		t.Errorf("%d requests in flight", n)
	}
	ended := make(chan error)
	go func() { ended <- s.Shutdown(context.Background()) }()
	eventually(t, "the port is closed", func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	close(leave)
	if body := <-answered; body != "done" {
		t.Errorf("got %q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestShutdownRunsOut ends a server that does not come to an end.
func TestShutdownRunsOut(t *testing.T) {
	entered := make(chan struct{})
	var left atomic.Bool
	s := start(t, server.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		time.Sleep(50 * time.Millisecond)
		left.Store(true)
	})})
	conn := dial(t, s.addr)
	send(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if !left.Load() {
		t.Error("the handler is still there")
	}
}

func TestPanic(t *testing.T) {
	s := start(t, server.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		panic("oh")
	})})
	for _, path := range []string{"/", "/abort"} {
		if resp, err := client(t).Get("http://" + s.addr + path); err == nil {
			t.Errorf("%s: got %v", path, resp)
		}
	}
	eventually(t, "no request is left", func() bool { return s.InFlight() == 0 })
	if log := s.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "panic=oh") {
		t.Errorf("log:\n%s", log)
	}
}

type contextKey struct{}

// TestWrapped has both ways in for what stands between connections and HTTP.
func TestWrapped(t *testing.T) {
	var wrapped atomic.Int64
	s := start(t, server.Config{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _ := r.Context().Value(contextKey{}).(net.Conn)
			if _, ok := conn.(wrappedConn); ok {
				io.WriteString(w, "wrapped")
			}
		}),
		WrapListener: func(ln net.Listener) net.Listener { return wrappedListener{ln, &wrapped} },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, contextKey{}, conn)
		},
	})
	if _, body := get(t, client(t), "http://"+s.addr); body != "wrapped" || wrapped.Load() != 1 {
		t.Errorf("got %q", body)
	}
}

type wrappedListener struct {
	net.Listener
	count *atomic.Int64
}

func (l wrappedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.count.Add(1)
	}
	return wrappedConn{conn}, err
}

type wrappedConn struct{ net.Conn }
