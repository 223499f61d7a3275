package segment_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/firnkv/firn/segment"
)

// sortedEntries is what a segment would give. All its entries are given through
// the same struct and buffer, as an iterator does. With fails, an error comes
// behind the last.
type sortedEntries struct {
	all   []segment.Entry
	fails bool
	next  int
	entry segment.Entry
	key   []byte
	err   error
}

var errSource = errors.New("source failed")

func (s *sortedEntries) Next() bool {
	if s.next == len(s.all) {
		if s.fails {
			s.err = errSource
		}
		return false
	}
	s.entry = s.all[s.next]
	s.key = append(s.key[:0], s.entry.Key...)
	s.entry.Key = s.key
	s.next++
	return true
}

func (s *sortedEntries) Seek(key []byte) bool {
	for s.next = 0; s.Next(); {
		if bytes.Compare(s.key, key) >= 0 {
			return true
		}
	}
	return false
}

func (s *sortedEntries) Entry() *segment.Entry { return &s.entry }
func (s *sortedEntries) Err() error            { return s.err }

// nearKey returns one of few keys that share prefixes of all lengths, end in zeros
// or in 255, and are prefixes of each other.
func nearKey(rng *rand.Rand) []byte {
	key := []byte("key")[:rng.IntN(4)]
	for range rng.IntN(5) {
		b := []byte{0, 0, 1, 'a', 255}[rng.IntN(5)]
		key = append(key, bytes.Repeat([]byte{b}, 1+rng.IntN(1+rng.IntN(9)))...)
	}
	if len(key) == 0 {
		return []byte{0}
	}
	return key
}

func newestFirst(a, b segment.Entry) int {
	return cmp.Or(bytes.Compare(a.Key, b.Key), -cmp.Compare(a.Seq, b.Seq))
}

func TestMerger(t *testing.T) {
	rng := newRand(t)
	for round := range 2000 {
		keys := nearKey
		if round%4 == 0 {
			keys = func(rng *rand.Rand) []byte { return fmt.Appendf(nil, "key:%04d", rng.IntN(3000)) }
		}
		lists := make([][]segment.Entry, rng.IntN(2+round%20))
		var want []segment.Entry
		if len(lists) > 0 {
			for seq := range rng.IntN(300) {
				// The id of the source, in Offset, tells where it came from.
				i := rng.IntN(len(lists))
				e := segment.Entry{Key: keys(rng), Seq: uint64(seq), Offset: int64(i)}
				lists[i] = append(lists[i], e)
				want = append(want, e)
			}
		}
		slices.SortFunc(want, newestFirst)
		var from []byte
		if rng.IntN(3) == 0 {
			from = keys(rng)
			n, _ := slices.BinarySearchFunc(want, from, func(e segment.Entry, key []byte) int { return bytes.Compare(e.Key, key) })
			want = want[n:]
		}
		var sources []*segment.Source[int]
		for i, list := range lists {
			slices.SortFunc(list, newestFirst)
			sources = append(sources, &segment.Source[int]{Entries: &sortedEntries{all: list}, ID: uint64(i), Owner: i})
		}
		m := segment.NewMerger(sources, from)
		for i, w := range want {
			if !m.Next() {
				t.Fatalf("round %d: %d entries, want %d", round, i, len(want))
			}
			e := m.Entry()
			if !bytes.Equal(e.Key, w.Key) || e.Seq != w.Seq || int64(m.Source().Owner) != w.Offset {
				t.Fatalf("round %d, entry %d of %d: %q of sequence number %d from %d, want %q of %d from %d",
					round, i, len(want), e.Key, e.Seq, m.Source().Owner, w.Key, w.Seq, w.Offset)
			}
		}
		for range 2 {
			if m.Next() {
				t.Fatalf("round %d: another entry behind the last: %q", round, m.Entry().Key)
			}
		}
		if m.Failed() != nil {
			t.Fatalf("round %d: %v", round, m.Failed().Err())
		}
	}
}

// A record that compaction has moved stands in two segments with one sequence
// number while the old one is still there: the newer segment comes first.
func TestMergerPrefersTheNewerSegment(t *testing.T) {
	var sources []*segment.Source[int]
	for _, id := range []int{3, 9, 4, 1} {
		all := []segment.Entry{{Key: []byte("a"), Seq: 5}, {Key: []byte("b"), Seq: 2}}
		sources = append(sources, &segment.Source[int]{Entries: &sortedEntries{all: all}, ID: uint64(id), Owner: id})
	}
	m := segment.NewMerger(sources, nil)
	var got []string
	for m.Next() {
		got = append(got, fmt.Sprintf("%s%d", m.Entry().Key, m.Source().Owner))
	}
	if want := []string{"a9", "a4", "a3", "a1", "b9", "b4", "b3", "b1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A source that fails ends the merge at once: what it would have given is missing
// from then on.
func TestMergerFails(t *testing.T) {
	list := func(keys string) (all []segment.Entry) {
		for _, k := range keys {
			all = append(all, segment.Entry{Key: []byte(string(k))})
		}
		return all
	}
	for _, test := range []struct {
		good, bad string
		from      string
		want      string
	}{
		{"aceg", "bd", "", "abcd"},
		{"aceg", "", "", ""},
		{"aceg", "bd", "e", ""},
		{"", "bd", "c", "d"},
	} {
		good := &segment.Source[string]{Entries: &sortedEntries{all: list(test.good)}, ID: 1, Owner: "good"}
		bad := &segment.Source[string]{Entries: &sortedEntries{all: list(test.bad), fails: true}, ID: 2, Owner: "bad"}
		var from []byte
		if test.from != "" {
			from = []byte(test.from)
		}
		m := segment.NewMerger([]*segment.Source[string]{good, bad}, from)
		var got string
		for m.Next() {
			got += string(m.Entry().Key)
		}
		if got != test.want || m.Next() {
			t.Errorf("%+v: %q", test, got)
		}
		if failed := m.Failed(); failed != bad || failed.Err() != errSource {
			t.Errorf("%+v: %v failed", test, failed)
		}
	}
}

// BenchmarkMerger merges sources as opening without a checkpoint does. An operation
// is an entry.
func BenchmarkMerger(b *testing.B) {
	const entries = 1 << 18
	for _, n := range []int{2, 16, 64, 256} {
		b.Run(fmt.Sprint("sources=", n), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			lists := make([][]segment.Entry, n)
			for i := range entries {
				k := rng.IntN(n)
				lists[k] = append(lists[k], segment.Entry{Key: fmt.Appendf(nil, "key:%012d", i), Seq: uint64(i)})
			}
			var m *segment.Merger[int]
			for i := 0; b.Loop(); i++ {
				if i%entries == 0 {
					var sources []*segment.Source[int]
					for i, list := range lists {
						sources = append(sources, &segment.Source[int]{Entries: &sortedEntries{all: list}, ID: uint64(i)})
					}
					m = segment.NewMerger(sources, nil)
				}
				m.Next()
			}
		})
	}
}
