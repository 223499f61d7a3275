package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

func TestPaths(t *testing.T) {
	var got string
	n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, below string) {
		got = below
		answer(w, 200, "{}")
	})
	for _, key := range []string{
		"a", "a/b//c", "/", "//", "a/../b", "../a", "a/.", "./a", "...", " ", "%", "%2F", "\x00", "\x7f", "🎿", "\u2028", "+", "?", "#", "a&b=c;d",
		`\`, "a\nb", strings.Repeat("é", 256),
	} {
		if err := n.Delete(t.Context(), key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		escaped, ok := strings.CutPrefix(got, "/values/")
		back, err := url.PathUnescape(escaped)
		if !ok || err != nil || back != key || strings.Contains(escaped, "/") {
			t.Errorf("%q: the path is %s", key, got)
		}
	}
	for _, key := range []string{"", ".", "..", "\xff", strings.Repeat("k", 513)} {
		got = ""
		_, err := n.OpenValue(t.Context(), key)
		for _, err := range []error{
			err, n.Delete(t.Context(), key), n.Put(t.Context(), key, nil, &engine.PutOptions{}),
		} {
			if err == nil || got != "" {
				t.Errorf("%q: %v, sent %q", key, err, got)
			}
		}
	}
}

func TestPut(t *testing.T) {
	var query, value, metadata, kind string
	var length int64
	n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		query, length, kind = r.URL.RawQuery, r.ContentLength, r.Header.Get("Content-Type")
		value, metadata = "", ""
		if strings.HasPrefix(kind, "multipart/") {
			value, metadata = r.FormValue("value"), r.FormValue("metadata")
			if f, _, err := r.FormFile("value"); err == nil {
				b, _ := io.ReadAll(f)
				value = string(b)
			}
		} else {
			b, _ := io.ReadAll(r.Body)
			value = string(b)
		}
		answer(w, 200, "{}")
	})
	for _, size := range []int64{-1, 0, 5} {
		for _, opts := range []engine.PutOptions{
			{}, {TTL: time.Minute + 1}, {Expiration: 4102444800}, {TTL: time.Hour, Expiration: 4102444800, Metadata: []byte(`"é"`)},
		} {
			want := strings.Repeat("v", max(0, int(size)))
			if size < 0 {
				want = "of some length"
			}
			if err := n.PutFrom(t.Context(), "k", strings.NewReader(want), size, &opts); err != nil {
				t.Error(err)
			}
			if value != want || metadata != string(opts.Metadata) || (length < 0) != (size < 0) {
				t.Errorf("size %d, %+v: came %q, %q, with length %d", size, opts, value, metadata, length)
			}
			wantQuery := map[bool]string{true: "", false: "expiration=4102444800"}[opts.Expiration == 0]
			if opts.TTL > 0 {
				wantQuery = fmt.Sprintf("expiration_ttl=%d", ttl(&opts))
			}
			if query != wantQuery {
				t.Errorf("%+v: query %s", opts, query)
			}
		}
	}
}

// TestFarLifetimes has pairs live as long as a store lets them, and longer than the API
// can say.
func TestFarLifetimes(t *testing.T) {
	var query string
	n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		query = r.URL.RawQuery
		answer(w, 200, "{}")
	})
	for _, test := range []struct {
		opts engine.PutOptions
		want string // empty: it is refused
	}{
		{engine.PutOptions{TTL: 9223372036 * time.Second}, "expiration_ttl=9223372036"},
		{engine.PutOptions{TTL: 61*time.Second - 1}, "expiration_ttl=61"},
		{engine.PutOptions{Expiration: 1 << 53}, "expiration=9007199254740992"},
		{engine.PutOptions{Expiration: 1<<53 + 1}, ""},
		{engine.PutOptions{TTL: time.Hour, Expiration: 1<<53 + 1}, "expiration_ttl=3600"},
	} {
		query = ""
		err := n.Put(t.Context(), "k", nil, &test.opts)
		b := n.NewBatch()
		b.Put("k", nil, &test.opts)
		if query != test.want || (err == nil) != (test.want != "") || (b.Write(t.Context()) == nil) != (test.want != "") {
			t.Errorf("%+v: %q, %v", test.opts, query, err)
		}
	}
}

// TestCutAnswers has every answer break off.
func TestCutAnswers(t *testing.T) {
	n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, below string) {
		io.Copy(io.Discard, r.Body)
		switch {
		case strings.HasPrefix(below, "/values/long") && r.Method == "GET":
			io.WriteString(w, "a part of it")
			w.(http.Flusher).Flush() // so its length is not known
			panic(http.ErrAbortHandler)
		case strings.HasPrefix(below, "/values/") && r.Method == "GET":
			cut(w, "a part of it")
		default:
			cut(w, `{"success":true,"errors":[],"result":[]`)
		}
	})
	for _, key := range []string{"long", "short"} {
		value, err := n.OpenValue(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(value)
		value.Close()
		if string(b) != "a part of it" || err == nil || !strings.Contains(err.Error(), "breaks off") {
			t.Errorf("%s: %q, %v", key, b, err)
		}
	}
	_, listed := n.List(t.Context(), engine.ListOptions{})
	_, found := n.pairsOf(t, "a")
	for name, err := range map[string]error{"list": listed, "bulk get": found} {
		if err == nil || !strings.Contains(err.Error(), "breaks off") || errors.Is(err, ErrUncertain) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"put": put(t.Context(), n), "stream": stream(t.Context(), n), "bulk": bulk(t.Context(), n), "delete": n.Delete(t.Context(), "k"),
	} {
		if err == nil || !strings.Contains(err.Error(), "breaks off") || !errors.Is(err, ErrUncertain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOtherAnswers has answers of something that is no server of the API.
func TestOtherAnswers(t *testing.T) {
	for body, want := range map[string]string{
		"<html>":                        "cannot be read",
		"":                              "breaks off",
		"null":                          "OK (200)",
		`{}`:                            "OK (200)",
		`{"success":false}`:             "OK (200)",
		`{"success":true,"result":[1`:   "breaks off",
		`{"success":true,"result":[1]}`: "cannot be read",
	} {
		n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, _ string) { io.WriteString(w, body) })
		if _, err := n.List(t.Context(), engine.ListOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
	for kind, want := range map[string]string{"text/plain": ": two lines (502)", "text/html": ": Bad Gateway (502)"} {
		n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, _ string) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(502)
			io.WriteString(w, "two lines\nof text")
		})
		if _, err := n.List(t.Context(), engine.ListOptions{}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestMeanings(t *testing.T) {
	for _, test := range []struct {
		status, code int
		message      string
		want         error
		text         string
	}{
		{404, 10009, "get: 'key not found'", engine.ErrNotFound, "get: 'key not found' (404, code 10009)"},
		{404, 10013, "namespace not found", namespaces.ErrNotExist, `namespace "films" does not exist`},
		{400, 10001, "Invalid expiration of 9. Expiration times must be at least 60 seconds in the future.", engine.ErrExpirationTooSoon, "expiration is too soon: Invalid"},
		{400, 10001, "Invalid expiration of 9. Please specify integer greater than the current number of seconds since the UNIX epoch.", engine.ErrExpirationPast, "expiration is in the past: Invalid"},
	} {
		n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, _ string) {
			refuse(w, test.status, test.code, test.message)
		})
		err := put(t.Context(), n)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v", test.message, err)
		}
	}
}

func TestListPages(t *testing.T) {
	n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if got := r.URL.Query(); !reflect.DeepEqual(got, url.Values{"prefix": {"a b&"}, "cursor": {"c+/="}, "limit": {"7"}}) {
			t.Errorf("query %v", got)
		}
		io.WriteString(w, `{"success":true,"result":[{"name":"a b&1","metadata":null},{"name":"a b&2","expiration":5,"metadata":[1, 2]}],"result_info":{"cursor":"next"}}`)
	})
	page, err := n.List(t.Context(), engine.ListOptions{Prefix: "a b&", Cursor: "c+/=", Limit: 7})
	want := &engine.ListPage{Keys: []engine.KeyInfo{{Name: "a b&1"}, {Name: "a b&2", Expiration: 5, Metadata: []byte("[1,2]")}}, Cursor: "next"}
	if err != nil || !reflect.DeepEqual(page, want) {
		t.Errorf("got %+v, %v", page, err)
	}
	round := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		io.WriteString(w, `{"success":true,"result":[],"result_info":{"cursor":"a"}}`)
	})
	if _, err := round.List(t.Context(), engine.ListOptions{Cursor: "a"}); err == nil {
		t.Error("a page may lead to itself")
	}
}

// pairsOf collects what Pairs yields.
func (n *Namespace) pairsOf(t *testing.T, keys ...string) (got map[string]string, err error) {
	t.Helper()
	got = map[string]string{}
	i := 0
	for p, err := range n.Pairs(t.Context(), keys) {
		switch {
		case errors.Is(err, engine.ErrNotFound):
			got[keys[i]] = "absent"
		case err != nil:
			return got, err
		case p.Key != keys[i]:
			t.Errorf("got %q in the place of %q", p.Key, keys[i])
		default:
			got[p.Key] = fmt.Sprintf("%s %s %d", p.Value, p.Metadata, p.Expiration)
		}
		i++
	}
	return got, nil
}

// TestPairs has a server that gives at most two values at once, of which one changes
// while it is read.
func TestPairs(t *testing.T) {
	type pair struct {
		value    string
		metadata string
	}
	pairs := map[string]pair{"a": {"1", `{"m":1}`}, "b": {"2", "null"}, "bytes": {"\xff", `"old"`}, "char": {"\ufffd", "null"}, "c": {"3", "null"}}
	var asked []int
	n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, below string) {
		if key, ok := strings.CutPrefix(below, "/values/"); ok {
			w.Header().Set("expiration", "77")
			io.WriteString(w, pairs[key].value)
			if key == "bytes" && pairs[key].metadata == `"old"` {
				pairs[key] = pair{"\xfe", `"new"`}
			}
			return
		}
		if key, ok := strings.CutPrefix(below, "/metadata/"); ok {
			answer(w, 200, pairs[key].metadata)
			return
		}
		var q struct {
			Keys         []string
			Type         string
			WithMetadata bool
		}
		json.NewDecoder(r.Body).Decode(&q)
		asked = append(asked, len(q.Keys))
		if below != "/bulk/get" || q.Type != "text" || !q.WithMetadata {
			t.Errorf("asked %s for %+v", below, q)
		}
		if len(q.Keys) > 2 {
			refuse(w, 413, 10001, "too large")
			return
		}
		values := map[string]any{}
		for _, key := range q.Keys {
			values[key] = nil
			if p, ok := pairs[key]; ok {
				values[key] = map[string]any{"value": strings.ToValidUTF8(p.value, "\ufffd"), "metadata": json.RawMessage(p.metadata), "expiration": 77}
			}
		}
		b, _ := json.Marshal(map[string]any{"values": values})
		answer(w, 200, string(b))
	})
	got, err := n.pairsOf(t, "a", "b", "bytes", "none", "c", "a", "char")
	want := map[string]string{"a": `1 {"m":1} 77`, "b": "2  77", "bytes": "\xfe \"new\" 77", "none": "absent", "c": "3  77", "char": "\ufffd  77"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	if want := []int{7, 3, 1, 2, 4, 2, 2}; !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %v keys", asked)
	}
	got, err = n.pairsOf(t, "a", "none", "..", "c")
	if !errors.Is(err, engine.ErrKeyReserved) || len(got) != 2 {
		t.Errorf("got %q, %v", got, err)
	}
	lacking := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, below string) { answer(w, 200, `{"values":{"a":null}}`) })
	if _, err := lacking.pairsOf(t, "a", "b"); err == nil || !strings.Contains(err.Error(), `lacks the key "b"`) {
		t.Errorf("got %v", err)
	}
}
