package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/firnkv/firn/engine/namespaces"
)

// benchConns is how many connections send requests.
const benchConns = 64

func benchmark(b *testing.B, request func(i int64, header string) string) {
	c := &Config{}
	s := start(b, c)
	ns, err := s.pool.Find(b.Context(), s.id)
	if err != nil {
		b.Fatal(err)
	}
	c.Pool = resolving{s.pool, ns}
	s.serve(New(*c))
	header := s.benchHeader()
	value := strings.Repeat("0123456789abcdef", 500/16)
	for i := range 1000 {
		if a := s.binding("PUT", fmt.Sprintf("/key%d", i), value); a.status != 200 {
			b.Fatal(a.status)
		}
	}
	var n atomic.Int64
	b.SetParallelism(benchConns / 2)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for pb.Next() {
			io.WriteString(c, request(n.Add(1), header))
			if err := skim(r); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// resolving is a pool that resolves one name, at once.
type resolving struct {
	Pool
	ns namespaces.Namespace
}

func (p resolving) Resolve(context.Context, string) (namespaces.Namespace, error) { return p.ns, nil }

// skim reads a response as cheaply as it can be done: client and server share the
// processors.
func skim(r *bufio.Reader) error {
	length, line := 0, 0
	for {
		b, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line++; line == 1 && string(b[9:12]) != "200" {
			return fmt.Errorf("%q", b)
		}
		const name = "Content-Length: "
		if len(b) > len(name) && string(b[:len(name)]) == name {
			for _, c := range b[len(name) : len(b)-2] {
				length = length*10 + int(c-'0')
			}
		}
		if len(b) == 2 {
			_, err := r.Discard(length)
			return err
		}
	}
}

func (s *server) benchHeader() string {
	return " HTTP/1.1\r\nHost: fake-host\r\nFirn-Namespace: " + s.id + "\r\n"
}

func BenchmarkGet(b *testing.B) {
	benchmark(b, func(i int64, header string) string {
		return fmt.Sprintf("GET /key%d?urlencoded=true%s\r\n", i%1000, header)
	})
}

func BenchmarkPut(b *testing.B) {
	value := strings.Repeat("0123456789abcdef", 500/16)
	benchmark(b, func(i int64, header string) string {
		return fmt.Sprintf("PUT /key%d?urlencoded=true%sContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", i%100_000, header, len(value), value)
	})
}

// BenchmarkNothing is what net/http takes for a handler that does nothing.
func BenchmarkNothing(b *testing.B) {
	s := start(b, nil)
	nothing := &server{t: b, log: s.log, pool: s.pool}
	value := []byte(strings.Repeat("0123456789abcdef", 500/16))
	nothing.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = typeBytes
		w.Write(value)
	}))
	b.SetParallelism(benchConns / 2)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", nothing.addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for pb.Next() {
			io.WriteString(c, "GET /key?urlencoded=true"+s.benchHeader()+"\r\n")
			if err := skim(r); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}
