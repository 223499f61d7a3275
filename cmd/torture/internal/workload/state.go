package workload

import (
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/firnkv/firn/engine"
)

// State is what a key holds. The zero State is that of a key that is not there.
type State struct {
	Exists     bool
	Bytes      int64 // of key, metadata and value
	Expiration int64 // Unix seconds; 0: none
	Metadata   string
	Sum        uint64 // of the value
	Stamp      string // the beginning of the value, which says what wrote it
}

const stampBytes = 32

func newState(key string, value []byte, metadata string, expiration int64) State {
	s := summer{key: key, metadata: metadata, expiration: expiration}
	_, _ = s.Write(value)
	return s.state()
}

// summer makes the State of a pair from its value as it comes.
type summer struct {
	key, metadata string
	expiration    int64

	d     *xxhash.Digest
	n     int64
	stamp []byte
}

func (s *summer) Write(p []byte) (int, error) {
	if s.d == nil {
		s.d = xxhash.New()
	}
	s.stamp = append(s.stamp, p[:min(len(p), stampBytes-len(s.stamp))]...)
	s.n += int64(len(p))
	return s.d.Write(p)
}

func (s *summer) state() State {
	_, _ = s.Write(nil)
	return State{true, int64(len(s.key)+len(s.metadata)) + s.n, s.expiration, s.metadata, s.d.Sum64(), string(s.stamp)}
}

// PairState returns the State of a pair that was read.
func PairState(p *engine.Pair) State {
	return newState(p.Key, p.Value, string(p.Metadata), p.Expiration)
}

// StreamState reads the value of r to its end, through from, and returns the State
// of the pair.
func StreamState(r *engine.ValueReader, from io.Reader) (State, error) {
	info := r.Info()
	s := summer{key: info.Name, metadata: string(info.Metadata), expiration: info.Expiration}
	n, err := io.Copy(&s, from)
	if err == nil && n != r.Len() {
		err = fmt.Errorf("read %d bytes of a value that is said to have %d", n, r.Len())
	}
	return s.state(), err
}

// Visible reports whether there is a pair at the second now.
func (s State) Visible(now int64) bool {
	return s.Exists && (s.Expiration == 0 || s.Expiration > now)
}

func (s State) String() string {
	if !s.Exists {
		return "nothing"
	}
	text := fmt.Sprintf("%d bytes, %.*q", s.Bytes, stampBytes, s.Stamp)
	if s.Metadata != "" {
		text += ", metadata " + s.Metadata
	}
	if s.Expiration != 0 {
		text += fmt.Sprintf(", expires at %d", s.Expiration)
	}
	return text
}
