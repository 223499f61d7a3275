package api

import "unicode/utf8"

// skip reads a value of any kind.
func (j *jsonReader) skip() error {
	return j.copy(&text{})
}

// raw reads a value of any kind and appends it to b without white space, but not more
// than most bytes of it; n is how long it is. It is UTF-8.
func (j *jsonReader) raw(b []byte, most int) (value []byte, n int64, err error) {
	t := text{b: b, from: len(b), most: most}
	err = j.copy(&t)
	if err == nil && t.n <= int64(most) && !utf8.Valid(t.b[t.from:]) {
		err = j.syntax("a string that is not UTF-8, before")
	}
	return t.b, t.n, err
}

// copy copies a value.
func (j *jsonReader) copy(t *text) error {
	c, err := j.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return j.copyContainer(t, '}', func() error {
			if err := j.copyString(t); err != nil {
				return err
			}
			t.add([]byte{':'})
			if err := j.expect(':'); err != nil {
				return err
			}
			return j.copy(t)
		})
	case '[':
		return j.copyContainer(t, ']', func() error { return j.copy(t) })
	case '"':
		return j.copyString(t)
	case 't':
		t.add([]byte("true"))
		return j.word("true")
	case 'f':
		t.add([]byte("false"))
		return j.word("false")
	case 'n':
		t.add([]byte("null"))
		return j.word("null")
	}
	return j.copyNumber(t)
}

func (j *jsonReader) copyContainer(t *text, end byte, element func() error) error {
	open := end - 2 // of { and }, and of [ and ]
	t.add([]byte{open})
	first := true
	err := j.container(open, end, func() error {
		if !first {
			t.add([]byte{','})
		}
		first = false
		return element()
	})
	t.add([]byte{end})
	return err
}

// copyString copies a string as it is written.
func (j *jsonReader) copyString(t *text) error {
	if err := j.expect('"'); err != nil {
		return err
	}
	t.add([]byte{'"'})
	for {
		c, err := j.next()
		if err != nil {
			return err
		}
		switch {
		case c < ' ':
			j.back()
			return j.syntax("a control character in a string")
		case c == '\\':
			if err := j.copyEscape(t); err != nil {
				return err
			}
			continue
		}
		t.add([]byte{c})
		if c == '"' {
			return nil
		}
	}
}

// copyEscape copies what follows a backslash.
func (j *jsonReader) copyEscape(t *text) error {
	c, err := j.next()
	if err != nil {
		return err
	}
	t.add([]byte{'\\', c})
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			c, err := j.next()
			if err != nil {
				return err
			}
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				j.back()
				return j.syntax(`no hexadecimal digit after \u`)
			}
			t.add([]byte{c})
		}
		return nil
	}
	j.back()
	return j.syntax("an escape that there is not")
}
