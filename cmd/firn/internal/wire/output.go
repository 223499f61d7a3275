package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// Sequence writes a JSON array or object element by element, one a line, so
// that line tools can work on it too.
type Sequence struct {
	w     io.Writer
	open  byte
	close byte
	begun bool
	line  bytes.Buffer
	enc   *json.Encoder
}

// NewArray returns a writer of a JSON array.
func NewArray(w io.Writer) *Sequence { return newSequence(w, '[', ']') }

// NewObject returns a writer of a JSON object.
func NewObject(w io.Writer) *Sequence { return newSequence(w, '{', '}') }

func newSequence(w io.Writer, open, close byte) *Sequence {
	s := &Sequence{w: w, open: open, close: close}
	s.enc = json.NewEncoder(&s.line)
	s.enc.SetEscapeHTML(false)
	return s
}

// Element adds an element to an array.
func (s *Sequence) Element(v any) error {
	s.begin()
	return s.end(s.encode(v))
}

// Member adds a member to an object.
func (s *Sequence) Member(name string, v any) error {
	s.begin()
	err := s.encode(name)
	s.line.WriteByte(':')
	if err == nil {
		err = s.encode(v)
	}
	return s.end(err)
}

func (s *Sequence) begin() {
	s.line.Reset()
	if s.begun {
		s.line.WriteString(",\n")
	} else {
		s.line.WriteByte(s.open)
		s.line.WriteByte('\n')
	}
}

func (s *Sequence) encode(v any) error {
	err := s.enc.Encode(v)
	if n := s.line.Len(); err == nil {
		s.line.Truncate(n - 1) // the newline that Encode adds
	}
	return err
}

func (s *Sequence) end(err error) error {
	if err != nil {
		return err
	}
	s.begun = true
	_, err = s.w.Write(s.line.Bytes())
	return err
}

// Close writes the end of the array or object.
func (s *Sequence) Close() error {
	end := []byte{s.open, s.close, '\n'}
	if s.begun {
		end = []byte{'\n', s.close, '\n'}
	}
	_, err := s.w.Write(end)
	return err
}

// Listed is a key in a listing.
type Listed struct {
	Name       string          `json:"name"`
	Expiration int64           `json:"expiration,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
}

// Value is a value with what belongs to it.
type Value struct {
	Value      string          `json:"value"`
	Base64     bool            `json:"base64,omitempty"`
	Metadata   json.RawMessage `json:"metadata"`
	Expiration int64           `json:"expiration,omitempty"`
}

// NewValue returns the JSON form of a value with metadata: text as it is, and
// anything that is not UTF-8 as base64.
func NewValue(value []byte, metadata json.RawMessage, expiration int64) Value {
	v := Value{Value: string(value), Metadata: metadata, Expiration: expiration}
	if len(metadata) == 0 {
		v.Metadata = nil // which is null in JSON
	}
	if !utf8.Valid(value) {
		v.Value, v.Base64 = base64.StdEncoding.EncodeToString(value), true
	}
	return v
}

// PlainValue returns the JSON form of a value alone: a string, or, if it is
// not UTF-8, an object with the base64 of it.
func PlainValue(value []byte) any {
	if utf8.Valid(value) {
		return string(value)
	}
	return struct {
		Value  string `json:"value"`
		Base64 bool   `json:"base64"`
	}{base64.StdEncoding.EncodeToString(value), true}
}
