package engine

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Without a checkpoint, the keys of a large store are entered range by range: each
// key once, and by its newest version.
func TestRebuildInRanges(t *testing.T) {
	const keys = 100_000
	dir := t.TempDir()
	opts := Options{Sync: SyncNever, Logger: quiet}
	s, err := Open(dir, &opts)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	put := func(from, to, step int, value string) {
		t.Helper()
		var b Batch
		for i := from; i < to; i += step {
			key := fmt.Sprintf("key %d", i)
			if value == "" {
				b.Delete(key)
				delete(want, key)
			} else {
				want[key] = fmt.Sprint(value, i)
				b.Put(key, []byte(want[key]), nil)
			}
			if b.Len() == 1000 || i+step >= to {
				if err := s.Write(t.Context(), &b); err != nil {
					t.Fatal(err)
				}
				b.Reset()
			}
		}
	}
	put(0, keys, 1, "first ")
	put(0, keys, 3, "second ")
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(0, keys, 2, "third ")
	put(0, keys, 7, "")
	put(0, keys, 49, "fourth ")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, checkpointName)); err != nil {
		t.Fatal(err)
	}
	open := func(processors int) *Store {
		t.Helper()
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		opts.ReadOnly = true
		s, err := Open(dir, &opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if bounds, err := mergeBounds(s.segs.all()); err != nil || len(bounds) != processors-1 {
			t.Errorf("%d bounds for %d processors, %v", len(bounds), processors, err)
		}
		return s
	}
	alone := open(1)
	s = open(3)
	if got, want := s.Usage(), alone.Usage(); got != want {
		t.Errorf("usage %+v, and by one goroutine %+v", got, want)
	}
	got := map[string]string{}
	for info, err := range s.Keys(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		value, err := s.Get(t.Context(), info.Name)
		if err != nil {
			t.Fatal(err)
		}
		got[info.Name] = string(value)
	}
	if !maps.Equal(got, want) {
		t.Errorf("%d pairs, want %d", len(got), len(want))
	}
	bytes := 0
	for key, value := range want {
		bytes += len(key) + len(value)
	}
	if u := s.Usage(); u.Keys != int64(len(want)) || u.Bytes != int64(bytes) {
		t.Errorf("usage of %d keys and %d bytes, want %d and %d", u.Keys, u.Bytes, len(want), bytes)
	}
	if found, err := s.Verify(t.Context(), nil); err != nil {
		t.Errorf("%v, %v", found, err)
	}
}
