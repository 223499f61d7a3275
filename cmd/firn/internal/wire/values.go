package wire

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxEntryBytes bounds one entry of an input. The bulk API bounds a whole
// request by as much, so nothing that was written through it is refused.
const maxEntryBytes = 100_000_000

var errEntryTooLong = errors.New("it is longer")

// values iterates over the elements of a JSON array or of a sequence of JSON
// values.
type values struct {
	in    *meter
	dec   *json.Decoder
	array bool
	done  bool
}

func newValues(r io.Reader) (*values, error) {
	buffered := bufio.NewReader(r)
	first, err := skipBlank(buffered)
	if err == io.EOF {
		return &values{done: true}, nil
	}
	if err != nil {
		return nil, err
	}
	in := &meter{r: buffered, limit: maxEntryBytes}
	in.dec = json.NewDecoder(in)
	v := &values{in: in, dec: in.dec, array: first == '['}
	if v.array {
		_, err = v.dec.Token()
	}
	return v, err
}

// skipBlank discards a byte order mark and white space, and returns the byte
// that follows without consuming it.
func skipBlank(r *bufio.Reader) (byte, error) {
	if mark, _ := r.Peek(3); string(mark) == "\xef\xbb\xbf" {
		r.Discard(3)
	}
	for {
		c, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c, r.UnreadByte()
		}
	}
}

// next decodes the next value into v, or returns io.EOF after the last one. An
// error of type *json.UnmarshalTypeError leaves in v what could be decoded; no
// error but that lets the caller go on.
func (v *values) next(into any) error {
	if v.done {
		return io.EOF
	}
	if v.array && !v.dec.More() {
		return v.endArray()
	}
	err := v.dec.Decode(into)
	if err == io.EOF {
		if !v.array {
			v.done = true
			return io.EOF
		}
		err = io.ErrUnexpectedEOF
	}
	return v.located(err)
}

func (v *values) endArray() error {
	if _, err := v.dec.Token(); err != nil {
		if err == io.EOF {
			return errors.New("the input ends inside the array")
		}
		return v.located(err)
	}
	v.done = true
	if _, err := v.dec.Token(); err != io.EOF {
		if err == nil || isSyntax(err) {
			return fmt.Errorf("data after the end of the array, at byte %d", v.dec.InputOffset())
		}
		return err
	}
	return io.EOF
}

// located adds to a syntax error whereabouts in the input it is.
func (v *values) located(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the input ends in the middle of it")
	}
	if isSyntax(err) {
		return fmt.Errorf("not JSON: %w, after byte %d", err, v.dec.InputOffset())
	}
	return err
}

func isSyntax(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax)
}

// meter feeds a decoder and refuses to go on when the value it is in the
// middle of has grown too long: the decoder holds a whole value in memory.
type meter struct {
	r     io.Reader
	limit int64
	read  int64
	dec   *json.Decoder
}

func (m *meter) Read(p []byte) (int, error) {
	if m.read-m.dec.InputOffset() > m.limit {
		return 0, fmt.Errorf("%w than %d bytes", errEntryTooLong, m.limit)
	}
	n, err := m.r.Read(p)
	m.read += int64(n)
	return n, err
}
