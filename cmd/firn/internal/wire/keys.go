package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// KeyReader reads the keys of a bulk read or delete: JSON strings, or objects
// with a "name", as a listing has them.
type KeyReader struct {
	values *values
	index  int
}

// NewKeyReader returns a reader of the keys in r. It buffers.
func NewKeyReader(r io.Reader) (*KeyReader, error) {
	v, err := newValues(r)
	if err != nil {
		return nil, err
	}
	return &KeyReader{values: v}, nil
}

// Next returns the next key, or io.EOF after the last one. Any other error is
// final; one about the entry itself is an [*EntryError].
func (r *KeyReader) Next() (string, error) {
	var entry keyEntry
	err := r.values.next(&entry)
	if err == io.EOF {
		return "", io.EOF
	}
	if err != nil {
		return "", &EntryError{Index: r.index, Err: err}
	}
	r.index++
	return string(entry), nil
}

type keyEntry string

var errNotKey = errors.New(`neither a string nor an object with a "name" that is one`)

// UnmarshalJSON implements [json.Unmarshaler].
func (k *keyEntry) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte{'"'}) {
		return json.Unmarshal(data, (*string)(k))
	}
	var listed struct {
		Name *string `json:"name"`
	}
	if err := json.Unmarshal(data, &listed); err != nil || listed.Name == nil {
		return errNotKey
	}
	*k = keyEntry(*listed.Name)
	return nil
}
