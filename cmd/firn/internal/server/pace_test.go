package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/server"
)

// pipes is a listener of connections within the process, for which time need not
// be real.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.conns <- far
	return near
}

// simulated calls test in a time of its own, with a way to connect to a server
// that has the default limits.
func simulated(t *testing.T, h http.HandlerFunc, test func(t *testing.T, dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		s := server.New(p, server.Config{Handler: h, Log: slog.New(slog.DiscardHandler)})
		served := make(chan error, 1)
		go func() { served <- s.Serve() }()
		test(t, p.dial)
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// trickle sends a header, and then a piece each interval, until that fails.
func trickle(conn io.Writer, header string, pieces []string, interval time.Duration) *sync.WaitGroup {
	var sending sync.WaitGroup
	sending.Go(func() {
		_, err := io.WriteString(conn, header)
		for _, piece := range pieces {
			if err != nil {
				return
			}
			_, err = io.WriteString(conn, piece)
			time.Sleep(interval)
		}
	})
	return &sending
}

// cutAfter reads until the server ends the connection, and returns when that was.
func cutAfter(conn net.Conn) time.Duration {
	begun := time.Now()
	_, _ = io.Copy(io.Discard, conn)
	return time.Since(begun)
}

func wantAbout(t *testing.T, got, want time.Duration) {
	t.Helper()
	if got < want-time.Second || got > want+time.Second {
		t.Errorf("after %s, want %s", got, want)
	}
}

func TestSlowHeader(t *testing.T) {
	simulated(t, nil, func(t *testing.T, dial func() net.Conn) {
		silent, slow := dial(), dial()
		wantAbout(t, cutAfter(silent), 10*time.Second)
		wantAbout(t, cutAfter(slow), 0)

		conn := dial()
		sent := trickle(conn, "", strings.Split("GET / HTTP/1.1\r\nHost: localhost\r\n", ""), time.Second)
		wantAbout(t, cutAfter(conn), 10*time.Second)
		conn.Close()
		sent.Wait()
	})
}

func TestIdle(t *testing.T) {
	ok := func(w http.ResponseWriter, r *http.Request) {}
	simulated(t, ok, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		send(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		wantAbout(t, cutAfter(conn), 2*time.Minute)
		conn.Close()
	})
}

// swallow takes a body, says how large it was or why it stopped, and leaves the
// time that this took to the handler: slowness there is not that of the client.
func swallow(w http.ResponseWriter, r *http.Request) {
	time.Sleep(5 * time.Minute)
	n, err := io.Copy(io.Discard, r.Body)
	_, _ = r.Body.Read(make([]byte, 1)) // past the end
	time.Sleep(5 * time.Minute)
	fmt.Fprint(w, n, err, r.Context().Err())
}

// upload sends a body of pieces, one each interval, and returns the answer.
func upload(t *testing.T, conn net.Conn, pieces int, piece string, interval time.Duration) string {
	t.Helper()
	header := fmt.Sprintf("PUT / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", pieces*len(piece))
	sent := trickle(conn, header, slices.Repeat([]string{piece}, pieces), interval)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	conn.Close()
	sent.Wait()
	return string(answer)
}

func TestSlowBody(t *testing.T) {
	simulated(t, swallow, func(t *testing.T, dial func() net.Conn) {
		// 10 KiB/s, for longer than any patience
		piece := strings.Repeat("x", 10<<10)
		if got, want := upload(t, dial(), 1000, piece, time.Second), fmt.Sprint(1000*len(piece), nil, nil); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		// 4 KiB/s: half of every second is too much
		got := upload(t, dial(), 1000, piece[:4<<10], time.Second)
		if !strings.Contains(got, "timeout") {
			t.Errorf("got %q", got)
		}
		var n int
		if fmt.Sscan(got, &n); n < 55*4<<10 || n > 65*4<<10 {
			t.Errorf("cut off after %d bytes, want those of a minute", n)
		}
		// nothing of a large body
		if got := upload(t, dial(), 2, "x", time.Hour); !strings.Contains(got, "timeout") {
			t.Errorf("got %q", got)
		}
	})
}

// TestUnreadBody has handlers that do not care about a body that never comes.
func TestUnreadBody(t *testing.T) {
	for _, answer := range []int{0, 100_000} {
		h := func(w http.ResponseWriter, r *http.Request) {
			if answer > 0 {
				w.Write(make([]byte, answer))
			}
		}
		simulated(t, h, func(t *testing.T, dial func() net.Conn) {
			conn := dial()
			send(conn, "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
			wantAbout(t, cutAfter(conn), 30*time.Second)
			conn.Close()
		})
	}
}

// TestSlowReader has clients that take their time with an answer.
func TestSlowReader(t *testing.T) {
	const size = 1 << 20
	failed := make(chan error, 1)
	large := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(5 * time.Minute)
		_, err := w.Write(make([]byte, size))
		failed <- err
	}
	simulated(t, large, func(t *testing.T, dial func() net.Conn) {
		take := func(bytes int, interval time.Duration) (int, error) {
			conn := dial()
			defer conn.Close()
			send(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			got, buf := 0, make([]byte, bytes)
			for {
				n, err := conn.Read(buf)
				got += n
				if err != nil {
					return got, <-failed
				}
				time.Sleep(interval)
			}
		}
		if n, err := take(5000, 500*time.Millisecond); n < size || err != nil {
			t.Errorf("a client that is fast enough got %d bytes: %v", n, err)
		}
		if n, err := take(5000, 5*time.Second); n > size/2 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a client that is too slow got %d bytes: %v", n, err)
		}
	})
}

// TestHurry has a client that is fast enough otherwise, but not for this answer.
func TestHurry(t *testing.T) {
	const size = 1 << 20
	failed := make(chan error, 1)
	hurried := func(w http.ResponseWriter, r *http.Request) {
		w.(interface{ Hurry(int, time.Duration) }).Hurry(100_000, 5*time.Second)
		_, err := w.Write(make([]byte, size))
		failed <- err
	}
	simulated(t, hurried, func(t *testing.T, dial func() net.Conn) {
		for interval, want := range map[time.Duration]error{40 * time.Millisecond: nil, 500 * time.Millisecond: os.ErrDeadlineExceeded} {
			conn := dial()
			send(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			for buf := make([]byte, 5000); ; time.Sleep(interval) {
				if _, err := conn.Read(buf); err != nil {
					break
				}
			}
			if err := <-failed; !errors.Is(err, want) {
				t.Errorf("5,000 bytes each %v: %v", interval, err)
			}
			conn.Close()
		}
	})
}

// TestNextRequest sends requests on one connection, each later than the
// deadlines of the one before.
func TestNextRequest(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, string(body), err)
	}
	simulated(t, echo, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		defer conn.Close()
		answers := bufio.NewReader(conn)
		for range 5 {
			send(conn, "PUT / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
			resp, err := http.ReadResponse(answers, nil)
			if err != nil || resp.StatusCode != http.StatusContinue {
				t.Fatalf("got %v, %v", resp, err)
			}
			send(conn, "ab")
			resp, err = http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != "ab<nil>" {
				t.Errorf("got %q", body)
			}
			time.Sleep(100 * time.Second)
		}
	})
}

// TestStalledOnTCP cuts off a client of a real connection.
func TestStalledOnTCP(t *testing.T) {
	failed := make(chan error, 1)
	s := start(t, server.Config{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			failed <- err
		}),
		Limits: server.Limits{Patience: 50 * time.Millisecond},
	})
	conn := dial(t, s.addr)
	send(conn, "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Error(err)
	}
}
