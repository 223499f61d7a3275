package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	loadConns  = 64
	loadKeys   = 96_000
	loadValue  = 500
	loadPuts   = 3000 // of each connection
	loadGets   = 10_000
	loadWarmUp = 200
)

// BenchmarkHTTP puts and gets values of 500 bytes through 64 connections that stay
// open, each with one request under way, on the same machine: half of what it can
// do is spent here. It reports operations a second, and percentiles of how long
// one takes. Puts are durable.
func BenchmarkHTTP(b *testing.B) {
	server := serve(b, b.TempDir())
	id := server.create(b, "load")
	path := "/client/v4/accounts/" + account + "/storage/kv/namespaces/" + id + "/values/"
	b.Run("fill", func(b *testing.B) { // so that gets find something
		load(b, server, loadKeys/loadConns, func(conn, i int) string { return request("PUT", path, conn+i*loadConns) })
	})
	for _, protocol := range []struct{ name, path, header string }{
		{"rest", path, ""},
		{"binding", "/", "Firn-Namespace: load\r\n"},
	} {
		b.Run(protocol.name+"/put", func(b *testing.B) {
			load(b, server, loadPuts, func(conn, i int) string {
				return request("PUT", protocol.path, rand.IntN(loadKeys), protocol.header)
			})
		})
		b.Run(protocol.name+"/get", func(b *testing.B) {
			load(b, server, loadGets, func(conn, i int) string {
				return request("GET", protocol.path, rand.IntN(loadKeys), protocol.header)
			})
		})
	}
}

// request returns a request about a key.
func request(method, path string, key int, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %skey:%08d HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n", method, path, key, token)
	for _, h := range headers {
		b.WriteString(h)
	}
	if method == "PUT" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", loadValue, document(key))
	} else {
		b.WriteString("\r\n")
	}
	return b.String()
}

// document returns a value like those that people keep: it compresses to about
// half.
func document(key int) string {
	rnd := rand.New(rand.NewPCG(uint64(key), 0))
	var b strings.Builder
	for b.Len() < loadValue {
		fmt.Fprintf(&b, `{"id":%d,"name":"%x","state":"active","count":%d},`, key, rnd.Uint64(), rnd.IntN(1000))
	}
	return b.String()[:loadValue]
}

// load has every connection send count requests, one after the other.
func load(b *testing.B, server *firn, count int, next func(conn, i int) string) {
	b.Helper()
	var spent time.Duration
	var all []time.Duration
	for b.Loop() {
		l := newLoader(b, server.addr)
		for c := range l.conns {
			for i := range count { // before the clock runs: making requests is not what is measured
				l.conns[c].requests = append(l.conns[c].requests, next(c, i))
			}
		}
		begun := time.Now()
		if err := l.run(); err != nil {
			b.Fatal(err)
		}
		spent += time.Since(begun)
		all = append(all, l.latencies...)
		l.close()
	}
	slices.SortFunc(all, cmp.Compare)
	b.ReportMetric(float64(len(all))/spent.Seconds(), "req/s")
	for _, p := range []struct {
		unit string
		at   float64
	}{{"p50-µs", 0.5}, {"p99-µs", 0.99}, {"p99.9-µs", 0.999}} {
		b.ReportMetric(float64(all[int(float64(len(all)-1)*p.at)].Microseconds()), p.unit)
	}
	b.ReportMetric(0, "ns/op") // of no meaning here
}

// loader drives connections on one thread, and does no more than it has to: it
// shares the machine with the server. A client of package net/http takes more of
// it than the server does, and goroutines that read and write take twice as much
// as this.
type loader struct {
	epoll     int
	conns     []loadConn
	latencies []time.Duration
}

// loadConn is a connection, with a socket that does not block.
type loadConn struct {
	fd       int
	requests []string // that are not sent yet
	sent     time.Time
	answer   []byte // so far
}

func newLoader(b *testing.B, addr string) *loader {
	b.Helper()
	to, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		b.Fatal(err)
	}
	l := &loader{conns: make([]loadConn, loadConns)}
	if l.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		b.Fatal(err)
	}
	for i := range l.conns {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err == nil {
			err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())})
		}
		if err == nil {
			err = syscall.SetNonblock(fd, true)
		}
		if err == nil {
			err = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)})
		}
		if err != nil {
			b.Fatal(err)
		}
		l.conns[i].fd = fd
	}
	return l
}

func (l *loader) close() {
	for i := range l.conns {
		syscall.Close(l.conns[i].fd)
	}
	syscall.Close(l.epoll)
}

// run sends all requests and reads all answers.
func (l *loader) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	underWay := 0
	for i := range l.conns {
		if err := l.conns[i].send(); err != nil {
			return err
		}
		underWay++
	}
	events := make([]syscall.EpollEvent, loadConns)
	for underWay > 0 {
		n, err := syscall.EpollWait(l.epoll, events, -1)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		for _, event := range events[:n] {
			c := &l.conns[event.Fd]
			answered, err := c.receive()
			if err != nil {
				return err
			}
			if !answered {
				continue
			}
			l.latencies = append(l.latencies, time.Since(c.sent))
			if len(c.requests) == 0 {
				underWay--
			} else if err := c.send(); err != nil {
				return err
			}
		}
	}
	return nil
}

// send sends the next request, which the buffer of the socket has room for.
func (c *loadConn) send() error {
	c.sent = time.Now()
	n, err := syscall.Write(c.fd, []byte(c.requests[0]))
	if err == nil && n < len(c.requests[0]) {
		err = io.ErrShortWrite
	}
	c.requests = c.requests[1:]
	return err
}

// receive reads some of an answer, which has to be a success with its length in
// the header, and reports whether that is all of it.
func (c *loadConn) receive() (bool, error) {
	c.answer = slices.Grow(c.answer, 4096)
	n, err := syscall.Read(c.fd, c.answer[len(c.answer):cap(c.answer)])
	if n <= 0 {
		return false, cmp.Or(err, io.ErrUnexpectedEOF)
	}
	c.answer = c.answer[:len(c.answer)+n]
	head, body, whole := bytes.Cut(c.answer, []byte("\r\n\r\n"))
	if !whole {
		return false, nil
	}
	_, length, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
	length, _, _ = bytes.Cut(length, []byte("\r\n"))
	want, err := strconv.Atoi(string(length))
	if err != nil || !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return false, fmt.Errorf("answered: %s", head)
	}
	if len(body) < want {
		return false, nil
	}
	c.answer = c.answer[:0]
	return true, nil
}
