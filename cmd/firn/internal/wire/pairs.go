package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"time"
)

// Pair is an entry of a bulk write.
type Pair struct {
	Key        string
	Value      []byte
	Metadata   json.RawMessage // nil: none
	TTL        time.Duration   // 0: none
	Expiration int64           // Unix seconds; 0: none
}

// EntryError says which entry of an input is bad.
type EntryError struct {
	Index int    // position in the input, from 0
	Key   string // empty if the entry has none
	Err   error
}

func (e *EntryError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("entry %d: %v", e.Index, e.Err)
	}
	return fmt.Sprintf("entry %d, key %q: %v", e.Index, e.Key, e.Err)
}

// Unwrap returns what is wrong with the entry.
func (e *EntryError) Unwrap() error { return e.Err }

// PairReader reads the pairs of a bulk write.
type PairReader struct {
	values *values
	index  int
}

// NewPairReader returns a reader of the pairs in r. It buffers.
func NewPairReader(r io.Reader) (*PairReader, error) {
	v, err := newValues(r)
	if err != nil {
		return nil, err
	}
	return &PairReader{values: v}, nil
}

// Next returns the next pair, or io.EOF after the last one. Any other error is
// final; one about the entry itself is an [*EntryError].
func (r *PairReader) Next() (Pair, error) {
	var entry pairEntry
	err := r.values.next(&entry)
	if err == io.EOF {
		return Pair{}, io.EOF
	}
	var pair Pair
	if err == nil {
		pair, err = entry.pair()
	}
	if err != nil {
		bad := &EntryError{Index: r.index, Err: explain(err)}
		if entry.Key != nil {
			bad.Key = *entry.Key
		}
		return Pair{}, bad
	}
	r.index++
	return pair, nil
}

// pairEntry is a pair as the bulk API spells it. Pointers tell what is absent
// from what is empty.
type pairEntry struct {
	Key           *string         `json:"key"`
	Value         *string         `json:"value"`
	Expiration    *float64        `json:"expiration"`
	ExpirationTTL *float64        `json:"expiration_ttl"`
	Metadata      json.RawMessage `json:"metadata"`
	Base64        bool            `json:"base64"`
}

func (e *pairEntry) pair() (Pair, error) {
	switch {
	case e.Key == nil:
		return Pair{}, errors.New(`"key" is missing`)
	case e.Value == nil:
		return Pair{}, errors.New(`"value" is missing`)
	}
	p := Pair{Key: *e.Key, Metadata: CompactMetadata(e.Metadata)}
	var err error
	if p.Value, err = e.value(); err != nil {
		return Pair{}, err
	}
	switch {
	case e.ExpirationTTL != nil:
		p.TTL, err = ttl(*e.ExpirationTTL)
	case e.Expiration != nil:
		p.Expiration, err = expiration(*e.Expiration)
	}
	return p, err
}

func (e *pairEntry) value() ([]byte, error) {
	if !e.Base64 {
		return []byte(*e.Value), nil
	}
	value, err := base64.StdEncoding.DecodeString(*e.Value)
	if err != nil {
		return nil, fmt.Errorf(`"value" is not base64: %w`, err)
	}
	return value, nil
}

// ttl drops the fraction of a second, as expiration does. What is left must
// not be 0, which would mean "no TTL" further on.
func ttl(seconds float64) (time.Duration, error) {
	s := math.Trunc(seconds)
	if s <= 0 {
		return 0, fmt.Errorf(`"expiration_ttl" is %v: it has to be positive`, seconds)
	}
	if s > float64(math.MaxInt64/int64(time.Second)) {
		return 0, fmt.Errorf(`"expiration_ttl" is %v: it is out of range`, seconds)
	}
	return time.Duration(s) * time.Second, nil
}

func expiration(seconds float64) (int64, error) {
	s := math.Trunc(seconds)
	if s <= 0 {
		return 0, fmt.Errorf(`"expiration" is %v: it is in the past`, seconds)
	}
	if s > 1<<53 {
		return 0, fmt.Errorf(`"expiration" is %v: it is out of range`, seconds)
	}
	return int64(s), nil
}

// CompactMetadata returns metadata without insignificant white space, which
// must not count against the limit, and nil for null. What is not JSON is
// returned as it is, for the store to refuse.
func CompactMetadata(metadata json.RawMessage) json.RawMessage {
	var compact bytes.Buffer
	if err := json.Compact(&compact, metadata); err != nil {
		return metadata
	}
	if s := compact.String(); s == "" || s == "null" {
		return nil
	}
	return compact.Bytes()
}

// explain says in words of JSON what encoding/json says in words of Go.
func explain(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	if wrong.Field == "" {
		return fmt.Errorf("it is a JSON %s, not an object", wrong.Value)
	}
	want := "a number"
	switch wrong.Type.Kind() {
	case reflect.String:
		want = "a string"
	case reflect.Bool:
		want = "true or false"
	}
	return fmt.Errorf("%q is a JSON %s, not %s", wrong.Field, wrong.Value, want)
}
