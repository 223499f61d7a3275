package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

// cut sends a request that ends too early, and makes sure that it does not succeed.
func (s *server) cut(request string) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	go func() {
		io.WriteString(c, request)
		c.(*net.TCPConn).CloseWrite()
	}()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return
	}
	defer response.Body.Close()
	if response.StatusCode != 400 {
		body, _ := io.ReadAll(response.Body)
		s.t.Errorf("%.200q…: %s %s", request, response.Status, body)
	}
}

func TestCutBodies(t *testing.T) {
	s := start(t, nil)
	s.binding("PUT", "/k", "before").is(200, "")
	path := account + "/" + s.id
	chunk := strings.Repeat("x", 100_000)
	for _, target := range []string{"/k?urlencoded=true HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test", path + "/values/k HTTP/1.1\r\nHost: h"} {
		for _, body := range []string{
			"Content-Length: 10\r\n\r\n", "Content-Length: 10\r\n\r\n123456789", "Content-Length: 100001\r\n\r\n" + chunk,
			"Transfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "Transfer-Encoding: chunked\r\n\r\n3\r\nab",
			"Transfer-Encoding: chunked\r\n\r\n186a0\r\n" + chunk + "\r\n", "Transfer-Encoding: chunked\r\n\r\n186a0\r\n" + chunk + "\r\n0\r\n", "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
		} {
			s.cut("PUT " + target + "\r\n" + body)
		}
	}
	pairs := `[{"key":"k","value":"new"}]`
	for n := range len(pairs) {
		s.cut("PUT " + path + "/bulk HTTP/1.1\r\nHost: h\r\nContent-Length: " + strconv.Itoa(len(pairs)) + "\r\n\r\n" + pairs[:n])
		s.rest("PUT", "/bulk", pairs[:n]).refused(400, codeBad, "")
	}
	s.binding("GET", "/k", "").is(200, "before")
}

// A body that fails writes nothing, also if the request is not cancelled.
func TestBrokenReader(t *testing.T) {
	c := &Config{}
	s := start(t, c)
	for _, length := range []int64{5, 100_000, -1} {
		for _, sent := range []string{"", "1234", strings.Repeat("x", 70_000)} {
			body := io.MultiReader(strings.NewReader(sent), iotest.ErrReader(io.ErrUnexpectedEOF))
			if length == 5 && len(sent) > 5 {
				continue // net/http does not give more than the length
			}
			r := httptest.NewRequest("PUT", "/k", body)
			r.ContentLength = length
			r.Header.Set("Firn-Namespace", s.id)
			w := httptest.NewRecorder()
			New(*c).ServeHTTP(w, r)
			if w.Code != 400 {
				t.Errorf("%d of %d bytes: %d %s", len(sent), length, w.Code, w.Body)
			}
			s.binding("GET", "/k", "").is(404, "Not Found")
		}
	}
}

func TestLargestValue(t *testing.T) {
	s := start(t, nil)
	value := string(bytes.Repeat([]byte("0123456789abcdef"), maxValue/16))
	check := func(key string) {
		t.Helper()
		if got := s.binding("GET", "/"+key, ""); got.status != 200 || got.body != value || got.header.Get("Content-Length") != "26214400" {
			t.Errorf("%s: %d, %d bytes, %v", key, got.status, len(got.body), got.header)
		}
		if got := s.rest("GET", "/values/"+key, ""); got.body != value {
			t.Errorf("%s: %d bytes", key, len(got.body))
		}
	}
	chunked := func(value string) *answer {
		return s.raw(fmt.Sprintf("PUT /chunked HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(value), value), "PUT")
	}
	s.binding("PUT", "/a", value).is(200, "")
	check("a")
	s.rest("PUT", "/values/b", value).result(`{}`)
	check("b")
	chunked(value).is(200, "")
	check("chunked")
	s.rest("PUT", "/bulk", `[{"key":"c","value":"`+value+`"}]`).result(`{"successful_key_count":1,"unsuccessful_keys":[]}`)
	check("c")
	s.rest("PUT", "/bulk", `[{"key":"d","value":"`+base64.StdEncoding.EncodeToString([]byte(value))+`","base64":true},{"key":"e","value":"`+value+`"}]`).
		result(`{"successful_key_count":2,"unsuccessful_keys":[]}`)
	check("d")
	check("e")

	const text = "Value length of 26214401 exceeds limit of 26214400."
	s.binding("PUT", "/a", value+"x").failed(413, text)
	chunked(value+"x").failed(413, text)
	s.rest("PUT", "/values/b", value+"x").refused(413, codeBad, text)
	s.rest("PUT", "/bulk", `[{"key":"a","value":""},{"key":"c","value":"`+value+`x"}]`).refused(413, codeBad, "pair 1, key \"c\": "+text)
	s.rest("PUT", "/bulk", `[{"key":"a","value":""},{"key":"c","value":"`+base64.StdEncoding.EncodeToString([]byte(value+"x"))+`","base64":true}]`).
		refused(413, codeBad, "exceeds limit of 26214400.")
	more := strings.Repeat("x", 40<<20)
	s.rest("PUT", "/bulk", `[{"key":"c","value":"`+more+`"}]`).refused(413, codeBad, "Value length of 41943040 exceeds limit of 26214400.")
	chunked(more).failed(413, "Value length of 41943040 exceeds limit of 26214400.")
	check("a")
	check("c")
}

// A bulk write of 99 MB, with values that do not go to the log.
func TestLargeBulk(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
	s := start(t, nil)
	var b strings.Builder
	b.WriteByte('[')
	value := strings.Repeat("v", 40_000)
	n := 0
	for ; b.Len() < 99_900_000; n++ {
		if n > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"key":"%d","value":"%s"}`, n, value)
	}
	b.WriteByte(']')
	s.rest("PUT", "/bulk", b.String()).result(fmt.Sprintf(`{"successful_key_count":%d,"unsuccessful_keys":[]}`, n))
	s.binding("GET", "/"+strconv.Itoa(n-1), "").is(200, value)
	rest := strings.Repeat(" ", maxBody-b.Len()-1)
	if a := s.rest("PUT", "/bulk", b.String()+rest); a.status != 200 {
		t.Errorf("one byte less than the limit: %d %s", a.status, a.body)
	}
	s.rest("PUT", "/bulk", b.String()+rest+" ").refused(413, codeBad, "stay under 100000000 bytes")
	a := s.raw(fmt.Sprintf("PUT %s/%s/bulk HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s \r\n0\r\n\r\n", account, s.id, maxBody, b.String()+rest), "PUT")
	a.refused(413, codeBad, "stay under 100000000 bytes")
}

// Large bulk reads wait for a place, small ones do not, and places are given back.
func TestLargeBulkReads(t *testing.T) {
	s := start(t, nil)
	s.binding("PUT", "/large", strings.Repeat("v", mediumBulk+1))
	s.binding("PUT", "/small", "v")
	h := New(Config{Pool: s.pool}).(*handler)
	read := func(key string) (done chan int) {
		r := httptest.NewRequest("POST", "/bulk/get", strings.NewReader(`{"keys":["`+key+`"]}`))
		r.Header.Set("Firn-Namespace", "test")
		done = make(chan int, 1)
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			done <- w.Code
		}()
		return done
	}
	for range cap(h.reads.medium) {
		h.reads.medium <- struct{}{}
	}
	waiting := read("large")
	if status := <-read("small"); status != 200 {
		t.Errorf("a small read: %d", status)
	}
	select {
	case status := <-waiting:
		t.Errorf("a large read without a place: %d", status)
	case <-time.After(100 * time.Millisecond):
	}
	<-h.reads.medium
	if status := <-waiting; status != 200 {
		t.Errorf("a large read: %d", status)
	}
	if n := len(h.reads.medium); n != cap(h.reads.medium)-1 {
		t.Errorf("%d places are taken", n)
	}
}

// A client that takes the answer of a large bulk read too slowly is told to hurry,
// others are not.
func TestHurriedAnswers(t *testing.T) {
	s := start(t, nil)
	s.binding("PUT", "/large", strings.Repeat("v", mediumBulk+1))
	s.binding("PUT", "/small", "v")
	h := New(Config{Pool: s.pool})
	for key, hurried := range map[string]bool{"large": true, "small": false} {
		r := httptest.NewRequest("POST", "/bulk/get", strings.NewReader(`{"keys":["`+key+`"]}`))
		r.Header.Set("Firn-Namespace", "test")
		w := &hurrying{ResponseWriter: httptest.NewRecorder()}
		h.ServeHTTP(wrapped{w}, r)
		if (w.pace == hurryPace) != hurried {
			t.Errorf("%s: hurried to %d bytes a second", key, w.pace)
		}
	}
}

type hurrying struct {
	http.ResponseWriter
	pace int
}

func (w *hurrying) Hurry(bytesPerSecond int, _ time.Duration) { w.pace = bytesPerSecond }

type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A long value waits in a file for its metadata only while it has a place, and what
// follows it has to come fast.
func TestSpoolPlaces(t *testing.T) {
	s := start(t, nil)
	clock := time.Now()
	h := New(Config{Pool: s.pool, TempDir: t.TempDir(), Now: func() time.Time { return clock }}).(*handler)
	put := func(value int, rest io.Reader) *httptest.ResponseRecorder {
		body, header := makeForm([]part{{"value", strings.Repeat("v", value)}, {"other", strings.Repeat("o", 100_000)}, {"metadata", "1"}}, false)
		at := strings.Index(body, "ooo")
		if rest == nil {
			rest = strings.NewReader(body[at:])
		} else {
			rest = &slowly{r: strings.NewReader(body[at:]), clock: &clock, perByte: time.Millisecond}
		}
		r := httptest.NewRequest("PUT", account+"/"+s.id+"/values/k", io.MultiReader(strings.NewReader(body[:at]), rest))
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Type", strings.TrimPrefix(header, "Content-Type: "))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for range cap(h.spools) {
		h.spools <- struct{}{}
	}
	if w := put(largeBody/2, nil); w.Code != 200 {
		t.Errorf("a value that fits into memory: %d %s", w.Code, w.Body)
	}
	done := make(chan int, 1)
	go func() { done <- put(2*largeBody, nil).Code }()
	select {
	case status := <-done:
		t.Errorf("a long value without a place: %d", status)
	case <-time.After(100 * time.Millisecond):
	}
	<-h.spools
	if status := <-done; status != 200 {
		t.Errorf("a long value: %d", status)
	}
	for range len(h.spools) {
		<-h.spools
	}
	if w := put(largeBody/2, zeros{}); w.Code != 200 {
		t.Errorf("slow, but in memory: %d %s", w.Code, w.Body)
	}
	if w := put(2*largeBody, zeros{}); w.Code != 408 {
		t.Errorf("slow, and in a file: %d %s", w.Code, w.Body)
	}
	if n := len(h.spools); n != 0 {
		t.Errorf("%d places are taken", n)
	}
}

func TestTenThousandPairs(t *testing.T) {
	s := start(t, nil)
	var pairs, keys strings.Builder
	for i := range maxBulkPairs {
		fmt.Fprintf(&pairs, `,{"key":"%d","value":"v"}`, i)
		fmt.Fprintf(&keys, `,"%d"`, i)
	}
	const all = `{"successful_key_count":10000,"unsuccessful_keys":[]}`
	s.rest("PUT", "/bulk", "["+pairs.String()[1:]+"]").result(all)
	s.rest("DELETE", "/bulk", "["+keys.String()[1:]+"]").result(all)
	s.rest("GET", "/keys", "").result(`[]`)
}

// Everything of a request is read before an error is answered, so that the
// connection stays in use; but not for ever.
func TestDrain(t *testing.T) {
	s := start(t, nil)
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for range 3 {
		body := strings.Repeat("x", 30<<20)
		go fmt.Fprintf(c, "PUT /k?expiration_ttl=1 HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		if response.StatusCode != 400 || response.Close {
			t.Fatalf("%s, close: %t", response.Status, response.Close)
		}
	}
	// Who waits for 100 Continue gets the answer at once.
	fmt.Fprintf(c, "PUT /k?expiration_ttl=1 HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != 400 || !response.Close {
		t.Fatalf("%v, %v", response, err)
	}
	response.Body.Close()

	if a := s.raw("PUT /k?expiration_ttl=1 HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nContent-Length: 200000000\r\n\r\n"+strings.Repeat("x", maxBody+1<<20), "PUT"); a != nil {
		a.failed(400, "Invalid expiration_ttl of 1. Expiration TTL must be at least 60.")
	}
}

// slowly gives a byte at a time, and the clock goes on meanwhile.
type slowly struct {
	r       io.Reader
	clock   *time.Time
	perByte time.Duration
	n       int64
}

func (s *slowly) Read(p []byte) (int, error) {
	n, err := s.r.Read(p[:min(len(p), 1)])
	s.n += int64(n)
	*s.clock = s.clock.Add(time.Duration(n) * s.perByte)
	return n, err
}

// What comes with a request that is refused for who sent it, or because there are
// too many, is read for some time, and only as much as a put may have.
func TestStrangersBodies(t *testing.T) {
	var clock time.Time
	c := &Config{Now: func() time.Time { return clock }, Authorize: func(secret string) (Grant, bool) { return grant{}, secret == "known" }}
	s := start(t, c)
	h := New(*c).(*handler)
	busy := New(Config{Pool: s.pool, Now: c.Now, MaxInFlight: 1}).(*handler)
	busy.inFlight.Add(1)
	for _, test := range []struct {
		name   string
		h      http.Handler
		secret string
		status int
	}{
		{"no token", h, "", 401},
		{"a token of others", h, "known", 403},
		{"too many", busy, "", 429},
	} {
		ask := func(body io.Reader, length int64) *httptest.ResponseRecorder {
			clock = time.Now()
			r := httptest.NewRequest("PUT", account+"/"+s.id+"/values/k", body)
			r.ContentLength = length
			r.Header.Set("Authorization", "Bearer "+test.secret)
			w := httptest.NewRecorder()
			test.h.ServeHTTP(w, r)
			if w.Code != test.status {
				t.Errorf("%s: %d %s", test.name, w.Code, w.Body)
			}
			return w
		}
		endless := func() *slowly { return &slowly{r: zeros{}, clock: &clock, perByte: time.Second} }
		for _, length := range []int64{-1, 1 << 20} {
			if body := endless(); ask(body, length).Header().Get("Connection") != "close" || body.n < 30 || body.n > 32 {
				t.Errorf("%s, slowly: %d bytes were read", test.name, body.n)
			}
		}
		if body := endless(); ask(body, maxBody).Header().Get("Connection") != "close" || body.n != 0 {
			t.Errorf("%s, a large body: %d bytes were read", test.name, body.n)
		}
		fast := &counter{r: zeros{}}
		if ask(fast, -1).Header().Get("Connection") != "close" || fast.n != strangerBody {
			t.Errorf("%s, an endless body: %d bytes were read", test.name, fast.n)
		}
		fast = &counter{r: io.LimitReader(zeros{}, maxValue)}
		if closed := ask(fast, -1).Header().Get("Connection") == "close"; closed != (test.status == 401) || fast.n != maxValue {
			t.Errorf("%s, the largest value: %d bytes were read", test.name, fast.n)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// A large bulk write takes a place when so much of it has come, and only as long as
// the rest comes fast.
func TestLargeBulkPlaces(t *testing.T) {
	s := start(t, nil)
	clock := time.Now()
	h := New(Config{Pool: s.pool, Now: func() time.Time { return clock }}).(*handler)
	write := func(body io.Reader) *httptest.ResponseRecorder {
		r := httptest.NewRequest("PUT", account+"/"+s.id+"/bulk", body)
		r.ContentLength = -1
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	pairs := func(length int) string { return `[{"key":"k","value":"` + strings.Repeat("v", length) + `"}]` }
	for _, test := range []struct {
		places      places
		fits, large int
	}{{h.bulks.medium, mediumBulk - 100, 2 * mediumBulk}, {h.bulks.large, largeBulk - 100, 2 * largeBulk}} {
		for range cap(test.places) {
			test.places <- struct{}{}
		}
		if w := write(strings.NewReader(pairs(test.fits))); w.Code != 200 {
			t.Errorf("a write of %d bytes: %d %s", test.fits, w.Code, w.Body)
		}
		done := make(chan int, 1)
		go func() { done <- write(strings.NewReader(pairs(test.large))).Code }()
		select {
		case status := <-done:
			t.Errorf("a write of %d bytes without a place: %d", test.large, status)
		case <-time.After(100 * time.Millisecond):
		}
		<-test.places
		if status := <-done; status != 200 {
			t.Errorf("a write of %d bytes: %d", test.large, status)
		}
		for range len(test.places) {
			<-test.places
		}
	}
	const atPace = time.Second / hurryPace
	for _, test := range []struct {
		perByte time.Duration
		status  int
	}{{atPace, 200}, {atPace * 9, 408}} {
		large := strings.NewReader(pairs(4 << 20))
		w := write(&slowly{r: large, clock: &clock, perByte: test.perByte})
		if closed := w.Header().Get("Connection") == "close"; w.Code != test.status || closed != (test.status == 408) {
			t.Errorf("%v a byte: %d %s", test.perByte, w.Code, w.Body)
		}
		if test.status == 408 && large.Len() < 1<<20 {
			t.Errorf("only %d bytes of a slow body were left", large.Len())
		}
		if n := len(h.bulks.medium) + len(h.bulks.large); n != 0 {
			t.Errorf("%d places are taken", n)
		}
	}
}

func TestMaxInFlight(t *testing.T) {
	began := make(chan struct{}, 1000)
	s := start(t, &Config{MaxInFlight: 1, Authorize: func(string) (Grant, bool) {
		began <- struct{}{}
		return grant{read: true, write: true}, true
	}})
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "PUT /k HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nContent-Length: 3\r\n\r\nab")
	<-began // and nothing else was under way
	a := s.binding("GET", "/none", "")
	a.failed(429, "Too many requests at once")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	a = s.rest("GET", "/keys", "")
	a.refused(429, codeBusy, "")
	io.WriteString(c, "c")
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%v, %v", response, err)
	}
	response.Body.Close()
	for range 500 {
		if a = s.binding("GET", "/k", ""); a.status == 200 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	a.is(200, "abc")
}

// A client that takes its time to send what is refused already keeps nobody out.
func TestRefusedIsNotInFlight(t *testing.T) {
	began := make(chan struct{}, 1000)
	s := start(t, &Config{MaxInFlight: 1, Authorize: func(string) (Grant, bool) {
		began <- struct{}{}
		return grant{read: true, write: true}, true
	}})
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "PUT /k?expiration_ttl=1 HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nContent-Length: 3\r\n\r\nab")
	<-began
	var a *answer
	for range 500 {
		if a = s.binding("GET", "/none", ""); a.status != 429 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	a.failed(404, "Not Found")
}

// Neither does one that takes its time with a long value.
func TestLongAnswerIsNotInFlight(t *testing.T) {
	s := start(t, &Config{MaxInFlight: 1})
	s.binding("PUT", "/k", strings.Repeat("x", 20<<20)).is(200, "")
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /k HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\n\r\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	s.binding("GET", "/none", "").failed(404, "Not Found")
}

func TestEvents(t *testing.T) {
	s := start(t, nil)
	large := strings.Repeat("x", 200_000)
	s.binding("PUT", "/k", large)
	s.rest("GET", "/values/k", "")
	s.binding("GET", "/none", "")
	s.send("GET", "/k", []string{"Firn-Namespace: none"}, "")
	s.send("GET", "/nowhere", nil, "")
	s.rest("PUT", "/bulk", "[]")
	for i, want := range []Event{
		{Protocol: "binding", Operation: "put", NamespaceID: s.id, Status: 200, BytesIn: 200_000},
		{Protocol: "rest", Operation: "get", NamespaceID: s.id, Status: 200, BytesOut: 200_000},
		{Protocol: "binding", Operation: "get", NamespaceID: s.id, Status: 404, BytesOut: 9},
		{Protocol: "binding", Operation: "get", Status: 400, BytesOut: 19},
		{Protocol: "rest", Operation: "none", Status: 404, BytesOut: 154},
		{Protocol: "rest", Operation: "bulk_put", NamespaceID: s.id, Status: 200, BytesIn: 2, BytesOut: 101},
	} {
		got := s.event(i + 1)
		if got.Duration <= 0 {
			t.Errorf("event %d took %v", i, got.Duration)
		}
		got.Duration = 0
		if got != want {
			t.Errorf("event %d: %+v, want %+v", i, got, want)
		}
	}
}

// brokenPool gives no leases, for a reason.
type brokenPool struct {
	Pool
	err error
}

func (p brokenPool) Acquire(context.Context, string) (*namespaces.Lease, error) { return nil, p.err }

func TestFailures(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		text   string
	}{
		{engine.ErrNoSpace, 507, "No space left"},
		{engine.ErrReadOnly, 503, "takes no writes"},
		{engine.ErrClosed, 503, "closed"},
		{&namespaces.InUseError{}, 503, "in use"},
		{errors.New(`key "secret" is not to be seen`), 500, "Internal error"},
		{&engine.CorruptError{File: "000001.seg", Offset: 8, Reason: "secret"}, 500, "Internal error"},
		{&engine.PairError{Key: "secret", Err: engine.ErrKeyNotUTF8}, 400, "UTF-8"},
		{engine.ErrTTLTooShort, 400, "TTL"},
	} {
		c := &Config{}
		s := start(t, c)
		c.Pool = brokenPool{s.pool, fmt.Errorf("wrapped: %w", test.err)}
		s.serve(New(*c))
		a := s.rest("GET", "/values/secret", "")
		if a.status != test.status || !strings.Contains(a.body, test.text) {
			t.Errorf("%v: %d %s", test.err, a.status, a.body)
		}
		if logged := s.log.String(); strings.Contains(logged, "secret") || strings.Contains(logged, "request failed") != (test.status == 500) {
			t.Errorf("%v: the log has %s", test.err, logged)
		}
	}
}

// Nothing that a client may send is answered with a failure of the server.
func TestMalformed(t *testing.T) {
	s := start(t, nil)
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\nFirn-Namespace: \xff\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nFirn-Namespace:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nFirn-Namespace: " + strings.Repeat("n", 5000) + "\r\n\r\n",
		"GET /%zz HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\n\r\n",
		"GET /? HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\n\r\n",
		"GET /?&&=&prefix HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\n\r\n",
		"GET /?prefix=%zz HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET x HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\n\r\n",
		"GET http: HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\n\r\n",
		"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nFirn-Namespace: test\r\n\r\n",
		"GET /k HTTP/1.0\r\nFirn-Namespace: test\r\n\r\n",
		"PUT /k HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nContent-Length: -1\r\n\r\n",
		"PUT /k HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nContent-Length: 9999999999999999999999\r\n\r\n",
		"PUT /k HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nCF-KV-Metadata: \x7f\r\nContent-Length: 0\r\n\r\n",
		"PUT /k?expiration_ttl=%00 HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nContent-Length: 0\r\n\r\n",
		"PUT /k?expiration_ttl=1e400 HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nContent-Length: 0\r\n\r\n",
		"POST /bulk/get HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nContent-Length: 9\r\n\r\n{\"keys\":1",
		"POST /bulk/get HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nContent-Length: 0\r\n\r\n",
		"GET /client/v4/accounts/%00/storage/kv/namespaces/%2e%2e/keys HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /client/v4/accounts/a/storage/kv/namespaces?page=%zz HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /client/v4/accounts/a/storage/kv/namespaces HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\n{\"title\":\"\\u0000\"}",
	} {
		if a := s.raw(request, "GET"); a != nil && a.status >= 500 {
			t.Errorf("%.100q: %d %s", request, a.status, a.body)
		}
	}
	for _, request := range []string{"\r\n\r\n", "\x00", "GET", "GET / HTTP/1.1\r\n"} {
		s.cut(request)
	}
	if logged := s.log.String(); strings.Contains(logged, "request failed") {
		t.Error(logged)
	}
}

// A client that goes away is no failure of the server.
func TestClientGone(t *testing.T) {
	s := start(t, nil)
	s.binding("PUT", "/k", strings.Repeat("x", 20<<20)).is(200, "")
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /k HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\n\r\n")
	bufio.NewReader(c).ReadString('\n')
	c.Close()
	if e := s.event(2); e.Operation != "get" || e.BytesOut >= 20<<20 {
		t.Errorf("%+v", e)
	}
	if logged := s.log.String(); logged != "" {
		t.Error(logged)
	}
}

// Damage in a value is an error, or, behind the header of the response, the end of
// the connection. Nothing damaged is sent.
func TestDamage(t *testing.T) {
	s := start(t, nil)
	value := make([]byte, 4<<20)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(value)
	s.binding("PUT", "/k", string(value)).is(200, "")
	files, err := filepath.Glob(filepath.Join(s.dir, "namespaces", s.id, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{3 << 20, 64 << 10} {
		for _, file := range files {
			flip(t, file, at)
		}
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET /k HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		c.Close()
		switch {
		case at > 1<<20 && (response.StatusCode != 200 || err == nil || !bytes.HasPrefix(value, got) || len(got) == 0):
			t.Errorf("damage at %d: %s, %d bytes, %v", at, response.Status, len(got), err)
		case at < 1<<20 && (response.StatusCode != 500 || err != nil || string(got) != errInternal.text):
			t.Errorf("damage at %d: %s, %d bytes, %v", at, response.Status, len(got), err)
		}
	}
	if logged := s.log.String(); strings.Count(logged, "request failed") != 2 || !strings.Contains(logged, "damaged at") {
		t.Errorf("the log has %s", logged)
	}
}

// flip changes a byte of a file, if the file is that long.
func flip(t *testing.T, file string, at int64) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if n, _ := f.ReadAt(b[:], at); n == 0 {
		return
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func TestMetadataHeader(t *testing.T) {
	s := start(t, nil)
	for _, m := range []string{`{"a":"\u00e9 é 🎿"}`, `"` + strings.Repeat("é", 511) + `"`, `[1,2,{"x":"\\ \" \n"}]`, `0`, `false`, `""`} {
		s.binding("PUT", "/k", "v", "CF-KV-Metadata: "+m).is(200, "")
		if got := s.binding("GET", "/k", "").header.Get("CF-KV-Metadata"); got != m {
			t.Errorf("got %s, want %s", got, m)
		}
		if got := s.rest("GET", "/metadata/k", "").envelope().Result; string(got) != m {
			t.Errorf("got %s, want %s", got, m)
		}
	}
	// What cannot stand in a header comes in through the REST API, or from Go.
	body, header := makeForm([]part{{"metadata", "{\n\t\"a\": \"\x7f\"}"}, {"value", "v"}}, false)
	s.rest("PUT", "/values/k", body, header).result(`{}`)
	if got := s.binding("GET", "/k", "").header.Get("CF-KV-Metadata"); got != `{"a":"\u007f"}` {
		t.Errorf("got %q", got)
	}
	if err := s.store().Put(t.Context(), "k", nil, &engine.PutOptions{Metadata: []byte("{\n\t\"a\":\r\n1}")}); err != nil {
		t.Fatal(err)
	}
	if got := s.binding("GET", "/k", "").header.Get("CF-KV-Metadata"); !sameJSON(got, `{"a":1}`) {
		t.Errorf("got %q", got)
	}
	s.binding("GET", "/", "").is(200, `{"keys":[{"name":"k","metadata":"{\n\t\"a\":\r\n1}"}],"list_complete":true}`)
}
