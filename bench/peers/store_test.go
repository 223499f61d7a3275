package peers

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/firnkv/firn/bench"
)

// TestStores checks that every engine does what it is measured for.
func TestStores(t *testing.T) {
	for _, e := range Engines {
		for _, o := range []bench.Options{{Writers: 1}, {Durable: true, Writers: 1}, {Writers: 2}} {
			t.Run(fmt.Sprintf("%s/durable=%t/writers=%d", e.Name, o.Durable, o.Writers), func(t *testing.T) { testStore(t, e, o) })
		}
	}
}

func testStore(t *testing.T, e bench.Engine, o bench.Options) {
	dir := t.TempDir()
	s := open(t, e, dir, o)
	key := func(i int) string { return fmt.Sprintf("%c:%03d", 'a'+i%3, i) }
	const n = 60
	for round := range 2 { // the second overwrites the first
		out, err := bench.Load{Threads: o.Writers, Ops: n, Every: 1}.Drive(t.Context(), func(i int) error {
			return s.Put(key(i), bytes.Repeat([]byte{'v'}, i+round))
		})
		if err != nil || out.Ops != n {
			t.Fatalf("%v: %+v", err, out)
		}
	}
	if x, ok := s.(bench.Expirer); ok {
		if err := x.PutTTL("ttl:0", []byte("gone soon"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if a, ok := s.(bench.Annotator); ok {
		checkMetadata(t, a)
	}
	checkStore(t, s, key, n)
	for name, do := range map[string]func() error{"sync": s.Sync, "settle": s.Settle} {
		if err := do(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	checkStore(t, s, key, n)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, e, dir, o)
	checkStore(t, s, key, n)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// checkMetadata puts pairs with metadata and lists them.
func checkMetadata(t *testing.T, a bench.Annotator) {
	t.Helper()
	const metadata = `{"n":1}`
	for i := range 5 {
		if err := a.PutMetadata(fmt.Sprintf("meta:%d", i), []byte("v"), []byte(metadata)); err != nil {
			t.Fatal(err)
		}
	}
	n, bytes, next, err := a.ListMetadata("meta:", "", 3)
	if err != nil || n != 3 || bytes != 3*len(metadata) || next == "" {
		t.Fatalf("%v: %d keys, %d bytes, next %q", err, n, bytes, next)
	}
	if n, bytes, next, err = a.ListMetadata("meta:", next, 3); err != nil || n != 2 || bytes != 2*len(metadata) || next != "" {
		t.Errorf("%v: %d keys, %d bytes, next %q", err, n, bytes, next)
	}
}

func open(t *testing.T, e bench.Engine, dir string, o bench.Options) bench.Store {
	t.Helper()
	s, err := e.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkStore checks that there are n keys, spread over three prefixes.
func checkStore(t *testing.T, s bench.Store, key func(i int) string, n int) {
	t.Helper()
	for i := range n {
		if got, err := s.Get(key(i)); err != nil || got != i+1 {
			t.Fatalf("value of %s: %v, %d bytes, want %d", key(i), err, got, i+1)
		}
		var value bytes.Buffer
		if err := s.GetTo(key(i), &value); err != nil || value.Len() != i+1 {
			t.Fatalf("value of %s: %v, %d bytes, want %d", key(i), err, value.Len(), i+1)
		}
		if missing, err := s.Missing(key(i)); err != nil || missing {
			t.Fatalf("%s: missing is %t, %v", key(i), missing, err)
		}
	}
	if _, err := s.Get("b:"); err == nil || s.GetTo("b:", io.Discard) == nil {
		t.Error("no error from a get of a key that is not there")
	}
	if missing, err := s.Missing("b:"); err != nil || !missing {
		t.Errorf("missing is %t, %v", missing, err)
	}
	for _, limit := range []int{7, n / 3, n} {
		listed, pages, cursor := 0, 0, ""
		for {
			got, next, err := s.List("b:", cursor, limit)
			if err != nil {
				t.Fatal(err)
			}
			listed, pages = listed+got, pages+1
			if cursor = next; next == "" {
				break
			}
		}
		if want := (n/3 + limit - 1) / limit; listed != n/3 || pages != want {
			t.Errorf("listed %d keys on %d pages of up to %d, want %d on %d", listed, pages, limit, n/3, want)
		}
	}
}

func TestBehind(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "a": "b", "a:": "a;", "a\xff": "b", "\xff\xff": ""} {
		if got := behind(prefix); string(got) != want {
			t.Errorf("behind %q is %q, want %q", prefix, got, want)
		}
	}
}
