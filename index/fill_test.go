package index

import (
	"sync"
	"testing"
)

// An index that several fill at once holds what one that grew by itself holds, in as little memory.
func TestFill(t *testing.T) {
	r := random(t)
	grown, filled := New(), New()
	defer grown.Close()
	defer filled.Close()
	hashes := make([]Hash, 300_000)
	entries := make([]Entry, len(hashes))
	for i := range hashes {
		hashes[i] = Hash{r.Uint64(), r.Uint64()}
		entries[i] = Entry{Location: Location(i), Size: int64(i % 1000)}
		if i%100_000 == 0 {
			entries[i].Expiration = 1 // of which few tables know
		}
		grown.Put(hashes[i], entries[i])
	}
	var filling sync.WaitGroup
	const fillers = 3
	for w, f := range filled.NewFillers(fillers, len(hashes)) {
		filling.Go(func() {
			for i := w; i < len(hashes); i += fillers {
				f.Put(hashes[i], entries[i])
			}
			f.Flush()
		})
	}
	filling.Wait()
	for i, h := range hashes {
		if got, ok := filled.Get(h); !ok || got != entries[i] {
			t.Fatalf("%+v, %v, want %+v", got, ok, entries[i])
		}
	}
	if filled.Len() != grown.Len() {
		t.Errorf("%d entries, want %d", filled.Len(), grown.Len())
	}
	if got, want := filled.Totals(10), grown.Totals(10); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if filled.Memory() > grown.Memory()*101/100 {
		t.Errorf("%d bytes, and %d without", filled.Memory(), grown.Memory())
	}
	check(t, filled)
}

// What is flushed into a closed index is dropped, as what is put.
func TestFillClosed(t *testing.T) {
	x := New()
	f := x.NewFillers(1, 0)[0]
	f.Put(numbered(1), benchEntry(1))
	x.Put(numbered(2), benchEntry(2))
	x.Close()
	f.Flush()
	if n := x.Len(); n != 0 {
		t.Errorf("%d entries", n)
	}
}
