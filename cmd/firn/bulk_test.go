package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// film is a pair as bulk put takes it.
type film struct {
	Key      string         `json:"key"`
	Value    string         `json:"value"`
	Metadata map[string]int `json:"metadata,omitempty"`
}

// films are enough for three batches.
func films() []film {
	all := make([]film, 25_000)
	for i := range all {
		all[i] = film{fmt.Sprintf("film/%05d é", i), strings.Repeat("<x>", i%50), map[string]int{"i": i}}
	}
	return all
}

func lines(all []film) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, p := range all {
		enc.Encode(p)
	}
	return b.String()
}

func TestBulkForms(t *testing.T) { onBoth(t, testBulkForms) }

func testBulkForms(t *testing.T, f firn) {
	all := films()
	array, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write(array)
	g.Close()
	z, _ := zstd.NewWriter(&zs)
	z.Write([]byte(lines(all)))
	z.Close()
	forms := map[string]string{"array": string(array), "lines": lines(all), "gz": gz.String(), "zst": zs.String()}

	want := map[string]any{}
	for _, p := range all {
		want[p.Key] = map[string]any{"value": p.Value, "metadata": map[string]any{"i": float64(p.Metadata["i"])}}
	}
	for name, content := range forms {
		f.ok("kv", "namespace", "create", name)
		if name == "lines" || name == "zst" {
			f.okWith(content, "kv", "bulk", "put", "-", "-n", name)
		} else {
			f.ok("kv", "bulk", "put", write(t, content), "-n", name)
		}
		listed := f.ok("kv", "key", "list", "-n", name)
		got := decode[map[string]any](t, f.okWith(listed, "kv", "bulk", "get", "-", "-n", name, "--with-metadata"))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d pairs differ from %d", name, len(got), len(want))
		}
	}
}

func TestBulkReport(t *testing.T) { onBoth(t, testBulkReport) }

func testBulkReport(t *testing.T, f firn) {
	r := f.run(strings.NewReader(`[{"key":"k","value":"123"},{"key":"l","value":""}]`), "kv", "bulk", "put", "-")
	if r.out != "" || !strings.HasPrefix(r.err, "2 pairs, 0.0 MB in 0.") || r.status != 0 {
		t.Errorf("got %+v", r)
	}
	got := decode[map[string]any](t, f.okWith(`{"key":"m","value":"12"}`, "kv", "bulk", "put", "-", "--json"))
	if got["pairs"] != 1.0 || got["bytes"] != 3.0 || got["seconds"] == nil {
		t.Errorf("got %v", got)
	}
	got = decode[map[string]any](t, f.okWith(`["k","l","absent"]`, "kv", "bulk", "delete", "-", "--json"))
	if got["keys"] != 3.0 {
		t.Errorf("got %v", got)
	}
	if got := names(t, f.ok("kv", "key", "list")); !reflect.DeepEqual(got, []string{"m"}) {
		t.Errorf("left: %q", got)
	}
	if r := f.run(strings.NewReader(""), "kv", "bulk", "put", "-"); r.status != 0 || !strings.HasPrefix(r.err, "0 pairs") {
		t.Errorf("empty input: %+v", r)
	}
}

// TestBulkBadEntry has a bad entry in the second batch: the first one is
// written, and nothing else.
func TestBulkBadEntry(t *testing.T) {
	long := strings.Repeat("k", 513)
	for name, test := range map[string]struct{ entry, key, want string }{
		"by the reader":   {`{"key":"bad","value":1}`, `key "bad"`, "not a string"},
		"by the store":    {`{"key":"bad","value":"","expiration_ttl":59}`, `key "bad"`, "TTL is too short"},
		"by the clock":    {`{"key":"bad","value":"","expiration":1000}`, `key "bad"`, "in the past"},
		"for its key":     {`{"key":"` + long + `","value":""}`, long, "key is too long"},
		"without a key":   {`{"value":""}`, "entry 14999", `"key" is missing`},
		"for its syntax":  {`{"key":"bad",}`, "entry 14999", "not JSON"},
		"for its absence": {`{"key":"bad","value":"`, "entry 14999", "ends in the middle"},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, f firn) {
				all := films()
				in := lines(all[:14_999]) + test.entry + "\n" + lines(all[14_999:])
				if name == "for its absence" {
					in = lines(all[:14_999]) + test.entry
				}
				r := f.run(strings.NewReader(in), "kv", "bulk", "put", "-", "--json")
				if r.status != 1 {
					t.Errorf("status %d", r.status)
				}
				for _, want := range []string{"standard input: entry 14999", test.key, test.want, "10000 pairs", "nothing after"} {
					if !strings.Contains(r.err, want) {
						t.Errorf("no %q in %s", want, r.err)
					}
				}
				if got := decode[map[string]any](t, r.out); got["pairs"] != 10_000.0 || got["error"] == "" {
					t.Errorf("got %v", got)
				}
				if got := names(t, f.ok("kv", "key", "list")); len(got) != 10_000 || got[9_999] != all[9_999].Key {
					t.Errorf("%d keys are there", len(got))
				}
			})
		})
	}
}

func TestBulkUnusualKeys(t *testing.T) { onBoth(t, testBulkUnusualKeys) }

func testBulkUnusualKeys(t *testing.T, f firn) {
	keys := []string{"\x00", " ", "a/b//c", "%2F", "🎿", "\u2028", `"\`, "...", "\x7f", "ends with newline\n"}
	want := map[string]string{}
	var pairs []film
	for _, key := range keys {
		pairs = append(pairs, film{Key: key, Value: "value of " + key})
		want[key] = "value of " + key
	}
	f.okWith(lines(pairs), "kv", "bulk", "put", "-")
	listed := f.ok("kv", "key", "list")
	got := decode[map[string]string](t, f.okWith(listed, "kv", "bulk", "get", "-"))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	f.okWith(listed, "kv", "bulk", "delete", "-")
	if got := f.ok("kv", "key", "list"); got != "[]\n" {
		t.Errorf("left: %s", got)
	}
}

// TestBulkLarge has values that grow when they are put into JSON, more of them than one
// answer takes.
func TestBulkLarge(t *testing.T) { onBoth(t, testBulkLarge) }

func testBulkLarge(t *testing.T, f firn) {
	const size = 9 << 20
	want := map[string]any{}
	var in, keys bytes.Buffer
	enc, encKeys := json.NewEncoder(&in), json.NewEncoder(&keys)
	for key, value := range map[string]string{
		"nul": "\x00", "quotes": `"\`, "bytes": "\xff\xfe", "replaced": "\ufffd", "lines": "\u2028",
	} {
		value = strings.Repeat(value, size/len(value))
		text := base64.StdEncoding.EncodeToString([]byte(value))
		enc.Encode(map[string]any{"key": key, "value": text, "base64": true, "metadata": key})
		encKeys.Encode(key)
		want[key] = map[string]any{"value": value, "metadata": key}
		if key == "bytes" {
			want[key] = map[string]any{"value": text, "base64": true, "metadata": key}
		}
	}
	f.okWith(in.String(), "kv", "bulk", "put", "-")
	got := decode[map[string]any](t, f.okWith(keys.String(), "kv", "bulk", "get", "-", "--with-metadata"))
	if !reflect.DeepEqual(got, want) {
		t.Error("the pairs differ")
	}
}

func TestBulkGet(t *testing.T) { onBoth(t, testBulkGet) }

func testBulkGet(t *testing.T, f firn) {
	f.okWith(`{"key":"text","value":"a\u0000<é>","metadata":[1],"expiration":4102444800}
		{"key":"bytes","value":"/wA=","base64":true}`, "kv", "bulk", "put", "-")
	const asked = `["text",{"name":"bytes","metadata":null},"absent"]`
	plain := f.okWith(asked, "kv", "bulk", "get", "-")
	const want = `{
"text":"a\u0000<é>",
"bytes":{"value":"/wA=","base64":true},
"absent":null
}
`
	if plain != want {
		t.Errorf("got %s", plain)
	}
	with := f.okWith(asked, "kv", "bulk", "get", "-", "--with-metadata")
	const wantWith = `{
"text":{"value":"a\u0000<é>","metadata":[1],"expiration":4102444800},
"bytes":{"value":"/wA=","base64":true,"metadata":null},
"absent":null
}
`
	if with != wantWith {
		t.Errorf("got %s", with)
	}
	for in, want := range map[string]string{
		`["text",5]`: "standard input: entry 1: neither a string",
		strings.Repeat(`"text" `, 150) + `"" "text"`: "standard input: entry 150: key is empty",
	} {
		r := f.run(strings.NewReader(in), "kv", "bulk", "get", "-")
		if r.status != 1 || !strings.Contains(r.err, want) {
			t.Errorf("no %q in %+v", want, r)
		}
	}
}
