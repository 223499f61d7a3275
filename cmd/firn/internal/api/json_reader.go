package api

import (
	"io"
	"strconv"
)

// jsonReader reads JSON from a stream, holding none of it but a window of 64 KiB and
// what it is asked for. It is strict: strings have to be UTF-8, and nothing but white
// space may follow the end. What is not JSON is refused as a bad request, and errors
// of the stream are passed on.
type jsonReader struct {
	r        io.Reader
	window   *[smallBody]byte
	pos, end int
	before   int64 // bytes of the stream before the window
	err      error // of the stream
	depth    int
}

// maxDepth is how deep arrays and objects may be nested: more than fits in 1,024 bytes
// of metadata.
const maxDepth = 1100

// newJSONReader returns a reader that close has to be called for.
func newJSONReader(r io.Reader) *jsonReader {
	return &jsonReader{r: r, window: buffers.Get().(*[smallBody]byte)}
}

func (j *jsonReader) close() {
	buffers.Put(j.window)
	j.window = nil
}

// fill reads more into the window, all of which has been used.
func (j *jsonReader) fill() error {
	j.before += int64(j.end)
	j.pos, j.end = 0, 0
	for range 100 {
		if j.err != nil {
			break
		}
		j.end, j.err = j.r.Read(j.window[:])
		if j.end > 0 {
			return nil
		}
	}
	if j.err == nil {
		j.err = io.ErrNoProgress
	}
	return j.err
}

// next returns the next byte.
func (j *jsonReader) next() (byte, error) {
	if j.pos == j.end {
		if err := j.fill(); err != nil {
			if err == io.EOF {
				err = bad("The JSON ends in the middle")
			}
			return 0, err
		}
	}
	c := j.window[j.pos]
	j.pos++
	return c, nil
}

// token returns the next byte that is no white space.
func (j *jsonReader) token() (byte, error) {
	for {
		c, err := j.next()
		if err != nil || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c, err
		}
	}
}

// back takes the last byte back.
func (j *jsonReader) back() { j.pos-- }

// peek is token without consuming it.
func (j *jsonReader) peek() (byte, error) {
	c, err := j.token()
	if err == nil {
		j.back()
	}
	return c, err
}

func (j *jsonReader) syntax(what string) error {
	return bad("The body is not the expected JSON: %s at byte %d", what, j.before+int64(j.pos))
}

func (j *jsonReader) expect(want byte) error {
	c, err := j.token()
	if err == nil && c != want {
		j.back()
		err = j.syntax("no " + strconv.QuoteRune(rune(want)))
	}
	return err
}

// finish makes sure that nothing follows.
func (j *jsonReader) finish() error {
	for {
		if j.pos == j.end {
			if err := j.fill(); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
		switch j.window[j.pos] {
		case ' ', '\n', '\r', '\t':
			j.pos++
		default:
			return j.syntax("more than one value")
		}
	}
}

// object calls member with the name of each member; that has to read the value.
func (j *jsonReader) object(member func(name string) error) error {
	return j.container('{', '}', func() error {
		name, _, err := j.string(maxName)
		if err == nil {
			err = j.expect(':')
		}
		if err != nil {
			return err
		}
		return member(name)
	})
}

// maxName is the length that names of members are cut to: no known one is as long.
const maxName = 64

// array calls element for each element, which has to read it.
func (j *jsonReader) array(element func() error) error {
	return j.container('[', ']', element)
}

func (j *jsonReader) container(open, end byte, element func() error) error {
	if err := j.expect(open); err != nil {
		return err
	}
	if j.depth++; j.depth > maxDepth {
		return j.syntax("too deep a nesting")
	}
	c, err := j.peek()
	if err != nil {
		return err
	}
	if c == end {
		j.pos++
		j.depth--
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch c, err := j.token(); {
		case err != nil:
			return err
		case c == end:
			j.depth--
			return nil
		case c != ',':
			j.back()
			return j.syntax("no ',' or " + strconv.QuoteRune(rune(end)))
		}
	}
}

// null consumes null and reports whether it was there.
func (j *jsonReader) null() (bool, error) {
	c, err := j.peek()
	if err != nil || c != 'n' {
		return false, err
	}
	return true, j.word("null")
}

// bool reads true or false.
func (j *jsonReader) bool() (bool, error) {
	c, err := j.peek()
	switch {
	case err != nil:
		return false, err
	case c == 't':
		return true, j.word("true")
	case c == 'f':
		return false, j.word("false")
	}
	return false, j.syntax("neither true nor false")
}

func (j *jsonReader) word(w string) error {
	for i := range len(w) {
		c, err := j.next()
		if err != nil {
			return err
		}
		if c != w[i] {
			j.back()
			return j.syntax("no " + w)
		}
	}
	return nil
}
