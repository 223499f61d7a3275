package api

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// part is a part of a form: a name, and its content.
type part struct{ name, content string }

// makeForm returns a body and the header for it. With file, the parts are files.
func makeForm(parts []part, file bool) (body, header string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		var to io.Writer
		if file {
			h := textproto.MIMEHeader{}
			h.Set("Content-Disposition", multipart.FileContentDisposition(p.name, "a file.bin"))
			h.Set("Content-Type", "image/png")
			to, _ = w.CreatePart(h)
		} else {
			to, _ = w.CreateFormField(p.name)
		}
		io.WriteString(to, p.content)
	}
	w.Close()
	return b.String(), "Content-Type: " + w.FormDataContentType()
}

func TestForms(t *testing.T) {
	dir := t.TempDir()
	s := start(t, &Config{TempDir: dir})
	large := string(bytes.Repeat([]byte("0123456789abcdef"), 2<<20/16)) + "!"
	medium := large[:100_000]
	tests := map[string]struct {
		parts    []part
		metadata string
		value    string
	}{
		"value alone":      {[]part{{"value", "v"}}, `null`, "v"},
		"empty value":      {[]part{{"value", ""}}, `null`, ""},
		"metadata first":   {[]part{{"metadata", `{"a": 1}`}, {"value", "v"}}, `{"a":1}`, "v"},
		"metadata last":    {[]part{{"value", "v"}, {"metadata", `{"a": 1}`}}, `{"a":1}`, "v"},
		"null":             {[]part{{"value", "v"}, {"metadata", ` null `}}, `null`, "v"},
		"empty metadata":   {[]part{{"metadata", ``}, {"value", "v"}}, `null`, "v"},
		"text":             {[]part{{"metadata", `"x"`}, {"value", "v"}}, `"x"`, "v"},
		"other parts":      {[]part{{"x", "1"}, {"metadata", `7`}, {"y", large}, {"value", "v"}, {"z", ""}, {"metadatax", "1"}}, `7`, "v"},
		"medium first":     {[]part{{"value", medium}, {"metadata", `[1]`}}, `[1]`, medium},
		"large first":      {[]part{{"value", large}, {"metadata", `[1]`}}, `[1]`, large},
		"large last":       {[]part{{"metadata", `[1]`}, {"value", large}}, `[1]`, large},
		"large alone":      {[]part{{"value", large}}, `null`, large},
		"brackets":         {[]part{{"metadata[a]", "1"}, {"metadata[b][c]", "x"}, {"metadata[d][]", "1"}, {"metadata[d][]", "two"}, {"value", "v"}}, `{"a":1,"b":{"c":"x"},"d":[1,"two"]}`, "v"},
		"brackets behind":  {[]part{{"value", "v"}, {"metadata[a]", "true"}, {"metadata[b]", "x y"}}, `{"a":true,"b":"x y"}`, "v"},
		"dots":             {[]part{{"metadata.a", "1.5"}, {"metadata.b.c", "null"}, {"metadata.d.0", "1"}, {"metadata.d.1", "x"}, {"value", "v"}}, `{"a":1.5,"b":{"c":null},"d":[1,"x"]}`, "v"},
		"many white space": {[]part{{"metadata", "[" + strings.Repeat(" ", 5000) + "1]"}, {"value", "v"}}, `[1]`, "v"},
	}
	for name, test := range tests {
		for _, file := range []bool{false, true} {
			body, header := makeForm(test.parts, file)
			s.rest("PUT", "/values/"+component(name)+"?expiration_ttl=1000", body, header).result(`{}`)
			s.rest("GET", "/metadata/"+component(name), "").result(test.metadata)
			a := s.rest("GET", "/values/"+component(name), "")
			if a.status != 200 || a.body != test.value || a.header.Get("expiration") == "" {
				t.Errorf("%s: %d, %d bytes %.20q, %v", name, a.status, len(a.body), a.body, a.header)
			}
		}
		if t.Failed() {
			t.Fatal(name)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("temporary files stay: %v, %v", left, err)
	}
}

func TestBadForms(t *testing.T) {
	s := start(t, nil)
	huge := strings.Repeat("x", maxValue+1)
	fits := huge[1:]
	tests := map[string]struct {
		parts  []part
		status int
		text   string
	}{
		"no value":          {[]part{{"metadata", "1"}}, 400, `no part "value"`},
		"nothing":           {nil, 400, ``},
		"two values":        {[]part{{"value", "1"}, {"value", "2"}}, 400, `two parts "value"`},
		"two values behind": {[]part{{"metadata", "1"}, {"value", "1"}, {"value", "2"}}, 400, `two parts "value"`},
		"two metadata":      {[]part{{"metadata", "1"}, {"metadata", "2"}, {"value", "v"}}, 400, "metadata twice"},
		"both":              {[]part{{"metadata", "1"}, {"metadata[a]", "2"}, {"value", "v"}}, 400, "metadata twice"},
		"both, other order": {[]part{{"metadata.a", "2"}, {"metadata", "1"}, {"value", "v"}}, 400, "metadata twice"},
		"around the value":  {[]part{{"metadata[a]", "1"}, {"value", "v"}, {"metadata[b]", "2"}}, 400, "before the value"},
		"not JSON":          {[]part{{"metadata", "undefined"}, {"value", "v"}}, 400, "not valid JSON"},
		"not JSON behind":   {[]part{{"value", "v"}, {"metadata", "{"}}, 400, "not valid JSON"},
		"contradiction":     {[]part{{"metadata[a]", "1"}, {"metadata[a][b]", "2"}, {"value", "v"}}, 400, "contradicts"},
		"no end":            {[]part{{"metadata[a", "1"}, {"value", "v"}}, 400, "not one of metadata"},
		"deep":              {[]part{{"metadata" + strings.Repeat(".a", 65), "1"}, {"value", "v"}}, 400, "too deep"},
		"long metadata":     {[]part{{"metadata", `"` + strings.Repeat("m", 1023) + `"`}, {"value", "v"}}, 413, "Metadata length of 1025 exceeds limit of 1024."},
		"longer metadata":   {[]part{{"metadata", `"` + strings.Repeat("m", 99_998) + `"`}, {"value", "v"}}, 413, "Metadata length of 100000 exceeds limit of 1024."},
		"long parts":        {[]part{{"value", "v"}, {"metadata[a]", strings.Repeat("m", 1024)}}, 413, "exceeds limit of 1024."},
		"huge first":        {[]part{{"value", huge}, {"metadata", "1"}}, 413, "Value length of 26214401 exceeds limit of 26214400."},
		"huge last":         {[]part{{"metadata", "1"}, {"value", huge}}, 413, "Value length of 26214401 exceeds limit of 26214400."},
	}
	for name, test := range tests {
		body, header := makeForm(test.parts, false)
		a := s.rest("PUT", "/values/k", body, header)
		a.refused(test.status, codeBad, test.text)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	for _, header := range []string{"Content-Type: multipart/form-data", "Content-Type: multipart/form-data; boundary=", "Content-Type: Multipart/Form-Data; boundary=\"", "Content-Type: multipart/form-data; boundary=x"} {
		s.rest("PUT", "/values/k", "not a form", header).refused(400, codeBad, "multipart")
	}
	s.rest("GET", "/values/k", "").refused(404, codeNoKey, "")
	for _, parts := range [][]part{{{"value", fits}}, {{"metadata", "1"}, {"value", fits}}} {
		body, header := makeForm(parts, true)
		s.rest("PUT", "/values/k", body, header).result(`{}`)
		if a := s.rest("GET", "/values/k", ""); a.body != fits {
			t.Errorf("%d bytes came back", len(a.body))
		}
	}
}

// What package multipart would do to parts, or keep of them, is not done.
func TestFormParts(t *testing.T) {
	s := start(t, nil)
	const header = "Content-Type: multipart/form-data; boundary=b"
	part := func(header, content string) string {
		return "--b\r\nContent-Disposition: form-data; name=value\r\n" + header + "\r\n" + content + "\r\n"
	}
	for _, encoding := range []string{"quoted-printable", "base64"} {
		body := part("Content-Transfer-Encoding: "+encoding+"\r\n", "YT0z=3D") + "--b--\r\n"
		s.rest("PUT", "/values/k", body, header).result(`{}`)
		s.rest("GET", "/values/k", "").is(200, "YT0z=3D")
	}
	// The boundary of the end counts as such only where it begins a line.
	const within = "x--b--\r\ny"
	s.rest("PUT", "/values/k", part("", within)+"--b--", header).result(`{}`)
	s.rest("GET", "/values/k", "").is(200, within)
	s.rest("PUT", "/values/k", part("", within)+"--b\r\n", header).refused(400, codeBad, "not all of one")
	s.rest("GET", "/values/k", "").is(200, within)

	long := "X: " + strings.Repeat("x", maxPartHead+8<<10)
	for name, body := range map[string]string{
		"a long header":         part(long+"\r\n", "v"),
		"many headers":          part(strings.Repeat(long[:96]+"\r\n", maxPartHead/80), "v"),
		"a header without end":  "--b\r\n" + long,
		"a long preamble":       strings.Repeat("preamble\r\n", maxPartHead/8) + part("", "v"),
		"behind a large value":  part("", strings.Repeat("v", 1<<20)) + part(long+"\r\n", "v"),
		"behind something else": strings.Replace(part("", strings.Repeat("v", 1<<20)), "value", "x", 1) + part(long+"\r\n", "v"),
	} {
		s.rest("PUT", "/values/k", body+"--b--\r\n", header).refused(400, codeBad, "longer than 65536 bytes")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	s.rest("GET", "/values/k", "").is(200, within)
}

// A form that is cut anywhere writes nothing.
func TestCutForms(t *testing.T) {
	s := start(t, nil)
	for _, parts := range [][]part{
		{{"metadata", `{"a":1}`}, {"value", "the value"}},
		{{"value", "the value"}, {"metadata", `{"a":1}`}},
	} {
		body, header := makeForm(parts, false)
		body += "epilogue"
		whole := len(body) - len("epilogue") - len("--\r\n")
		for n := range len(body) {
			// The client says that there is more.
			request := "PUT " + account + "/" + s.id + "/values/k HTTP/1.1\r\nHost: h\r\n" + header + "\r\nContent-Length: " + in(0) + "\r\n\r\n" + body[:n]
			s.cut(request)
			if n <= whole {
				// The client says that this is all.
				a := s.rest("PUT", "/values/k", body[:n], header)
				a.refused(400, codeBad, "")
			}
		}
		s.rest("GET", "/values/k", "").refused(404, codeNoKey, "")
	}
}

func TestEndFinder(t *testing.T) {
	for _, size := range []int{1, 2, 3, 5, 7, 100} {
		for _, in := range []string{"--b--", "xx--b--", "--b-\n--b--xxxxx", "----b---", "xxxxxxxxxxxxxxxxxx--b--xx"} {
			e := endFinder{r: strings.NewReader(in), end: "--b--"}
			io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{&e}, make([]byte, size))
			if !e.found {
				t.Errorf("no end in %q, read by %d", in, size)
			}
		}
		e := endFinder{r: strings.NewReader(strings.Repeat("--b-x-b--x", 100)), end: "--b--"}
		io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{&e}, make([]byte, size))
		if e.found {
			t.Errorf("an end where there is none, read by %d", size)
		}
	}
}

// flatten flattens a value as the SDKs do.
func flatten(v any, name string, dots bool, to []part) []part {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			if dots {
				to = flatten(e, name+"."+string(appendInt(nil, i)), dots, to)
			} else {
				to = flatten(e, name+"[]", dots, to)
			}
		}
	case map[string]any:
		for _, k := range []string{"a", "b", "c d", "é"} {
			e, ok := v[k]
			switch {
			case ok && dots:
				to = flatten(e, name+"."+k, dots, to)
			case ok:
				to = flatten(e, name+"["+k+"]", dots, to)
			}
		}
	case string:
		to = append(to, part{name, v})
	default:
		b, _ := json.Marshal(v)
		to = append(to, part{name, string(b)})
	}
	return to
}

// random makes a value that flattening does not lose: no empty containers, and
// without dots no arrays in arrays.
func random(r *rand.Rand, depth int, inArray, dots bool) any {
	kind := r.IntN(7)
	switch {
	case depth == 0:
		kind += 2
	case kind == 1 && inArray && !dots:
		kind = 2
	}
	switch kind {
	case 0:
		m := map[string]any{}
		for _, k := range []string{"a", "b", "c d", "é"} {
			if r.IntN(2) == 0 {
				m[k] = random(r, depth-1, false, dots)
			}
		}
		m["a"] = random(r, 0, false, dots) // by which elements are told apart
		return m
	case 1:
		var all []any
		for range 1 + r.IntN(3) {
			all = append(all, random(r, depth-1, true, dots))
		}
		return all
	case 2:
		return float64(r.IntN(2000) - 1000)
	case 3:
		return r.IntN(2) == 0
	case 4:
		return nil
	case 5:
		return r.Float64() * 1e10
	}
	return []string{"x", "", "007", "1e5", "NaN", "tru", "a\"b\n", "12345678901234567890", "0x1", "+1", "1.0"}[r.IntN(11)]
}

func TestFlattened(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		dots := i%2 == 0
		v := map[string]any{"a": 1.0, "b": random(r, 4, false, dots)}
		var m metadataParts
		parts := flatten(v, "metadata", dots, nil)
		for _, p := range parts {
			if err := m.add(p.name, strings.NewReader(p.content)); err != nil {
				t.Fatalf("%v: %s: %v", v, p.name, err)
			}
		}
		got, err := m.json()
		want, _ := json.Marshal(v)
		if err != nil || !sameJSON(string(got), string(want)) {
			t.Fatalf("got %s, %v; want %s, of %q", got, err, want, parts)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, text := range []string{"0", "-1", "1.5", "9007199254740991", "0.000001", "1e-7", "1e+21", "1.5e+300", "100000", "1000000000000000000000"} {
		if !isNumber(text) {
			t.Errorf("%s is no number", text)
		}
	}
	for _, text := range []string{"", "-", "00", "1.0", "1e5", "+1", ".5", "5.", "Infinity", "NaN", "0x10", "1_000", "12345678901234567890", "1 ", "٣"} {
		if isNumber(text) {
			t.Errorf("%s is a number", text)
		}
	}
}

func FuzzMetadataParts(f *testing.F) {
	f.Add("metadata[a]", "1", "metadata[b][]", "x", "metadata[b][][c]", "")
	f.Add("metadata.a.0", "true", "metadata.a.1", "\xff", "metadata", "{}")
	f.Add("metadata[", "1", "metadata[]]", "x", "metadata[a][][][]", "y")
	f.Add("metadata.", "1", "metadata..", "x", "metadata[][", "y")
	f.Fuzz(func(t *testing.T, a, x, b, y, c, z string) {
		var m metadataParts
		for _, p := range []part{{a, x}, {b, y}, {c, z}} {
			if !isMetadataPart(p.name) {
				continue
			}
			if err := m.add(p.name, strings.NewReader(p.content)); err != nil {
				if f := failureOf(err); f.status != 400 && f.status != 413 {
					t.Fatalf("%q: %v", p, err)
				}
			}
		}
		got, err := m.json()
		if err != nil {
			t.Fatal(err)
		}
		if m.root != nil && (!json.Valid(got) || !utf8.Valid(got)) {
			t.Fatalf("%q", got)
		}
	})
}
