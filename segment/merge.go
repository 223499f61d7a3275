package segment

import (
	"bytes"
	"cmp"
)

// Entries is a sequence of entries in the order of their keys. It stands before
// the first entry at the beginning.
type Entries interface {
	Seek(key []byte) bool // goes to the first entry at or behind key
	Next() bool
	Entry() *Entry // valid until the sequence moves
	Err() error
}

// Source is the entries of one segment, or a part of them.
type Source[T any] struct {
	Entries
	ID    uint64 // of the segment
	Owner T      // whatever the caller wants to know about it
}

// Merger goes through the entries of several sources in the order of their keys,
// and of one key from the newest version on. It is not safe for concurrent use.
type Merger[T any] struct {
	heap   []*Source[T] // a binary heap by less
	top    *Source[T]   // whose entry is the current one; not in heap
	failed *Source[T]
}

// NewMerger starts a merge of the sources, which stand before their first
// entry, or if from is not nil, of what is at or behind it.
func NewMerger[T any](sources []*Source[T], from []byte) *Merger[T] {
	m := &Merger[T]{}
	for _, src := range sources {
		ok := false
		if from == nil {
			ok = src.Next()
		} else {
			ok = src.Seek(from)
		}
		m.push(src, ok)
	}
	return m
}

func (s *Source[T]) less(o *Source[T]) bool {
	a, b := s.Entry(), o.Entry()
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c < 0
	}
	if c := cmp.Compare(a.Seq, b.Seq); c != 0 {
		return c > 0
	}
	return s.ID > o.ID
}

func (m *Merger[T]) push(src *Source[T], ok bool) {
	if !ok {
		if src.Err() != nil && m.failed == nil {
			m.failed = src
		}
		return
	}
	m.heap = append(m.heap, src)
	for i := len(m.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !m.heap[i].less(m.heap[parent]) {
			break
		}
		m.heap[i], m.heap[parent] = m.heap[parent], m.heap[i]
		i = parent
	}
}

// Next goes to the next entry. It ends early if a source fails; see
// [Merger.Failed].
func (m *Merger[T]) Next() bool {
	if m.top != nil {
		top := m.top
		m.top = nil
		m.push(top, top.Next())
	}
	if m.failed != nil || len(m.heap) == 0 {
		return false
	}
	m.top = m.heap[0]
	last := len(m.heap) - 1
	m.heap[0] = m.heap[last]
	m.heap = m.heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && m.heap[child+1].less(m.heap[child]) {
			child++
		}
		if !m.heap[child].less(m.heap[i]) {
			break
		}
		m.heap[i], m.heap[child] = m.heap[child], m.heap[i]
		i = child
	}
	return true
}

// Source returns the source of the current entry.
func (m *Merger[T]) Source() *Source[T] { return m.top }

// Entry returns the current entry. It is valid until the merger moves.
func (m *Merger[T]) Entry() *Entry { return m.top.Entry() }

// Failed returns the source that failed, whose Err says why, or nil.
func (m *Merger[T]) Failed() *Source[T] { return m.failed }
