package api

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/firnkv/firn/engine"
)

func newTestReader(t testing.TB, r io.Reader) *jsonReader {
	j := newJSONReader(r)
	t.Cleanup(j.close)
	return j
}

// The reader takes what encoding/json takes, but not more than UTF-8, and gives back
// the same.
func checkJSON(t *testing.T, in []byte) {
	valid := json.Valid(in)
	j := newJSONReader(iotest.OneByteReader(bytes.NewReader(in)))
	defer j.close()
	got, n, err := j.raw(nil, 1<<20)
	if err == nil {
		err = j.finish()
	}
	if (err == nil) != (valid && utf8.Valid(in)) {
		t.Fatalf("%q: %v, but valid: %t", in, err, valid)
	}
	if err != nil {
		if f := failureOf(err); f.status != 400 {
			t.Fatalf("%q: %d %v", in, f.status, err)
		}
		return
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, in); err != nil || !bytes.Equal(compact.Bytes(), got) || n != int64(len(got)) {
		t.Fatalf("%q: got %q of %d, want %q", in, got, n, &compact)
	}
	if got[0] != '"' {
		return
	}
	var want string
	if err := json.Unmarshal(in, &want); err != nil {
		t.Fatal(err)
	}
	s := newJSONReader(bytes.NewReader(in))
	defer s.close()
	text, n, err := s.string(1 << 20)
	if err != nil || text != want || n != int64(len(want)) {
		t.Fatalf("%q: got %q of %d, %v; want %q", in, text, n, err, want)
	}
	if again := appendString(nil, text); !json.Valid(again) {
		t.Fatalf("%q", again)
	}
}

var jsonSamples = []string{
	`{}`, `[]`, `null`, `true`, `false`, `0`, `-0`, `-`, `01`, `1.`, `1.5`, `.5`, `1e5`, `1E+5`, `1e`, `1e-`, `-1.25e-10`, `""`, `"a`, `"\"`, `"\u12"`, `"\u00e9"`,
	`"\ud83c\udfbf"`, `"\ud83c"`, `"\udfbf"`, `"\ud83c\n"`, `"\ud83cx"`, `"\ud83c\ud83c\udfbf"`, `"\udfbf\u0041"`, `"\q"`, "\"\n\"", "\"\x7f\"", "\"\xff\"", `{"a":1}`, `{"a":}`, `{"a"}`,
	`{a:1}`, `{"a":1,}`, `[1,]`, `[,1]`, `[1 2]`, `[1,[2,{"b":[{}]}]] `, `nul`, `nulll`, `tru`, `1 2`, ``, ` `, `{"a":"\/\b\f\n\r\t\\"}`, `[[[[`, `]`, "\ufeff1", `{"\ud800":1}`, "[\"\xff\"]", `[1}`, `{]`,
}

func TestJSONReader(t *testing.T) {
	for _, in := range jsonSamples {
		checkJSON(t, []byte(in))
	}
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	checkJSON(t, []byte(deep))
	if err := newTestReader(t, strings.NewReader("["+deep+"]")).skip(); err == nil {
		t.Error("no limit on nesting")
	}
	if err := newTestReader(t, strings.NewReader(strings.Repeat(`{"a":`, 1<<20))).skip(); err == nil {
		t.Error("no limit on nesting")
	}
	// A string that is longer than is wanted is cut, and measured.
	s, n, err := newTestReader(t, strings.NewReader(`"`+strings.Repeat("é", 100_000)+`"`)).string(5)
	if s != "éé\xc3" || n != 200_000 || err != nil {
		t.Errorf("got %q, %d, %v", s, n, err)
	}
	broken := io.MultiReader(strings.NewReader(`["a`), iotest.ErrReader(io.ErrClosedPipe))
	if err := newTestReader(t, broken).skip(); err != io.ErrClosedPipe {
		t.Errorf("got %v", err)
	}
}

func FuzzJSONReader(f *testing.F) {
	for _, in := range jsonSamples {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Count(in, []byte("["))+bytes.Count(in, []byte("{")) < maxDepth {
			checkJSON(t, in)
		}
	})
}

func FuzzBulk(f *testing.F) {
	f.Add([]byte(`[{"key":"a","value":"1"}]`))
	f.Add([]byte(`[{"key":"a","value":"AA\n==","base64":true,"metadata":{"a":[1]},"expiration":4102444800.5},{"value":"","key":"b","expiration_ttl":60}]`))
	f.Add([]byte(`["a","b"]`))
	f.Add([]byte(`{"keys":["a","a",""],"type":"json","cacheTtl":"30","withMetadata":true}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		check := func(err error) {
			if err == nil {
				return
			}
			if f := failureOf(err); f.status < 400 || f.status >= 500 {
				t.Fatalf("%q: %d %v", in, f.status, err)
			}
		}
		for _, read := range []func(*jsonReader, *engine.Batch, time.Time) error{readPairs, readKeys} {
			var b engine.Batch
			j := newJSONReader(bytes.NewReader(in))
			check(read(j, &b, time.Unix(1e9, 0)))
			j.close()
			if b.Bytes() > int64(len(in))*3 {
				t.Fatalf("%q: %d bytes", in, b.Bytes())
			}
		}
		q, err := readBulkQuery(bytes.NewReader(in))
		check(err)
		if err == nil && (len(q.keys) == 0 || len(q.keys) > maxBulkRead) {
			t.Fatalf("%q: %q", in, q.keys)
		}
	})
}

// Values that share a buffer do not overwrite each other, and what is in base64 is
// decoded in its place.
func TestManyPairs(t *testing.T) {
	var in bytes.Buffer
	in.WriteByte('[')
	sizes := []int{0, 1, 3, 100, 1000, 65535, 65536, 65537, 100_000, 7, 262_143, 262_144, 300_000}
	type entry struct {
		Key    string `json:"key"`
		Value  any    `json:"value"`
		Base64 bool   `json:"base64,omitempty"`
	}
	var want []entry
	for i := range 200 {
		value := bytes.Repeat([]byte{byte('a' + i%26)}, sizes[i%len(sizes)])
		e := entry{Key: string(appendInt(nil, i)), Value: string(value)}
		if i%3 == 0 {
			value = bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)])
			e.Value, e.Base64 = value, true
		}
		want = append(want, entry{Key: e.Key, Value: string(value)})
		if i > 0 {
			in.WriteByte(',')
		}
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(b)
	}
	in.WriteByte(']')
	s := start(t, nil)
	s.rest("PUT", "/bulk", in.String()).result(`{"successful_key_count":200,"unsuccessful_keys":[]}`)
	for _, e := range want {
		got, err := s.store().Get(t.Context(), e.Key)
		if err != nil || string(got) != e.Value {
			t.Fatalf("key %s: %d bytes %.10q, %v", e.Key, len(got), got, err)
		}
	}
}

// Long values are sent in pieces, which do not cut characters.
func TestLongText(t *testing.T) {
	for shift := range 5 {
		value := strings.Repeat("x", shift) + strings.Repeat("🎿é\x00\xff\"", 40_000)
		var out bytes.Buffer
		w := gather{to: &out}
		w.text([]byte(value))
		w.send()
		var got string
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != strings.ReplaceAll(value, "\xff", "\ufffd") {
			t.Errorf("shift %d: %d bytes, %v", shift, len(got), err)
		}
	}
	var out bytes.Buffer
	w := gather{to: &out}
	w.text(bytes.Repeat([]byte{0x80}, 200_000))
	w.send()
	if want := `"` + strings.Repeat("\ufffd", 200_000) + `"`; out.String() != want {
		t.Errorf("%d bytes", out.Len())
	}
}
