package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestBindingRoundTrip(t *testing.T) {
	s := start(t, nil)
	at := in(1000)
	s.binding("GET", "/k?urlencoded=true", "").is(404, "Not Found")
	s.binding("PUT", "/k?urlencoded=true&expiration="+at, "value", "Content-Type: text/plain;charset=UTF-8", `CF-KV-Metadata: {"a":"é🎿"}`).is(200, "")
	a := s.binding("GET", "/k?urlencoded=true&cache_ttl=60", "")
	a.is(200, "value")
	if got := a.header.Get("CF-KV-Metadata"); got != `{"a":"é🎿"}` {
		t.Errorf("metadata %q", got)
	}
	if got := a.header.Get("CF-Expiration"); got != at {
		t.Errorf("expiration %q, want %s", got, at)
	}
	if got := a.header.Get("Content-Type"); got != "application/octet-stream" || a.header.Get("Content-Encoding") != "" {
		t.Errorf("header %v", a.header)
	}
	s.binding("PUT", "/k?urlencoded=true", "").is(200, "")
	a = s.binding("GET", "/k?urlencoded=true", "")
	a.is(200, "")
	if a.header.Get("CF-KV-Metadata") != "" || a.header.Get("CF-Expiration") != "" || a.header.Get("Content-Length") != "0" {
		t.Errorf("after a put without: %v", a.header)
	}
	s.binding("DELETE", "/k?urlencoded=true", "").is(200, "")
	s.binding("DELETE", "/k?urlencoded=true", "").is(200, "")
	s.binding("GET", "/k?urlencoded=true", "").is(404, "Not Found")
	chunked := s.raw("PUT /c?urlencoded=true HTTP/1.1\r\nHost: h\r\nFirn-Namespace: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "PUT")
	chunked.is(200, "")
	s.binding("GET", "/c?urlencoded=true", "").is(200, "abcde")
}

func TestBindingMessages(t *testing.T) {
	s := start(t, nil)
	s.binding("PUT", "/text", "not json").is(200, "")
	big := strings.Repeat("x", 9<<20)
	for i := range 3 {
		s.binding("PUT", fmt.Sprintf("/big%d", i), big).is(200, "")
	}
	long := strings.Repeat("k", 513)
	soon, past := in(30), in(-5)
	many := `"` + strings.Repeat(`a","`, 100) + `a"`
	tests := []struct {
		method, target, body, header string
		status                       int
		text                         string
	}{
		{"GET", "/" + long, "", "", 414, "UTF-8 encoded length of 513 exceeds key length limit of 512."},
		{"PUT", "/" + long, "v", "", 414, "UTF-8 encoded length of 513 exceeds key length limit of 512."},
		{"PUT", "/k?expiration_ttl=0", "v", "", 400, "Invalid expiration_ttl of 0. Please specify integer greater than 0."},
		{"PUT", "/k?expiration_ttl=-5", "v", "", 400, "Invalid expiration_ttl of -5. Please specify integer greater than 0."},
		{"PUT", "/k?expiration_ttl=nope", "v", "", 400, "Invalid expiration_ttl of nope. Please specify integer greater than 0."},
		{"PUT", "/k?expiration_ttl=", "v", "", 400, "Invalid expiration_ttl of . Please specify integer greater than 0."},
		{"PUT", "/k?expiration_ttl=30", "v", "", 400, "Invalid expiration_ttl of 30. Expiration TTL must be at least 60."},
		{"PUT", "/k?expiration_ttl=30&expiration=" + in(1000), "v", "", 400, "Invalid expiration_ttl of 30. Expiration TTL must be at least 60."},
		{"PUT", "/k?expiration=0", "v", "", 400, "Invalid expiration of 0. Please specify integer greater than the current number of seconds since the UNIX epoch."},
		{"PUT", "/k?expiration=" + past, "v", "", 400, "Invalid expiration of " + past + ". Please specify integer greater than the current number of seconds since the UNIX epoch."},
		{"PUT", "/k?expiration=" + soon, "v", "", 400, "Invalid expiration of " + soon + ". Expiration times must be at least 60 seconds in the future."},
		{"PUT", "/k", "v", `CF-KV-Metadata: "` + strings.Repeat("m", 1023) + `"`, 413, "Metadata length of 1025 exceeds limit of 1024."},
		{"PUT", "/k", "v", "CF-KV-Metadata: undefined", 400, "Metadata is not valid JSON"},
		{"PUT", "/k", "v", "CF-KV-Metadata: \"\xff\"", 400, "Metadata is not valid JSON"},
		{"GET", "/k?cache_ttl=10", "", "", 400, "Invalid cache_ttl of 10. Cache TTL must be at least 30."},
		{"GET", "/?key_count_limit=1001", "", "", 400, "Invalid key_count_limit of 1001. Please specify an integer less than 1000."},
		{"GET", "/?key_count_limit=0", "", "", 400, "Invalid key_count_limit of 0. Please specify an integer greater than 0."},
		{"GET", "/?key_count_limit=-1", "", "", 400, "Invalid key_count_limit of -1. Please specify an integer greater than 0."},
		{"GET", "/?prefix=" + long, "", "", 414, "UTF-8 encoded length of 513 exceeds key length limit of 512."},
		{"GET", "/?prefix=%ff", "", "", 400, "Could not URL-decode prefix"},
		{"GET", "/%ff", "", "", 400, "Could not URL-decode key name"},
		{"PUT", "/.", "v", "", 400, `Illegal key name ".". Please use a different name.`},
		{"GET", "/..", "", "", 400, `Illegal key name "..". Please use a different name.`},
		{"PUT", "/", "v", "", 400, "Key names must not be empty"},
		{"POST", "/bulk/get", `{"keys":[""]}`, "", 400, "Key names must not be empty"},
		{"POST", "/bulk/get", `{"keys":["a","."]}`, "", 400, `Illegal key name ".". Please use a different name.`},
		{"POST", "/bulk/get", `{"keys":["` + long + `"]}`, "", 414, "UTF-8 encoded length of 513 exceeds key length limit of 512."},
		{"POST", "/bulk/get", `{"keys":["big0","big1","big2"]}`, "", 413, "Total size of request exceeds the limit of 25MB"},
		{"POST", "/bulk/get", `{"keys":[` + many + `]}`, "", 400, "You can request a maximum of 100 keys"},
		{"POST", "/bulk/get", `{"keys":[]}`, "", 400, "You must request a minimum of 1 key"},
		{"POST", "/bulk/get", `{}`, "", 400, "You must request a minimum of 1 key"},
		{"POST", "/bulk/get", `{"keys":["a"],"type":"x"}`, "", 400, `"x" is not a valid type. Use "json" or "text"`},
		{"POST", "/bulk/get", `{"keys":["text"],"type":"json"}`, "", 400, "At least one of the requested keys corresponds to a non-json value"},
		{"POST", "/bulk/get", `{"keys":["a"],"cacheTtl":"10"}`, "", 400, "Invalid cache_ttl of 10. Cache TTL must be at least 30."},
		{"HEAD", "/k", "", "", 405, ""},
		{"PATCH", "/k", "v", "", 405, "Method Not Allowed"},
		{"POST", "/k", "v", "", 405, "Method Not Allowed"},
	}
	for _, test := range tests {
		t.Run(test.method+test.text, func(t *testing.T) {
			var headers []string
			if test.header != "" {
				headers = []string{test.header}
			}
			a := s.binding(test.method, test.target, test.body, headers...)
			a.t = t
			if test.method == "HEAD" {
				a.is(405, "")
				return
			}
			a.failed(test.status, test.text)
		})
	}
	if a := s.binding("GET", "/?cursor=%21", ""); a.status != 400 || !strings.Contains(a.phrase, "cursor") {
		t.Errorf("bad cursor: %d %q", a.status, a.phrase)
	}
	s.send("GET", "/k", []string{"Firn-Namespace: missing"}, "").failed(400, "namespace not found")
	s.send("PUT", "/k", []string{"Firn-Namespace: missing"}, "v").failed(400, "namespace not found")
	s.send("PUT", "/k", []string{"Firn-Namespace: " + s.id}, "by id").is(200, "")
	s.binding("GET", "/k", "").is(200, "by id")
}

func TestBindingBulkGet(t *testing.T) {
	s := start(t, nil)
	s.binding("PUT", "/a", `{"x":1}`, `CF-KV-Metadata: {"m":true}`).is(200, "")
	s.binding("PUT", "/b", "\xffé\"\x01").is(200, "")
	s.binding("PUT", "/bulk%2Fget", "a key").is(200, "")
	s.binding("GET", "/bulk%2Fget", "").is(200, "a key")
	s.binding("POST", "/bulk/get", `{"keys":["b","none","a","b"]}`).is(200, `{"b":"�é\"\u0001","none":null,"a":"{\"x\":1}"}`)
	s.binding("POST", "/bulk/get", `{"keys":["a","none"],"type":"json","cacheTtl":"30"}`).is(200, `{"a":{"x":1},"none":null}`)
	s.binding("POST", "/bulk/get", `{"keys":["a","b","none"],"withMetadata":true}`).is(200,
		`{"a":{"value":"{\"x\":1}","metadata":{"m":true}},"b":{"value":"�é\"\u0001","metadata":null},"none":null}`)
	// 100 keys, of which each is long.
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("%0512d", i)
	}
	asked, _ := json.Marshal(map[string]any{"keys": keys})
	if a := s.binding("POST", "/bulk/get", string(asked)); a.status != 200 || strings.Count(a.body, ":null") != 100 {
		t.Errorf("100 keys: %d %.100s", a.status, a.body)
	}
}

func TestBindingList(t *testing.T) {
	s := start(t, nil)
	s.binding("GET", "/", "").is(200, `{"keys":[],"list_complete":true}`)
	at := in(1000)
	s.binding("PUT", "/a%20b?expiration="+at, "1", `CF-KV-Metadata: {"q":"\""}`)
	s.binding("PUT", "/a%20c", "1", "CF-KV-Metadata: null")
	s.binding("PUT", "/b", "1")
	s.binding("GET", "/?prefix=&cursor=", "").is(200,
		`{"keys":[{"name":"a b","expiration":`+at+`,"metadata":"{\"q\":\"\\\"\"}"},{"name":"a c"},{"name":"b"}],"list_complete":true}`)
	first := s.binding("GET", "/?key_count_limit=1&prefix=a+", "")
	var page struct {
		Keys         []struct{ Name string }
		ListComplete bool `json:"list_complete"`
		Cursor       string
	}
	if err := json.Unmarshal([]byte(first.body), &page); err != nil || len(page.Keys) != 1 || page.ListComplete || page.Cursor == "" {
		t.Fatalf("%s: %v", first.body, err)
	}
	s.binding("GET", "/?key_count_limit=1000&prefix=a+&cursor="+url.QueryEscape(page.Cursor), "").is(200, `{"keys":[{"name":"a c"}],"list_complete":true}`)
}

func TestDefaultNamespace(t *testing.T) {
	s := start(t, nil)
	in := []string{"Firn-Namespace: default"}
	s.send("GET", "/k", in, "").is(404, "Not Found")
	s.send("DELETE", "/k", in, "").is(200, "")
	s.send("GET", "/", in, "").is(200, `{"keys":[],"list_complete":true}`)
	s.send("POST", "/bulk/get", in, `{"keys":["a"]}`).is(200, `{"a":null}`)
	if all, err := s.pool.List(t.Context()); err != nil || len(all) != 1 {
		t.Fatalf("reads and deletes made a namespace: %v, %v", all, err)
	}
	s.send("PUT", "/k", in, "v").is(200, "")
	s.send("GET", "/k", in, "").is(200, "v")
	s.send("GET", "/k", []string{"Firn-Namespace: Default"}, "").failed(400, "namespace not found")
}

func TestRename(t *testing.T) {
	s := start(t, nil)
	s.binding("PUT", "/k", "v").is(200, "")
	s.binding("GET", "/k", "").is(200, "v")
	s.rest("PUT", "", `{"title":"other"}`).result(`{"id":"` + s.id + `","title":"other","supports_url_encoding":true}`)
	s.binding("GET", "/k", "").failed(400, "namespace not found")
	s.send("GET", "/k", []string{"Firn-Namespace: other"}, "").is(200, "v")
	s.send("POST", account, nil, `{"title":"test"}`)
	s.binding("GET", "/k", "").is(404, "Not Found")
	// A title that is spelled like an id.
	odd := strings.Repeat("0", 32)
	s.send("POST", account, nil, `{"title":"`+odd+`"}`)
	s.send("PUT", "/k", []string{"Firn-Namespace: " + odd}, "odd").is(200, "")
	s.send("GET", "/k", []string{"Firn-Namespace: " + odd}, "").is(200, "odd")
}
