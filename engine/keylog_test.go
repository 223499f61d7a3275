package engine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/firnkv/firn/segment"
)

// loggedKey is what a keyLog was told about a record.
type loggedKey struct {
	rec     segment.Record
	off     int64
	ordinal int
}

// entry is what the keyLog has to say about it.
func (l *loggedKey) entry() segment.Entry {
	e := segment.Entry{
		Key: l.rec.Key, Seq: l.rec.Seq, Tombstone: l.rec.Tombstone, Deletes: l.rec.Tombstone, Expiration: l.rec.Expiration,
		Length: l.rec.Length, Offset: l.off, Ordinal: l.ordinal, Metadata: l.rec.Metadata, MetadataLen: len(l.rec.Metadata),
	}
	if l.rec.Pointer != nil {
		e.HasPointer, e.Pointer = true, *l.rec.Pointer
	}
	return e
}

func randomLoggedKey(rng *rand.Rand, seq uint64) *loggedKey {
	key := []byte(fmt.Sprint("key", rng.IntN(300)))
	switch rng.IntN(10) {
	case 0:
		key = append(key, 0)
	case 1:
		key = bytes.Repeat(key, 1+rng.IntN(5000))
	case 2:
		key = key[:1+rng.IntN(4)]
	}
	l := &loggedKey{rec: segment.Record{Key: key, Seq: seq}, off: rng.Int64N(1<<25) * 8, ordinal: rng.IntN(256)}
	if rng.IntN(4) == 0 {
		l.rec.Tombstone = true
		return l
	}
	l.rec.Length = rng.Int64N(1 << 30)
	if rng.IntN(2) == 0 {
		l.rec.Expiration = rng.Int64()
	}
	if rng.IntN(2) == 0 {
		l.rec.Metadata = incompressible(rng, rng.IntN(200))
	}
	if rng.IntN(5) == 0 {
		l.rec.Pointer = &segment.Pointer{Segment: rng.Uint64(), Offset: rng.Int64N(1<<26) * 8}
	}
	return l
}

// sameEntry compares an entry with what it has to be. Its bytes may be nil
// instead of empty.
func sameEntry(got, want segment.Entry) bool {
	if !bytes.Equal(got.Key, want.Key) || !bytes.Equal(got.Metadata, want.Metadata) {
		return false
	}
	got.Key, got.Metadata, want.Key, want.Metadata = nil, nil, nil, nil
	return reflect.DeepEqual(got, want)
}

// wantEntries checks what each way through the log gives.
func wantEntries(t *testing.T, k *keyLog, want []*loggedKey) {
	t.Helper()
	want = slices.Clone(want)
	slices.SortFunc(want, func(a, b *loggedKey) int {
		return cmp.Or(bytes.Compare(a.rec.Key, b.rec.Key), -cmp.Compare(a.rec.Seq, b.rec.Seq))
	})
	var sources []*source
	for _, it := range k.sorted() {
		sources = append(sources, &source{Entries: it, Owner: &seg{}})
	}
	m := newMerger(sources, nil)
	all := k.merged()
	for i, l := range want {
		if !m.Next() || !sameEntry(*m.Entry(), l.entry()) {
			t.Fatalf("entry %d of %d of the runs is not %+v", i, len(want), l)
		}
		if !all.Next() || !sameEntry(*all.Entry(), l.entry()) {
			t.Fatalf("entry %d of %d is %+v, want %+v", i, len(want), all.entry, l)
		}
	}
	if m.Next() || all.Next() {
		t.Fatal("there are more entries")
	}
	for i := 0; i < len(want); i += 1 + len(want)/50 {
		key := want[i].rec.Key
		first := slices.IndexFunc(want, func(l *loggedKey) bool { return bytes.Equal(l.rec.Key, key) })
		it := k.merged()
		if !it.Seek(key) || !sameEntry(*it.Entry(), want[first].entry()) {
			t.Fatalf("seek %q: %+v", key, it.entry)
		}
		if it.Seek(append(bytes.Clone(want[len(want)-1].rec.Key), 0)) {
			t.Fatal("an entry behind the last")
		}
	}
}

func TestKeyLog(t *testing.T) {
	rng := newRand(t)
	k := &keyLog{}
	var want []*loggedKey
	wantEntries(t, k, nil)
	for round := range 8 {
		for range rng.IntN(300) {
			l := randomLoggedKey(rng, rng.Uint64()>>1)
			k.add(&l.rec, l.off, l.ordinal)
			want = append(want, l)
		}
		wantEntries(t, k, want)
		if round%3 == 0 {
			wantEntries(t, k, want)
		}
	}
	var bytes int64
	for _, b := range k.blocks {
		bytes += int64(len(b))
	}
	if got, want := k.size(), bytes+8*int64(len(want)); got != want {
		t.Errorf("size %d, want %d", got, want)
	}
}

// Listing after each put sorts little: there are few runs, and an entry is
// moved from one to the next a few times.
func TestKeyLogRuns(t *testing.T) {
	k := &keyLog{}
	for i := range 5000 {
		k.add(&segment.Record{Key: fmt.Append(nil, i), Seq: uint64(i)}, 64, 0)
		if n := len(k.sorted()); n > 14 {
			t.Fatalf("%d runs after %d entries", n, i+1)
		}
	}
}

// Iterators stay as they are while entries are added.
func TestKeyLogWhileAdding(t *testing.T) {
	k := &keyLog{}
	var group sync.WaitGroup
	for w := range 2 {
		group.Go(func() {
			for i := range 3000 {
				k.add(&segment.Record{Key: fmt.Appendf(nil, "%d:%05d", w, i), Seq: uint64(i), Metadata: json.RawMessage("1")}, 64, 0)
			}
		})
	}
	last := 0
	for range 50 {
		it, n := k.merged(), 0
		previous := ""
		for it.Next() {
			if string(it.Entry().Key) <= previous || string(it.Entry().Metadata) != "1" {
				t.Errorf("%q after %q", it.Entry().Key, previous)
			}
			previous = string(it.Entry().Key)
			n++
		}
		if n < last {
			t.Errorf("%d entries, there were %d", n, last)
		}
		last = n
	}
	group.Wait()
}

// What the checkpoint covered is fetched when it is wanted, once.
func TestKeyLogMissing(t *testing.T) {
	k := &keyLog{missing: 4096}
	loads := 0
	broken := errors.New("broken")
	k.load = func(into *keyLog, end int64) error {
		loads++
		if end != 4096 {
			t.Errorf("load up to %d", end)
		}
		into.add(&segment.Record{Key: []byte("early"), Seq: 1}, 64, 0)
		if loads == 1 {
			return broken // and what it added must not count
		}
		return nil
	}
	k.add(&segment.Record{Key: []byte("late"), Seq: 2}, 8192, 0)
	if err := k.ensure(); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	for range 3 {
		if err := k.ensure(); err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	for it := k.merged(); it.Next(); {
		keys = append(keys, string(it.Entry().Key))
	}
	if loads != 2 || strings.Join(keys, " ") != "early late" {
		t.Fatal(loads, keys)
	}
}
