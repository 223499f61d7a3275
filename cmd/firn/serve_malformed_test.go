package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// wellFormed are requests of both protocols, to be spoiled: the lines of the head
// but for Host and Content-Length, an empty one, and the body.
var wellFormed = []string{
	"GET /key?urlencoded=true&cache_ttl=60\nFirn-Namespace: {id}\n\n",
	"PUT /key?urlencoded=true&expiration_ttl=60\nFirn-Namespace: {id}\nCF-KV-Metadata: {\"a\":1}\n\nvalue",
	"PUT /key?urlencoded=true\nFirn-Namespace: {id}\nTransfer-Encoding: chunked\n\n5\r\nvalue\r\n0\r\n\r\n",
	"DELETE /key?urlencoded=true\nFirn-Namespace: {id}\n\n",
	"GET /?prefix=k&key_count_limit=10&cursor=\nFirn-Namespace: {id}\n\n",
	"POST /bulk/get\nFirn-Namespace: {id}\n\n" + `{"keys":["key","b"],"type":"json","withMetadata":true}`,
	"GET {api}/{id}/values/key\n\n",
	"GET {api}/{id}/metadata/key%2Fa\n\n",
	"GET {api}/{id}/keys?limit=10&prefix=k&cursor=\nConnection: close\n\n",
	"PUT {api}/{id}/values/key?expiration=4000000000\n\nvalue",
	"PUT {api}/{id}/values/key\nContent-Type: multipart/form-data; boundary=b\n\n" +
		"--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nvalue\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"a\":[1,true,null]}\r\n--b--\r\n",
	"PUT {api}/{id}/bulk\n\n" +
		`[{"key":"key","value":"dg==","base64":true,"expiration_ttl":60,"metadata":{"a":1}},{"key":"b","value":""}]`,
	"POST {api}/{id}/bulk/get\n\n" + `{"keys":["key"]}`,
	"POST {api}/{id}/bulk/delete\n\n" + `["key","b"]`,
	"GET {api}?page=1&per_page=20&order=id&direction=desc\n\n",
	"POST {api}\n\n" + `{"title":"other"}`,
	"PUT {api}/{id}\n\n" + `{"title":"newer"}`,
	"GET /client/v4/memberships\n\n",
	"GET /readyz\n\n",
}

// tricky is what is put into requests.
var tricky = []string{
	"\r\n", "\n", "\r", "\x00", "\xff", " ", "%00", "%", "%zz", "%2e%2e%2f", "/../", "//", "?", "&", "=", "\"", "\\", "\\ud800", "{", "[", "}", "]", ",", ":",
	"null", "-1", "1e999", "18446744073709551616", "0x10", "NaN", "\u2028", "é", "--b", "--b--", "Content-Length: 3\r\n", "Content-Length: 18446744073709551615\r\n",
	"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n", "Expect: 100-continue\r\n", "Upgrade: websocket\r\nConnection: upgrade\r\n", "Host: evil\r\n",
	"Firn-Namespace: \r\n", "HTTP/0.9", "HTTP/2.0", "CONNECT ", "Content-Type: multipart/form-data; boundary=\r\n", strings.Repeat("A", 5000), strings.Repeat("[", 3000),
	strings.Repeat("X: y\r\n", 2000), strings.Repeat("%41", 600),
}

// malformed makes a request out of one that is well formed: of its target, its
// headers, its body or all of it, some places are spoiled.
func malformed(rnd *rand.Rand, request string) string {
	head, body, _ := strings.Cut(request, "\n\n")
	target, headers, _ := strings.Cut(head, "\n")
	what := rnd.IntN(5)
	switch {
	case what == 0:
		target = spoil(rnd, target)
	case what == 1 && headers != "":
		headers = spoil(rnd, headers)
	case what < 4:
		body = spoil(rnd, body)
	}
	var b strings.Builder
	b.WriteString(target + " HTTP/1.1\r\nHost: fake-host\r\n")
	for line := range strings.Lines(headers) {
		b.WriteString(strings.TrimSuffix(line, "\n") + "\r\n")
	}
	if body != "" && !strings.Contains(headers, "chunked") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	if what == 4 {
		return spoil(rnd, b.String())
	}
	return b.String()
}

// spoil changes a text at some places.
func spoil(rnd *rand.Rand, text string) string {
	for range 1 + rnd.IntN(3) {
		at := rnd.IntN(len(text) + 1)
		to := min(len(text), at+1+rnd.IntN(1+rnd.IntN(40)))
		switch rnd.IntN(6) {
		case 0:
			text = text[:at] + tricky[rnd.IntN(len(tricky))] + text[at:]
		case 1:
			text = text[:at] + tricky[rnd.IntN(len(tricky))] + text[to:]
		case 2:
			text = text[:at] + text[to:]
		case 3:
			text = text[:to] + text[at:]
		case 4:
			text = text[:at] + string([]byte{byte(rnd.IntN(256))}) + text[to:]
		default:
			if rnd.IntN(3) == 0 {
				text = text[:at]
			}
		}
	}
	return text
}

// Nothing that is sent makes the server fail, or keep anything.
func TestMalformedRequests(t *testing.T) {
	f := newFirn(t)
	const clients = 40
	requests := 10_000
	if testing.Short() {
		requests = 1000
	}
	s := f.serve("--admin", "127.0.0.1:0", "--log-format", "json")
	_, started, _ := strings.Cut(s.log.String(), `"admin":"`)
	admin, _, _ := strings.Cut(started, `"`)
	id := s.create("test")
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("FIRN_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FIRN_SEED=%d", seed)
	before := s.goroutines(admin)
	var sending sync.WaitGroup
	answers := make([]map[int]int, clients)
	for c := range clients {
		answers[c] = map[int]int{}
		sending.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(c)))
			for range requests / clients {
				request := wellFormed[rnd.IntN(len(wellFormed))]
				request = strings.NewReplacer("{api}", "/client/v4/accounts/a/storage/kv/namespaces", "{id}", id).Replace(request)
				request = malformed(rnd, request)
				for _, status := range s.sendRaw(request) {
					answers[c][status/100]++
					// That one is what RFC 9112, section 6.1, asks for.
					if status >= 500 && !(status == 501 && strings.Contains(request, "Transfer-Encoding")) {
						t.Errorf("%d to %q", status, request)
					}
				}
			}
		})
	}
	sending.Wait()
	all := map[int]int{}
	for _, a := range answers {
		for class, n := range a {
			all[class] += n
		}
	}
	t.Logf("answers: %v", all)
	if all[4] < requests/4 || all[2] < requests/20 {
		t.Errorf("the requests are not what they should be: %v", all)
	}
	if status, body := s.get("http://"+s.addr+"/client/v4/accounts/a/storage/kv/namespaces/"+id+"/keys", ""); status != 200 {
		t.Errorf("afterwards: %d %s", status, body)
	}
	if log := s.log.String(); strings.Contains(log, "panic") || strings.Contains(log, `"ERROR"`) {
		t.Errorf("the log has\n%.5000s", log)
	}
	s.eventually("its goroutines are gone", func() bool { return s.goroutines(admin) <= before })
}

// goroutines returns how many the server has, but for those of stores, by its admin
// address.
func (s *serving) goroutines(admin string) (n int) {
	s.t.Helper()
	_, profile := s.get("http://"+admin+"/debug/pprof/goroutine?debug=1", "")
	_, stacks, _ := strings.Cut(profile, "\n")
	for stack := range strings.SplitSeq(strings.TrimSpace(stacks), "\n\n") {
		of := 0
		if _, err := fmt.Sscanf(stack, "%d @", &of); err != nil {
			s.t.Fatalf("%s: %v", profile, err)
		}
		if !strings.Contains(stack, "firn/engine.") {
			n += of
		}
	}
	return n
}

// sendRaw sends what may be a request, and returns the status of each answer.
func (s *serving) sendRaw(request string) (statuses []int) {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Error(err)
		return nil
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(conn, request) // the server may have had enough before
		conn.(*net.TCPConn).CloseWrite()
	}()
	defer func() { conn.Close(); <-sent }()
	method, _, _ := strings.Cut(request, " ")
	for r := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return statuses
		}
		statuses = append(statuses, response.StatusCode)
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return statuses
		}
	}
}

// create makes a namespace and returns its id.
func (s *serving) create(title string) string {
	s.t.Helper()
	url := "http://" + s.addr + "/client/v4/accounts/a/storage/kv/namespaces"
	response, err := s.http.Post(url, "application/json", strings.NewReader(fmt.Sprintf("{%q:%q}", "title", title)))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	_, id, _ := bytes.Cut(body, []byte(`"id":"`))
	if len(id) < 32 {
		s.t.Fatalf("%s %s", response.Status, body)
	}
	return string(id[:32])
}
