package main_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestPutAndGet(t *testing.T) { onBoth(t, testPutAndGet) }

func testPutAndGet(t *testing.T, f firn) {
	for _, key := range []string{"plain", "a/b//c", "with space", "🎿 ski", "%2F", "-dash", "...", "a/../b", "/", "../a", "a/.", "a?b#c", "+", "a\\b", "é&=;", strings.Repeat("k", 512)} {
		if out := f.ok("kv", "key", "put", "--", key, "value of "+key); out != "" {
			t.Errorf("put printed %q", out)
		}
		if got := f.ok("kv", "key", "get", "--", key); got != "value of "+key {
			t.Errorf("%q: got %q", key, got)
		}
	}
	f.ok("kv", "key", "put", "plain", "")
	if got := f.ok("kv", "key", "get", "plain"); got != "" {
		t.Errorf("empty value: got %q", got)
	}
	f.fails(1, []string{`key "absent" is not in namespace "default"`}, "kv", "key", "get", "absent")
	f.fails(1, []string{`"absent"`}, "kv", "key", "get", "absent", "--with-metadata")
	for _, key := range []string{"", ".", "..", strings.Repeat("k", 513), "\xff"} {
		f.fails(1, []string{"firn: put ", "key is"}, "kv", "key", "put", key, "v")
	}
}

func TestGetFromNothing(t *testing.T) {
	f := newFirn(t)
	f.fails(1, []string{"there is no data directory", `"a" is not in`}, "kv", "key", "get", "a")
	if got := f.ok("kv", "key", "list"); got != "[]\n" {
		t.Errorf("list: %q", got)
	}
	if got := f.okWith(`["a"]`, "kv", "bulk", "get", "-"); got != "{\n\"a\":null\n}\n" {
		t.Errorf("bulk get: %q", got)
	}
	f.ok("stats")
	f.ok("verify")
	if _, err := os.Stat(f.dir); err == nil {
		t.Error("a read made the data directory")
	}
}

func TestPutFromPath(t *testing.T) { onBoth(t, testPutFromPath) }

func testPutFromPath(t *testing.T, f firn) {
	value := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(value)
	path := write(t, string(value))
	f.ok("kv", "key", "put", "file", "--path", path)
	f.okWith(string(value), "kv", "key", "put", "stdin", "--path", "-", "--metadata", `{"from": "stdin"}`)
	f.okWith("", "kv", "key", "put", "empty", "--path", "-")
	for key, want := range map[string]string{"file": string(value), "stdin": string(value), "empty": ""} {
		if got := f.ok("kv", "key", "get", key); got != want {
			t.Errorf("%s: %d bytes, want %d", key, len(got), len(want))
		}
	}
	pair := decode[map[string]any](t, f.ok("kv", "key", "get", "stdin", "--with-metadata"))
	want := map[string]any{"value": base64.StdEncoding.EncodeToString(value), "base64": true, "metadata": map[string]any{"from": "stdin"}}
	if !reflect.DeepEqual(pair, want) {
		t.Error("--with-metadata differs")
	}
	f.fails(1, []string{"no such file"}, "kv", "key", "put", "k", "--path", filepath.Join(t.TempDir(), "none"))
	f.fails(1, []string{"directory"}, "kv", "key", "put", "k", "--path", t.TempDir())
}

func TestMetadataAndExpiration(t *testing.T) { onBoth(t, testMetadataAndExpiration) }

func testMetadataAndExpiration(t *testing.T, f firn) {
	get := func() map[string]any {
		t.Helper()
		return decode[map[string]any](t, f.ok("kv", "key", "get", "k", "--with-metadata"))
	}
	at := time.Now().Add(time.Hour).Unix()
	f.ok("kv", "key", "put", "k", "<&>", "--expiration", fmt.Sprint(at), "--metadata", ` [1, "ü"] `)
	if got, want := get(), (map[string]any{"value": "<&>", "expiration": float64(at), "metadata": []any{1.0, "ü"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	f.ok("kv", "key", "put", "k", "v", "--ttl", "7200", "--expiration", fmt.Sprint(at), "--metadata", "null")
	got := get()
	if e, _ := got["expiration"].(float64); e < float64(at+3000) || got["metadata"] != nil {
		t.Errorf("the TTL does not win, or null is not none: %v", got)
	}
	f.ok("kv", "key", "put", "k", "v")
	if got, want := get(), (map[string]any{"value": "v", "metadata": nil}); !reflect.DeepEqual(got, want) {
		t.Errorf("not cleared: %v", got)
	}
	f.fails(1, []string{"TTL is too short"}, "kv", "key", "put", "k", "v", "--ttl", "59")
	f.fails(1, []string{"in the past"}, "kv", "key", "put", "k", "v", "--expiration", "1000")
	f.fails(1, []string{"too soon"}, "kv", "key", "put", "k", "v", "--expiration", fmt.Sprint(time.Now().Unix()+30))
	f.fails(1, []string{"metadata is too large"}, "kv", "key", "put", "k", "v", "--metadata", `"`+strings.Repeat("x", 1023)+`"`)
	// White space around metadata does not count.
	f.ok("kv", "key", "put", "k", "v", "--metadata", strings.Repeat(" ", 2000)+`"`+strings.Repeat("x", 1022)+`"`)
}

// zeros counts what is read of it.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += len(p)
	return len(p), nil
}

func TestValueLimit(t *testing.T) { onBoth(t, testValueLimit) }

func testValueLimit(t *testing.T, f firn) {
	const limit = 25 << 20
	exact := bytes.Repeat([]byte("0123456789abcdef"), limit/16)
	f.okWith(string(exact), "kv", "key", "put", "exact", "--path", "-")
	if got := f.ok("kv", "key", "get", "exact"); got != string(exact) {
		t.Errorf("got %d bytes", len(got))
	}
	f.failsWith(io.LimitReader(&zeros{}, 30<<20), 1, []string{"value is too large"}, "kv", "key", "put", "large", "--path", "-")
	// A stream without an end is refused after the limit too.
	endless := &zeros{}
	f.failsWith(endless, 1, []string{"value is too large"}, "kv", "key", "put", "large", "--path", "-")
	if endless.read > 32<<20 {
		t.Errorf("read %d bytes of an endless stream", endless.read)
	}
	f.fails(1, nil, "kv", "key", "get", "large")
}

func TestDelete(t *testing.T) { onBoth(t, testDelete) }

func testDelete(t *testing.T, f firn) {
	for _, key := range []string{"a", "b", "c", "d"} {
		f.ok("kv", "key", "put", key, key)
	}
	f.ok("kv", "key", "delete", "a")
	f.ok("kv", "key", "delete", "a", "b", "absent", "c")
	if got := names(t, f.ok("kv", "key", "list")); !reflect.DeepEqual(got, []string{"d"}) {
		t.Errorf("left: %q", got)
	}
	f.fails(1, []string{"entry 1", "key is empty"}, "kv", "key", "delete", "d", "")
	f.ok("kv", "key", "get", "d")
}

func TestList(t *testing.T) { onBoth(t, testList) }

func testList(t *testing.T, f firn) {
	var pairs strings.Builder
	var want []string
	for i := range 2500 {
		key := fmt.Sprintf("n:%04d", i)
		want = append(want, key)
		fmt.Fprintf(&pairs, "{\"key\":%q,\"value\":\"\",\"metadata\":{\"i\":%d}}\n", key, i)
	}
	pairs.WriteString(`{"key":"é","value":"","expiration":4102444800}`)
	f.okWith(pairs.String(), "kv", "bulk", "put", "-")

	all := f.ok("kv", "key", "list")
	if got := names(t, all); !reflect.DeepEqual(got, append(want, "é")) {
		t.Errorf("got %d keys", len(got))
	}
	for _, line := range []string{"\n" + `{"name":"n:0007","metadata":{"i":7}},` + "\n", "\n" + `{"name":"é","expiration":4102444800}` + "\n"} {
		if !strings.Contains(all, line) {
			t.Errorf("no line %q", line)
		}
	}
	if got := names(t, f.ok("kv", "key", "list", "--prefix", "n:001")); !reflect.DeepEqual(got, want[10:20]) {
		t.Errorf("prefix: %q", got)
	}
	if got := f.ok("kv", "key", "list", "--prefix", "none"); got != "[]\n" {
		t.Errorf("no such prefix: %q", got)
	}

	var got []string
	args := []string{"kv", "key", "list", "--prefix", "n:", "--limit", "1100"}
	for cursor := ""; ; {
		r := f.run(nil, append(args, "--cursor", cursor)...)
		got = append(got, names(t, r.out)...)
		var more bool
		if _, cursor, more = strings.Cut(strings.TrimSpace(r.err), "--cursor "); !more {
			break
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("paged: %d keys", len(got))
	}
	f.fails(1, []string{"cursor is not valid"}, "kv", "key", "list", "--cursor", "@")
}
