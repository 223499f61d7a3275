package api

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

var nastyKeys = []string{
	"a", "a/b", "/", "//", "a//b", "/a", "a/", "./a", "a/../b", "...", "/.", "a b", "a+b", "%", "%2F", "%25", "100%",
	"\x00", "a\x00b", "\x7f", "\n", "é", "🎿", "e\u0301", "\ufeff", "?", "a?b=c", "#", "a#b", "&", "=", ";", ":", "@",
	"values/x", "bulk", "bulk/get", "keys", "namespaces", "client/v4/accounts", "\\", `"`, "'", "<>", "[a]", "{a}", "|", "~", "*", "CON",
	strings.Repeat("k", 512), strings.Repeat("🎿", 128), "..a", ".a", "a.", "\u202e", "__proto__",
}

// component escapes as encodeURIComponent does, which the runtime uses.
func component(key string) string {
	return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(key))
}

// slashes escapes what HTTP needs, but leaves slashes as they are.
func slashes(key string) string { return strings.ReplaceAll(component(key), "%2F", "/") }

func TestNastyKeys(t *testing.T) {
	s := start(t, nil)
	for i, key := range nastyKeys {
		value := "value " + strconv.Itoa(i)
		s.rest("PUT", "/values/"+component(key), value).result(`{}`)
		s.binding("GET", "/"+component(key)+"?urlencoded=true", "").is(200, value)
		s.rest("GET", "/values/"+slashes(key), "").is(200, value)
		s.rest("GET", "/metadata/"+component(key), "").result(`null`)
		s.rest("DELETE", "/values/"+slashes(key), "").result(`{}`)
		s.binding("GET", "/"+component(key)+"?urlencoded=true", "").is(404, "Not Found")
		s.binding("PUT", "/"+component(key)+"?urlencoded=true", value).is(200, "")
		s.rest("GET", "/values/"+component(key), "").is(200, value)
		if t.Failed() {
			t.Fatalf("key %q", key)
		}
	}
	all := s.rest("GET", "/keys", "").envelope()
	for _, key := range nastyKeys {
		if !strings.Contains(string(all.Result), `{"name":`+string(appendString(nil, key))+`}`) {
			t.Errorf("the list lacks %q", key)
		}
	}
	if want := `{"count":` + strconv.Itoa(len(nastyKeys)) + `,"cursor":""}`; !sameJSON(string(all.ResultInfo), want) {
		t.Errorf("result_info %s, want %s", all.ResultInfo, want)
	}
}

// Go's client sends keys without escaping them.
func TestRawPaths(t *testing.T) {
	s := start(t, nil)
	for raw, key := range map[string]string{
		"a//b": "a//b", "a/../b": "a/../b", "/": "/", `a"b`: `a"b`, "é": "é", "a|b": "a|b", "[x]": "[x]", "a%2Fb/c": "a/b/c", `"%2F`: `"/`, "a+b": "a+b",
	} {
		s.rest("PUT", "/values/"+raw, key).result(`{}`)
		s.binding("GET", "/"+component(key), "").is(200, key)
	}
	s.send("GET", "http://fake-host"+account+"/"+s.id+"/values/a%2F%2Fb", nil, "").is(200, "a//b")
}

func FuzzDecodeKey(f *testing.F) {
	for _, key := range nastyKeys {
		f.Add(component(key))
		f.Add(slashes(key))
	}
	f.Add("%")
	f.Add("%f")
	f.Add("%ff")
	f.Fuzz(func(t *testing.T, escaped string) {
		key, err := decodeKey(escaped)
		if err != nil {
			if f := failureOf(err); f.status != 400 && f.status != 414 {
				t.Errorf("%q: %d %v", escaped, f.status, err)
			}
			return
		}
		if key == "" || len(key) > 512 || !utf8.ValidString(key) || key == "." || key == ".." {
			t.Errorf("%q gives %q", escaped, key)
		}
		if again, err := decodeKey(component(key)); err != nil || again != key {
			t.Errorf("%q: %q, %v", key, again, err)
		}
	})
}
