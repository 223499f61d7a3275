package remote

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
)

func TestBatch(t *testing.T) {
	var method, path string
	var body []byte
	n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, below string) {
		method, path = r.Method, below
		body, _ = io.ReadAll(r.Body)
		answer(w, 200, `{"successful_key_count":3,"unsuccessful_keys":[]}`)
	})
	b := n.NewBatch()
	b.Put("a", []byte("<é>"), &engine.PutOptions{TTL: time.Hour, Expiration: 5, Metadata: []byte(`[1]`)})
	b.Put("b", []byte("\xff"), &engine.PutOptions{Expiration: 5})
	b.Put("c", nil, &engine.PutOptions{})
	if b.Len() != 3 || b.Bytes() != 1+4+3+1+1+1 {
		t.Errorf("%d entries, %d bytes", b.Len(), b.Bytes())
	}
	if err := b.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got, want any
	json.Unmarshal(body, &got)
	json.Unmarshal([]byte(`[{"key":"a","value":"<é>","expiration_ttl":3600,"metadata":[1]},{"key":"b","value":"/w==","base64":true,"expiration":5},{"key":"c","value":""}]`), &want)
	if method != "PUT" || path != "/bulk" || !reflect.DeepEqual(got, want) {
		t.Errorf("%s %s %s", method, path, body)
	}
	b = n.NewBatch()
	b.Delete("a/b")
	b.Delete("c")
	if err := b.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := string(bytes.ReplaceAll(body, []byte("\n"), nil)); method != "POST" || path != "/bulk/delete" || got != `["a/b","c"]` {
		t.Errorf("%s %s %s", method, path, got)
	}
}

// TestBatchRefused has something wrong with the second of three entries.
func TestBatchRefused(t *testing.T) {
	message := ""
	n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if message == "" {
			t.Error("sent")
		}
		refuse(w, 400, 10001, message)
	})
	for name, test := range map[string]struct {
		key      string
		size     int
		opts     engine.PutOptions
		message  string
		want     error
		unplaced bool
	}{
		"key":            {key: "..", want: engine.ErrKeyReserved},
		"value":          {key: "b", size: 25<<20 + 1, want: engine.ErrValueTooLarge},
		"TTL":            {key: "b", opts: engine.PutOptions{TTL: 59 * time.Second}, want: engine.ErrTTLTooShort},
		"metadata":       {key: "b", opts: engine.PutOptions{Metadata: []byte(`"` + strings.Repeat("m", 1023) + `"`)}, want: engine.ErrMetadataTooLarge},
		"by the server":  {key: `b"`, message: `pair 1, key "b\"": Expiration times must be at least 60`, want: engine.ErrExpirationTooSoon},
		"without a key":  {key: "b", message: `pair 1: Expiration times must be at least 60`, want: engine.ErrExpirationTooSoon},
		"somewhere":      {key: "b", message: `Expiration times must be at least 60`, want: engine.ErrExpirationTooSoon, unplaced: true},
		"somewhere else": {key: "b", message: `pair 3: Expiration times must be at least 60`, want: engine.ErrExpirationTooSoon, unplaced: true},
	} {
		message = test.message
		b := n.NewBatch()
		b.Put("a", nil, &engine.PutOptions{})
		b.Put(test.key, make([]byte, test.size), &test.opts)
		b.Put("", nil, &engine.PutOptions{})
		if message != "" { // then the third must be a good one
			b = n.NewBatch()
			b.Put("a", nil, &engine.PutOptions{})
			b.Put(test.key, nil, &test.opts)
			b.Put("c", nil, &engine.PutOptions{})
		}
		err := b.Write(t.Context())
		var at *engine.PairError
		placed := errors.As(err, &at) && at.Index == 1 && at.Key == test.key
		if !errors.Is(err, test.want) || placed == test.unplaced || errors.Is(err, ErrUncertain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBatchInPart has servers that have not written everything, or may not have.
func TestBatchInPart(t *testing.T) {
	for result, want := range map[string]string{
		`{"successful_key_count":2,"unsuccessful_keys":["b"]}`: `1 of 3 keys of a request are not done, among them "b"`,
		`{"successful_key_count":1,"unsuccessful_keys":[]}`:    "1 of 3 keys of a request are not done",
		`{"successful_key_count":0}`:                           "2 of 3 keys of a request are not done",
		`{"successful_key_count":2}`:                           "", // it may count a key once that comes twice
		`{}`:                                                   "", // it does not count
	} {
		n := serveNamespace(t, func(w http.ResponseWriter, r *http.Request, _ string) { answer(w, 200, result) })
		b := n.NewBatch()
		for _, key := range []string{"a", "b", "a"} {
			b.Delete(key)
		}
		err := b.Write(t.Context())
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrUncertain) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", result, err)
		}
	}
}

// TestBatchLength has values of all kinds: in a request they are a third longer at most,
// so that it stays under its limit, and come as they were.
func TestBatchLength(t *testing.T) {
	for name, piece := range map[string]string{"nul": "\x00", "quote": `"`, "bytes": "\xff", "text": "a", "separator": "\u2028", "mixed": "a\x01"} {
		value := []byte(strings.Repeat(piece, 1<<20/len(piece)))
		b := (&Namespace{}).NewBatch()
		b.Put("k", value, &engine.PutOptions{Expiration: 4102444800})
		if n := b.body.Len(); b.bad != nil || n > len(value)/3*4+100 {
			t.Errorf("%s: %d bytes, %v", name, n, b.bad)
		}
		var got []bulkPut
		if err := json.Unmarshal(append(b.body.Bytes(), ']'), &got); err != nil {
			t.Fatal(err)
		}
		back := []byte(got[0].Value)
		if got[0].Base64 {
			back, _ = base64.StdEncoding.DecodeString(got[0].Value)
		}
		if !bytes.Equal(back, value) {
			t.Errorf("%s: %d bytes differ", name, len(back))
		}
	}
}
