package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

func TestRESTValues(t *testing.T) {
	s := start(t, nil)
	at := in(1000)
	s.rest("GET", "/values/k", "").refused(404, codeNoKey, "key not found")
	s.rest("GET", "/metadata/k", "").refused(404, codeNoKey, "key not found")
	s.rest("DELETE", "/values/k", "").result(`{}`)
	s.rest("PUT", "/values/k?expiration="+at, "a=b&c", "Content-Type: application/x-www-form-urlencoded").result(`{}`)
	a := s.rest("GET", "/values/k", "")
	a.is(200, "a=b&c")
	if a.header.Get("expiration") != at || a.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("header %v", a.header)
	}
	s.rest("PUT", "/values/k?expiration_ttl=100.9&expiration=1", "v").result(`{}`)
	got, err := strconv.ParseInt(s.rest("GET", "/values/k", "").header.Get("expiration"), 10, 64)
	want, _ := strconv.ParseInt(in(100), 10, 64)
	if err != nil || got < want-5 || got > want {
		t.Errorf("expires at %d, want about %d", got, want)
	}
	s.rest("PUT", "/values/k", "").result(`{}`)
	if a := s.rest("GET", "/values/k", ""); a.body != "" || a.header.Get("expiration") != "" {
		t.Errorf("after a put without: %q, %v", a.body, a.header)
	}
}

func TestRESTRefusals(t *testing.T) {
	s := start(t, nil)
	long := strings.Repeat("k", 513)
	pair := func(members string) string { return `[{"key":"good","value":"1"},{` + members + `}]` }
	tests := []struct {
		method, path, body string
		status, code       int
		text               string
	}{
		{"PUT", "/values/" + long, "v", 414, codeBad, "UTF-8 encoded length of 513 exceeds"},
		{"PUT", "/values/", "v", 400, codeBad, "must not be empty"},
		{"PUT", "/values/..", "v", 400, codeBad, `Illegal key name ".."`},
		{"GET", "/values/%ff", "", 400, codeBad, "Could not URL-decode"},
		{"PUT", "/values/k?expiration_ttl=59", "v", 400, codeBad, "at least 60"},
		{"PUT", "/values/k?expiration_ttl=99999999999999999999", "v", 400, codeBad, "at most"},
		{"PUT", "/values/k?expiration%5Fttl=59", "v", 400, codeBad, "at least 60"},
		{"PUT", "/values/k?expiration_ttl=%zz", "v", 400, codeBad, "decode expiration_ttl"},
		{"PUT", "/values/k?expiration=NaN", "v", 400, codeBad, "Invalid expiration of NaN"},
		{"PUT", "/values/k?expiration=" + in(10), "v", 400, codeBad, "at least 60 seconds"},
		{"GET", "/keys?limit=1001", "", 400, codeBad, "Invalid limit of 1001"},
		{"GET", "/keys?limit=x", "", 400, codeBad, "Invalid limit of x"},
		{"GET", "/keys?cursor=!", "", 400, codeBad, "cursor"},
		{"GET", "/keys?prefix=" + long, "", 414, codeBad, "513"},
		{"POST", "/values/k", "v", 405, codeMethod, ""},
		{"PUT", "/metadata/k", "v", 405, codeMethod, ""},
		{"POST", "/keys", "v", 405, codeMethod, ""},
		{"GET", "/bulk", "", 405, codeMethod, ""},
		{"GET", "/bulk/get", "", 405, codeMethod, ""},
		{"PUT", "/bulk/delete", "[]", 405, codeMethod, ""},
		{"PATCH", "", "", 405, codeMethod, ""},
		{"GET", "/nothing", "", 404, codeRoute, ""},
		{"GET", "/values", "", 404, codeRoute, ""},
		{"GET", "/", "", 404, codeRoute, ""},
		{"PUT", "/bulk", "", 400, codeBad, "ends in the middle"},
		{"PUT", "/bulk", "{}", 400, codeBad, "not the expected JSON: no '['"},
		{"PUT", "/bulk", "[] []", 400, codeBad, "more than one"},
		{"PUT", "/bulk", pair(``), 400, codeBad, `pair 1: "key" is missing`},
		{"PUT", "/bulk", pair(`"key":null,"value":"v"`), 400, codeBad, `"key" is missing`},
		{"PUT", "/bulk", pair(`"key":"k"`), 400, codeBad, `pair 1, key "k": "value" is missing`},
		{"PUT", "/bulk", pair(`"key":"k","value":5`), 400, codeBad, "not the expected JSON"},
		{"PUT", "/bulk", pair(`"key":"k","value":"*","base64":true`), 400, codeBad, "not base64"},
		{"PUT", "/bulk", pair(`"key":"k","value":"v","base64":1`), 400, codeBad, "neither true nor false"},
		{"PUT", "/bulk", pair(`"key":"` + long + `","value":"v"`), 414, codeBad, "length of 513"},
		{"PUT", "/bulk", pair(`"key":"..","value":"v"`), 400, codeBad, "Illegal key name"},
		{"PUT", "/bulk", pair(`"key":"k","value":"v","expiration_ttl":59.9`), 400, codeBad, "at least 60"},
		{"PUT", "/bulk", pair(`"key":"k","value":"v","expiration":1`), 400, codeBad, "greater than the current"},
		{"PUT", "/bulk", pair(`"key":"k","value":"v","expiration":"1"`), 400, codeBad, "no number"},
		{"PUT", "/bulk", pair(`"key":"k","value":"v","metadata":"` + strings.Repeat("m", 1023) + `"`), 413, codeBad, "Metadata length of 1025 exceeds limit of 1024."},
		{"PUT", "/bulk", pair(`"key":"k","value":"` + "\xff" + `"`), 400, codeBad, "not UTF-8"},
		{"PUT", "/bulk", "[" + strings.Repeat(`{"key":"k","value":""},`, 10000) + `{"key":"k","value":""}]`, 400, codeBad, "at most 10000 pairs"},
		{"DELETE", "/bulk", `["good",1]`, 400, codeBad, "not the expected JSON"},
		{"DELETE", "/bulk", `["good",""]`, 400, codeBad, "pair 1: Key names must not be empty"},
		{"POST", "/bulk/delete", `["` + long + `"]`, 414, codeBad, "513"},
		{"POST", "/bulk/delete", "[" + strings.Repeat(`"k",`, 10000) + `"k"]`, 400, codeBad, "at most 10000 keys"},
		{"POST", "/bulk/get", `{"keys":["."]}`, 400, codeBad, "Illegal key name"},
		{"PUT", "", `{"title":"x","more":"` + strings.Repeat("m", maxTitleBody) + `"}`, 413, codeBad, "under 65536 bytes"},
		{"PUT", "", `{"title":""}`, 400, codeBad, "title"},
		{"PUT", "", `{"title":"` + strings.Repeat("é", 513) + `"}`, 400, codeBad, "513 characters"},
		{"PUT", "", `{}`, 400, codeBad, `"title" is missing`},
		{"PUT", "", `title`, 400, codeBad, "not the expected JSON"},
	}
	s.rest("PUT", "/values/good", "before").result(`{}`)
	for i, test := range tests {
		t.Run(fmt.Sprintf("%d_%s_%.20s", i, test.method, test.path), func(t *testing.T) {
			a := s.rest(test.method, test.path, test.body)
			a.t = t
			a.refused(test.status, test.code, test.text)
		})
	}
	s.rest("GET", "/values/good", "").is(200, "before")
	for _, target := range []string{"/", "/client/v4", "/client/v4/", "/client/v4/zones", "/client/v4/accounts/a", "/client/v4/accounts//storage/kv/namespaces",
		"/client/v4/accounts/a/storage/kv/namespacesx", "/client/v5/accounts", "/favicon.ico", "//client/v4/accounts"} {
		s.send("GET", target, nil, "").refused(404, codeRoute, "")
	}
	missing := account + "/" + strings.Repeat("a", 32)
	for _, path := range []string{"", "/values/k", "/metadata/k", "/keys"} {
		s.send("GET", missing+path, nil, "").refused(404, codeNoNamespace, "namespace not found")
	}
	s.send("PUT", missing+"/values/k", nil, "v").refused(404, codeNoNamespace, "")
	s.send("PUT", missing+"/bulk", nil, "[]").refused(404, codeNoNamespace, "")
	s.send("GET", account+"/test/keys", nil, "").refused(404, codeNoNamespace, "")
}

func TestRESTList(t *testing.T) {
	s := start(t, nil)
	at := in(1000)
	s.rest("PUT", "/bulk", `[{"key":"p/1","value":"a","expiration":`+at+`.75,"metadata":{"a": [1, "x y"]}},{"key":"p/2","value":"b","metadata":null},{"key":"q","value":""}]`).
		result(`{"successful_key_count":3,"unsuccessful_keys":[]}`)
	e := s.rest("GET", "/keys?prefix=p%2F&limit=1", "").envelope()
	if got, want := string(e.Result), `[{"name":"p/1","expiration":`+at+`,"metadata":{"a":[1,"x y"]}}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var info struct {
		Count  int
		Cursor string
	}
	if err := json.Unmarshal(e.ResultInfo, &info); err != nil || info.Count != 1 || info.Cursor == "" {
		t.Fatalf("%s: %v", e.ResultInfo, err)
	}
	e = s.rest("GET", "/keys?prefix=p%2F&limit=10&cursor="+url.QueryEscape(info.Cursor), "").envelope()
	if !sameJSON(string(e.Result), `[{"name":"p/2"}]`) || !sameJSON(string(e.ResultInfo), `{"count":1,"cursor":""}`) {
		t.Errorf("got %s %s", e.Result, e.ResultInfo)
	}
}

// No page of the REST API is empty but the last, however many dead keys there are.
func TestNoEmptyPage(t *testing.T) {
	s := start(t, nil)
	store := s.store()
	for range 2 {
		var b engine.Batch
		for i := range 9000 {
			b.Put(fmt.Sprintf("dead %05d", i), nil, nil)
		}
		if err := store.Write(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		b.Reset()
		for i := range 9000 {
			b.Delete(fmt.Sprintf("dead %05d", i))
		}
		if err := store.Write(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	s.rest("PUT", "/values/z", "v").result(`{}`)
	page, err := store.List(t.Context(), engine.ListOptions{Limit: 1})
	if err != nil || len(page.Keys) != 0 || page.Cursor == "" {
		t.Fatalf("the store gives no empty page here: %v, %v", page, err)
	}
	s.rest("GET", "/keys?limit=1", "").result(`[{"name":"z"}]`)
}

// store returns the store of the namespace.
func (s *server) store() *engine.Store {
	lease, err := s.pool.Acquire(s.t.Context(), s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(lease.Release)
	return lease.Store()
}

func TestRESTBulk(t *testing.T) {
	s := start(t, nil)
	s.rest("PUT", "/bulk", ` [ {"value":"AP+A","base64":true,"key":"bin","color":{"x":[1e5,-0.5,"\u00e9",true,null]}} , {"key":"\u0000\ud83c\udfbf\ud800x","value":"\"\\\/\b\f\n\r\tA\ud800\ud83c\udfbf","expiration_ttl":60.5},
		{"key":"bin2","value":"AP\n+A\n","base64":true},{"key":"k","value":"1"},{"key":"k","value":"2"}] `).result(`{"successful_key_count":5,"unsuccessful_keys":[]}`)
	s.rest("GET", "/values/bin", "").is(200, "\x00\xff\x80")
	s.rest("GET", "/values/bin2", "").is(200, "\x00\xff\x80")
	s.rest("GET", "/values/k", "").is(200, "2")
	s.rest("GET", "/values/"+component("\x00🎿\ufffdx"), "").is(200, "\"\\/\b\f\n\r\tA\ufffd🎿")
	s.rest("PUT", "/values/e?expiration=4102444800", "v").result(`{}`)
	s.rest("POST", "/bulk/get", `{"keys":["k","none","e","k"]}`).result(`{"values":{"k":"2","none":null,"e":"v"}}`)
	s.rest("POST", "/bulk/get", `{"keys":["k","none","e"],"withMetadata":true,"type":"text"}`).
		result(`{"values":{"k":{"value":"2","metadata":null},"none":null,"e":{"value":"v","metadata":null,"expiration":4102444800}}}`)
	s.rest("POST", "/bulk/get", `{"keys":["k"],"type":"json"}`).result(`{"values":{"k":2}}`)
	s.rest("DELETE", "/bulk", `["k","none"]`).result(`{"successful_key_count":2,"unsuccessful_keys":[]}`)
	s.rest("POST", "/bulk/delete", `["bin"]`).result(`{"successful_key_count":1,"unsuccessful_keys":[]}`)
	s.rest("POST", "/bulk/get", `{"keys":["bin","k"]}`).result(`{"values":{"k":null,"bin":null}}`)
	s.rest("PUT", "/bulk", `[]`).result(`{"successful_key_count":0,"unsuccessful_keys":[]}`)
}

func TestNamespaces(t *testing.T) {
	s := start(t, nil)
	first := `{"id":"` + s.id + `","title":"test","supports_url_encoding":true}`
	s.rest("GET", "", "").result(first)
	e := s.send("GET", account, nil, "").envelope()
	if !sameJSON(string(e.Result), "["+first+"]") || !sameJSON(string(e.ResultInfo), `{"page":1,"per_page":20,"count":1,"total_count":1,"total_pages":1}`) {
		t.Errorf("%s %s", e.Result, e.ResultInfo)
	}
	for i := range 24 {
		a := s.send("POST", account, []string{"Content-Type: application/json"}, fmt.Sprintf(`{"other":[],"title":"t %02d é"}`, i))
		var ns struct{ ID, Title string }
		if err := json.Unmarshal(a.envelope().Result, &ns); err != nil || !regexp.MustCompile("^[0-9a-f]{32}$").MatchString(ns.ID) || ns.Title != fmt.Sprintf("t %02d é", i) {
			t.Errorf("%s: %v", a.body, err)
		}
	}
	s.send("POST", account, nil, `{"title":"t 01 é"}`).refused(400, codeTitleInUse, "in use")
	s.rest("PUT", "", `{"title":"t 01 é"}`).refused(400, codeTitleInUse, "in use")
	list := func(query string) (titles []string, info string) {
		t.Helper()
		e := s.send("GET", account+query, nil, "").envelope()
		var all []struct{ ID, Title string }
		if err := json.Unmarshal(e.Result, &all); err != nil {
			t.Fatal(err)
		}
		for _, ns := range all {
			titles = append(titles, ns.Title)
		}
		return titles, string(e.ResultInfo)
	}
	if got, info := list("?per_page=10&page=3"); len(got) != 5 || got[4] != "test" || info != `{"page":3,"per_page":10,"count":5,"total_count":25,"total_pages":3}` {
		t.Errorf("page 3: %q %s", got, info)
	}
	if got, info := list("?per_page=10&page=4"); len(got) != 0 || !strings.Contains(info, `"count":0,"total_count":25`) {
		t.Errorf("page 4: %q %s", got, info)
	}
	if got, info := list("?per_page=1000&order=title&direction=desc"); len(got) != 25 || got[0] != "test" || got[24] != "t 00 é" {
		t.Errorf("descending: %q %s", got, info)
	}
	up, _ := list("?per_page=100&order=id&direction=asc")
	down, _ := list("?per_page=100&order=id&direction=desc")
	for i := range up {
		if up[i] != down[24-i] {
			t.Fatalf("%q and %q", up, down)
		}
	}
	for _, query := range []string{"?page=0", "?page=x", "?per_page=-1", "?order=color", "?direction=up"} {
		s.send("GET", account+query, nil, "").refused(400, codeBad, "Invalid")
	}
	s.send("PATCH", account, nil, "{}").refused(405, codeMethod, "")
}

func TestDeleteNamespace(t *testing.T) {
	s := start(t, nil)
	s.binding("PUT", "/k", "v").is(200, "")
	s.rest("DELETE", "", "").result(`{}`)
	s.rest("DELETE", "", "").refused(404, codeNoNamespace, "")
	s.rest("GET", "/values/k", "").refused(404, codeNoNamespace, "")
	s.binding("GET", "/k", "").failed(400, "namespace not found")
}

func TestAccount(t *testing.T) {
	s := start(t, &Config{AccountID: "acc"})
	s.send("GET", "/client/v4/accounts", nil, "").result(`[{"id":"acc","name":"Firn"}]`)
	for _, list := range []string{"accounts", "memberships"} { // the SDKs ask until a page is empty
		s.send("GET", "/client/v4/"+list+"?page=2", nil, "").result("[]")
	}
	s.send("GET", "/client/v4/accounts?page=1", nil, "").result(`[{"id":"acc","name":"Firn"}]`)
	s.send("GET", "/client/v4/memberships", nil, "").result(`[{"id":"acc","status":"accepted","account":{"id":"acc","name":"Firn"}}]`)
	s.send("GET", "/client/v4/user/tokens/verify", nil, "").result(`{"id":"acc","status":"active"}`)
	s.send("GET", "/client/v4/user", nil, "").result(`{"id":"acc","email":"firn@localhost"}`)
	s.send("POST", "/client/v4/user", nil, "").refused(405, codeMethod, "")
}

var _ Pool = (*namespaces.Pool)(nil)

func decodeNamespaces(t *testing.T, a *answer) (all []namespaces.Namespace) {
	t.Helper()
	if err := json.Unmarshal(a.envelope().Result, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
