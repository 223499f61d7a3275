package api

import (
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads a string. Of one that is longer than most, only so many bytes are
// returned; n is how long it is.
func (j *jsonReader) string(most int) (s string, n int64, err error) {
	b, n, err := j.appendText(nil, most)
	return string(b), n, err
}

// appendText appends the bytes of a string to b, but not more than most, and returns
// how many there are.
func (j *jsonReader) appendText(b []byte, most int) ([]byte, int64, error) {
	if err := j.expect('"'); err != nil {
		return b, 0, err
	}
	t := text{b: b, from: len(b), most: most}
	for {
		if j.pos == j.end {
			if err := j.fill(); err != nil {
				if err == io.EOF {
					err = bad("The JSON ends in the middle of a string")
				}
				return b, 0, err
			}
		}
		run := j.pos
		for run < j.end && j.window[run] >= ' ' && j.window[run] != '"' && j.window[run] != '\\' {
			run++
		}
		t.add(j.window[j.pos:run])
		j.pos = run
		if run == j.end {
			continue
		}
		c := j.window[run]
		switch {
		case c == '"':
			j.pos++
			if t.n <= int64(most) && !utf8.Valid(t.b[t.from:]) {
				return b, 0, j.syntax("a string that is not UTF-8, ending")
			}
			return t.b, t.n, nil
		case c != '\\':
			return b, 0, j.syntax("a control character in a string")
		}
		j.pos++
		if err := j.escape(&t); err != nil {
			return b, 0, err
		}
	}
}

// text is a string being decoded.
type text struct {
	b    []byte
	from int // where it begins in b
	most int
	n    int64
}

func (t *text) add(p []byte) {
	t.n += int64(len(p))
	room := t.most - (len(t.b) - t.from)
	t.b = append(t.b, p[:min(len(p), room)]...)
}

// escape decodes what follows a backslash.
func (j *jsonReader) escape(t *text) error {
	c, err := j.next()
	if err != nil {
		return err
	}
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return j.unicode(t)
	default:
		j.back()
		return j.syntax("an escape that there is not")
	}
	t.add([]byte{c})
	return nil
}

// unicode decodes what follows \u. Half of a surrogate pair becomes U+FFFD.
func (j *jsonReader) unicode(t *text) error {
	r, err := j.hex()
	for err == nil && utf16.IsSurrogate(r) {
		var c byte
		if c, err = j.next(); err != nil {
			return err
		}
		if c != '\\' {
			j.back()
			r = utf8.RuneError
			break
		}
		if c, err = j.next(); err != nil {
			return err
		}
		if c != 'u' {
			// The backslash may be in the window before, so the escape is
			// decoded here.
			j.back()
			t.add([]byte("\ufffd"))
			return j.escape(t)
		}
		var second rune
		if second, err = j.hex(); err != nil {
			return err
		}
		if full := utf16.DecodeRune(r, second); full != utf8.RuneError {
			r = full
			break
		}
		t.add([]byte("\ufffd"))
		r = second
	}
	if err != nil {
		return err
	}
	t.add(utf8.AppendRune(nil, r))
	return nil
}

func (j *jsonReader) hex() (rune, error) {
	var r rune
	for range 4 {
		c, err := j.next()
		if err != nil {
			return 0, err
		}
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			j.back()
			return 0, j.syntax(`no hexadecimal digit after \u`)
		}
		r = r<<4 | rune(c)
	}
	return r, nil
}
