package phrase

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// phrased answers as the query asks it to.
func phrased(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Has("late") {
		io.Copy(io.Discard, r.Body)
	}
	Set(r.Context(), q.Get("phrase"))
	body, _ := io.ReadAll(r.Body)
	if q.Has("status") {
		var status int
		fmt.Sscan(q.Get("status"), &status)
		w.WriteHeader(status)
	}
	if q.Has("flush") {
		w.(http.Flusher).Flush()
	}
	fmt.Fprintf(w, "HTTP/1.1 200 is not a status line here; got %d bytes", len(body))
	if q.Has("more") {
		for range 100 {
			w.Write(bytes.Repeat([]byte("HTTP/1.1 200 OK\r\n"), 100))
		}
	}
}

func serve(t *testing.T, wrap func(net.Listener) net.Listener) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(phrased), ConnContext: ConnContext, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(wrap(l)) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// read reads a response and returns its status with the phrase.
func read(t *testing.T, r *bufio.Reader) (status, body string) {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.Status, string(b)
}

func TestPhrases(t *testing.T) {
	tests := map[string]struct{ request, want string }{
		"none":           {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "200 OK"},
		"ok":             {"GET /?phrase=Fine+so+far HTTP/1.1\r\nHost: h\r\n\r\n", "200 Fine so far"},
		"error":          {"GET /?status=414&phrase=UTF-8+encoded+length+of+513 HTTP/1.1\r\nHost: h\r\n\r\n", "414 UTF-8 encoded length of 513"},
		"unknown status": {"GET /?status=599&phrase=What HTTP/1.1\r\nHost: h\r\n\r\n", "599 What"},
		"bytes":          {"GET /?phrase=a%0d%0aSet-Cookie:+x%00%7f%c3%a9%ff%f0%9f%8e%bf HTTP/1.1\r\nHost: h\r\n\r\n", `200 a\r\nSet-Cookie: x\x00\x7f\u00e9\ufffd\U0001f3bf`},
		"old version":    {"GET /?phrase=Old&status=400 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "400 Old"},
		"flushed":        {"GET /?phrase=Flushed&flush=1&more=1 HTTP/1.1\r\nHost: h\r\n\r\n", "200 Flushed"},
		"long body":      {"GET /?phrase=Long&more=1 HTTP/1.1\r\nHost: h\r\n\r\n", "200 Long"},
		"chunked":        {"PUT /?phrase=Put HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "200 Put"},
		"body":           {"PUT /?phrase=Put&late=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "200 Put"},
		"cut":            {"GET /?phrase=" + strings.Repeat("x", 600) + " HTTP/1.1\r\nHost: h\r\n\r\n", "200 " + strings.Repeat("x", 512)},
	}
	l := serve(t, Listener)
	c := dial(t, l)
	r := bufio.NewReader(c)
	for name, test := range tests { // all over one connection
		io.WriteString(c, test.request)
		if got, body := read(t, r); got != test.want || !strings.HasPrefix(body, "HTTP/1.1 200 is not") {
			t.Errorf("%s: got %q, want %q; %.60s", name, got, test.want, body)
		}
	}
	// A phrase is for one response.
	var pipelined strings.Builder
	for i := range 50 {
		if i%2 == 0 {
			fmt.Fprintf(&pipelined, "PUT /?phrase=Number+%d&status=400 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", i)
		} else {
			fmt.Fprintf(&pipelined, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		}
	}
	io.WriteString(c, pipelined.String())
	for i := range 50 {
		want := "200 OK"
		if i%2 == 0 {
			want = fmt.Sprintf("400 Number %d", i)
		}
		if got, _ := read(t, r); got != want {
			t.Errorf("pipelined %d: got %q, want %q", i, got, want)
		}
	}
}

func TestContinue(t *testing.T) {
	c := dial(t, serve(t, Listener))
	r := bufio.NewReader(c)
	io.WriteString(c, "PUT /?phrase=After+that&status=400 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	line, err := r.ReadString('\n')
	if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	r.ReadString('\n')
	io.WriteString(c, "abc")
	if got, _ := read(t, r); got != "400 After that" {
		t.Errorf("got %q", got)
	}
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	l := serve(t, func(l net.Listener) net.Listener {
		return Listener(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}))
	})
	c := tls.Client(dial(t, l), &tls.Config{InsecureSkipVerify: true})
	r := bufio.NewReader(c)
	for range 3 {
		io.WriteString(c, "GET /?phrase=Under+TLS&status=404 HTTP/1.1\r\nHost: h\r\n\r\n")
		if got, _ := read(t, r); got != "404 Under TLS" {
			t.Errorf("got %q", got)
		}
	}
}

func TestUnwrapped(t *testing.T) {
	c := dial(t, serve(t, func(l net.Listener) net.Listener { return l }))
	io.WriteString(c, "GET /?phrase=x HTTP/1.1\r\nHost: h\r\n\r\n")
	if got, _ := read(t, bufio.NewReader(c)); got != "200 OK" {
		t.Errorf("got %q", got)
	}
	Set(context.Background(), "x")
}

// shortWriter fails after n bytes.
type shortWriter struct {
	net.Conn
	n int
}

func (w shortWriter) Write(b []byte) (int, error) {
	if len(b) > w.n {
		return w.n, io.ErrClosedPipe
	}
	return len(b), nil
}

func TestWrite(t *testing.T) {
	const response = "HTTP/1.1 404 Not Found\r\n\r\n"
	for n := range 60 {
		c := &conn{Conn: shortWriter{n: n}}
		Set(ConnContext(context.Background(), c), "longer than the standard phrase")
		got, err := c.Write([]byte(response))
		if (err == nil) != (got == len(response)) || got > len(response) {
			t.Errorf("after %d bytes: wrote %d, %v", n, got, err)
		}
	}
	for _, b := range []string{"", "H", "HTTP/1.1 404", "HTTP/1.1 404 Not Found", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/2.0 404 x\r\n", "<html>\r\n and so on"} {
		if _, _, ok := statusLine([]byte(b)); ok {
			t.Errorf("%q is taken for a status line", b)
		}
	}
}
