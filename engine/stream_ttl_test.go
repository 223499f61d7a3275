package engine

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

// A TTL counts from the end of a stream: a value that takes longer to come than it
// is to live must not be gone when the put returns.
func TestSlowStreamTTL(t *testing.T) {
	clock := newTestClock()
	s, err := Open(t.TempDir(), &Options{Logger: quiet, Clock: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, length := range []int{10, largeFrom, 3 * largeFrom} {
		value := bytes.Repeat([]byte("v"), length)
		slow := io.MultiReader(bytes.NewReader(value[:length/2]), &onRead{do: func() { clock.advance(100) }}, bytes.NewReader(value[length/2:]))
		if err := s.PutReader(t.Context(), "k", slow, &PutOptions{TTL: 60 * time.Second}); err != nil {
			t.Fatal(err)
		}
		want := clock.second.Load() + 60
		pair, err := s.GetPair(t.Context(), "k")
		if err != nil || !bytes.Equal(pair.Value, value) || pair.Expiration != want {
			t.Fatalf("%d bytes: %+v, %v; want it to expire at %d", length, pair, err, want)
		}
		clock.advance(60)
		if _, err := s.GetPair(t.Context(), "k"); !errors.Is(err, ErrNotFound) {
			t.Fatalf("%d bytes: %v", length, err)
		}
	}
}

// onRead calls do when it is read, and is empty.
type onRead struct{ do func() }

func (r *onRead) Read([]byte) (int, error) {
	r.do()
	return 0, io.EOF
}
