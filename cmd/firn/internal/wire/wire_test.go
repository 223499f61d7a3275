package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func pairs(t *testing.T, in io.Reader) ([]Pair, error) {
	t.Helper()
	r, err := NewPairReader(in)
	if err != nil {
		return nil, err
	}
	var all []Pair
	for {
		p, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
}

func TestPairShapes(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []Pair
	}{
		"empty":               {"", nil},
		"blank":               {" \n\t", nil},
		"empty array":         {" [ ] ", nil},
		"array":               {`[{"key":"a","value":"1"},{"key":"b","value":""}]`, []Pair{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{}}}},
		"lines":               {"{\"key\":\"a\",\"value\":\"1\"}\r\n\n{\"key\":\"b\",\"value\":\"\"}", []Pair{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{}}}},
		"byte order mark":     {"\xef\xbb\xbf[{\"key\":\"a\",\"value\":\"1\"}]", []Pair{{Key: "a", Value: []byte("1")}}},
		"base64":              {`{"key":"a","value":"/wA=","base64":true}`, []Pair{{Key: "a", Value: []byte{0xff, 0}}}},
		"not base64":          {`{"key":"a","value":"/wA=","base64":false}`, []Pair{{Key: "a", Value: []byte("/wA=")}}},
		"metadata":            {`{"key":"a","value":"","metadata":{ "a" : [1, "<"] }}`, []Pair{{Key: "a", Value: []byte{}, Metadata: json.RawMessage(`{"a":[1,"<"]}`)}}},
		"null everything":     {`{"key":"a","value":"","metadata":null,"expiration":null,"expiration_ttl":null,"base64":null}`, []Pair{{Key: "a", Value: []byte{}}}},
		"fraction":            {`{"key":"a","value":"","expiration":4102444800.9}`, []Pair{{Key: "a", Value: []byte{}, Expiration: 4102444800}}},
		"ttl wins":            {`{"key":"a","value":"","expiration":1,"expiration_ttl":90.5}`, []Pair{{Key: "a", Value: []byte{}, TTL: 90 * time.Second}}},
		"unknown field":       {`{"key":"a","value":"","color":{"x":[]}}`, []Pair{{Key: "a", Value: []byte{}}}},
		"escapes in the key":  {`{"key":"\u0000/ \ud83c\udfbf","value":"\ud800"}`, []Pair{{Key: "\x00/ 🎿", Value: []byte("\ufffd")}}},
		"bytes, not UTF-8":    {"{\"key\":\"a\",\"value\":\"\xff\"}", []Pair{{Key: "a", Value: []byte("\ufffd")}}},
		"values, no newlines": {`{"key":"a","value":"1"}{"key":"a","value":"2"}`, []Pair{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := pairs(t, strings.NewReader(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestBadPairs(t *testing.T) {
	const good = `{"key":"good","value":"1"}`
	tests := map[string]struct{ entry, key, want string }{
		"no key":          {`{"value":"1"}`, "", `"key" is missing`},
		"null key":        {`{"key":null,"value":"1"}`, "", `"key" is missing`},
		"no value":        {`{"key":"k"}`, "k", `"value" is missing`},
		"number":          {`{"key":"k","value":5}`, "k", `"value" is a JSON number, not a string`},
		"object":          {`{"value":{"a":"b"},"key":"k"}`, "k", `"value" is a JSON object, not a string`},
		"text as ttl":     {`{"key":"k","value":"","expiration_ttl":"60"}`, "k", `"expiration_ttl" is a JSON string, not a number`},
		"base64 word":     {`{"key":"k","value":"","base64":"yes"}`, "k", `"base64" is a JSON string, not true or false`},
		"bad base64":      {`{"key":"k","value":"a","base64":true}`, "k", `"value" is not base64`},
		"no ttl":          {`{"key":"k","value":"","expiration_ttl":0.5}`, "k", `has to be positive`},
		"huge ttl":        {`{"key":"k","value":"","expiration_ttl":1e12}`, "k", `out of range`},
		"past":            {`{"key":"k","value":"","expiration":0}`, "k", `in the past`},
		"huge":            {`{"key":"k","value":"","expiration":1e300}`, "k", `out of range`},
		"not an object":   {`"k"`, "", `it is a JSON string, not an object`},
		"null":            {`null`, "", `"key" is missing`},
		"not JSON":        {`{"key":}`, "", `not JSON: invalid character '}'`},
		"cut off":         {`{"key":"k`, "", `ends in the middle of it`},
		"missing a quote": {`{key:1}`, "", `not JSON`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := pairs(t, strings.NewReader(good+"\n"+test.entry))
			var bad *EntryError
			if !errors.As(err, &bad) {
				t.Fatalf("got %v, want an EntryError", err)
			}
			if len(got) != 1 || bad.Index != 1 || bad.Key != test.key || !strings.Contains(err.Error(), test.want) {
				t.Errorf("after %d pairs: %+v: %v; want key %q, %q", len(got), bad, err, test.key, test.want)
			}
		})
	}
}

func TestBadArrays(t *testing.T) {
	for in, want := range map[string]string{
		`[`:                         "ends inside the array",
		`[{"key":"a","value":""}`:   "ends inside the array",
		`[{"key":"a","value":""},`:  "ends in the middle",
		`[{"key":"a","value":""},]`: "not JSON",
		`[{"key":"a","value":""} {"key":"b","value":""}]`: "not JSON",
		`[{"key":"a","value":""}] x`:                      "after the end of the array",
		`[{"key":"a","value":""}]{"key":"b","value":"1"}`: "after the end of the array",
		`[{"key":"a","value":""}}`:                        "not JSON",
	} {
		if _, err := pairs(t, strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", in, err, want)
		}
	}
}

// endless is a JSON string that never ends.
type endless struct{ started bool }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	if !e.started {
		e.started = true
		copy(p, `[{"value":"`)
	}
	return len(p), nil
}

func TestEndlessEntry(t *testing.T) {
	r, err := NewPairReader(&endless{})
	if err != nil {
		t.Fatal(err)
	}
	r.values.in.limit = 1 << 20
	if _, err := r.Next(); !errors.Is(err, errEntryTooLong) {
		t.Errorf("got %v", err)
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken")
	for _, in := range []string{"", "[", `[{"key":"a","value":""}`, `{"key":"a","value":""}`, `{"ke`} {
		_, err := pairs(t, io.MultiReader(strings.NewReader(in), iotestErr{broken}))
		if !errors.Is(err, broken) {
			t.Errorf("after %q: %v", in, err)
		}
	}
}

type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.err }

func TestKeys(t *testing.T) {
	for in, want := range map[string][]string{
		``:                            nil,
		`["a","b/c",""]`:              {"a", "b/c", ""},
		"\"a\"\n\"b\"":                {"a", "b"},
		`[{"name":"a","metadata":1}]`: {"a"},
		"{\"name\":\"a\"}\n\"b\"":     {"a", "b"},
	} {
		if got, err := keys(strings.NewReader(in)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, %v", in, got, err)
		}
	}
	for _, in := range []string{`["a",1]`, `["a",null]`, `["a",{"key":"b"}]`, `["a",["b"]]`, `["a",{"name":1}]`, `["a"`, `["a",x]`} {
		got, err := keys(strings.NewReader(in))
		if err == nil || len(got) != 1 {
			t.Errorf("%s: got %q, %v", in, got, err)
		}
	}
}

func keys(in io.Reader) ([]string, error) {
	r, err := NewKeyReader(in)
	if err != nil {
		return nil, err
	}
	var all []string
	for {
		key, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, key)
	}
}

func TestSequences(t *testing.T) {
	var out bytes.Buffer
	if err := NewArray(&out).Close(); err != nil || out.String() != "[]\n" {
		t.Errorf("empty array: %q, %v", &out, err)
	}
	out.Reset()
	array := NewArray(&out)
	array.Element(Listed{Name: "<a>"})
	array.Element(Listed{Name: "b\x00", Expiration: 5, Metadata: json.RawMessage(`{"a":1}`)})
	array.Close()
	const wantArray = "[\n{\"name\":\"<a>\"},\n{\"name\":\"b\\u0000\",\"expiration\":5,\"metadata\":{\"a\":1}}\n]\n"
	if out.String() != wantArray {
		t.Errorf("array: %s", &out)
	}
	out.Reset()
	object := NewObject(&out)
	object.Member("a", PlainValue([]byte("x")))
	object.Member("b", PlainValue([]byte{0xff}))
	object.Member("c", nil)
	object.Member("d", NewValue([]byte{0xff}, nil, 7))
	object.Close()
	const wantObject = `{
"a":"x",
"b":{"value":"/w==","base64":true},
"c":null,
"d":{"value":"/w==","base64":true,"metadata":null,"expiration":7}
}
`
	if out.String() != wantObject {
		t.Errorf("object: %s", &out)
	}
}

func FuzzPairs(f *testing.F) {
	f.Add([]byte(`[{"key":"a","value":"1"}]`))
	f.Add([]byte(`{"key":"a","value":"1","metadata":{}}` + "\n" + `{"key":"b","value":"","expiration":1e9}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		all, _ := pairs(t, bytes.NewReader(in))
		for _, p := range all {
			if p.TTL < 0 || p.Expiration < 0 || p.Value == nil {
				t.Fatalf("%+v", p)
			}
		}
		keys(bytes.NewReader(in))
	})
}

func TestSnakeCase(t *testing.T) {
	type Inner struct{ DiskBytes int64 }
	type Segment struct {
		ID   uint64
		Kind string
	}
	v := struct {
		Inner
		LiveKeys Inner
		Segments []Segment
		None     []Segment
		Jobs     map[string]int64
		NoJobs   map[string]int64
	}{Inner{1}, Inner{2}, []Segment{{3, "a"}}, nil, map[string]int64{"pack": 4, "dead": 5}, nil}
	got, err := json.Marshal(SnakeCase(v))
	const want = `{"disk_bytes":1,"live_keys":{"disk_bytes":2},"segments":[{"id":3,"kind":"a"}],"none":[],"jobs":{"dead":5,"pack":4},"no_jobs":{}}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}
