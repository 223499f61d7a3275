package engine

import (
	"bytes"
	"cmp"

	"github.com/firnkv/firn/segment"
)

// entries is a sequence of what segments hold, in the order of the keys. It
// stands before the first entry at the beginning.
type entries interface {
	Seek(key []byte) bool // goes to the first entry at or behind key
	Next() bool
	Entry() *segment.Entry // valid until the sequence moves
	Err() error
}

// source is the entries of one segment, or a part of them.
type source struct {
	entries
	sg *seg
}

// merger goes through the entries of several sources in the order of their keys,
// and of one key from the newest version on.
type merger struct {
	heap []*source // a binary heap by less
	top  *source   // whose entry is the current one; not in heap
	err  error
}

// newMerger starts a merge of the sources, which stand before their first
// entry, or if from is not nil, of what is at or behind it.
func newMerger(sources []*source, from []byte) *merger {
	m := &merger{}
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

func less(a, b *source) bool {
	ea, eb := a.Entry(), b.Entry()
	if c := bytes.Compare(ea.Key, eb.Key); c != 0 {
		return c < 0
	}
	if c := cmp.Compare(ea.Seq, eb.Seq); c != 0 {
		return c > 0
	}
	return a.sg.id > b.sg.id
}

func (m *merger) push(src *source, ok bool) {
	if !ok {
		if err := src.Err(); err != nil && m.err == nil {
			m.err = inFile(src.sg.name(), err)
		}
		return
	}
	m.heap = append(m.heap, src)
	for i := len(m.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !less(m.heap[i], m.heap[parent]) {
			break
		}
		m.heap[i], m.heap[parent] = m.heap[parent], m.heap[i]
		i = parent
	}
}

// next goes to the next entry. It ends early if a source fails; see err.
func (m *merger) next() bool {
	if m.top != nil {
		top := m.top
		m.top = nil
		m.push(top, top.Next())
	}
	if m.err != nil || len(m.heap) == 0 {
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
		if child+1 < last && less(m.heap[child+1], m.heap[child]) {
			child++
		}
		if !less(m.heap[child], m.heap[i]) {
			break
		}
		m.heap[i], m.heap[child] = m.heap[child], m.heap[i]
		i = child
	}
	return true
}

// sources returns the entries of a segment that holds records of the log. With
// metadata, they carry it.
func (sg *seg) sources(metadata bool) ([]*source, error) {
	if sg.kind == segment.Value {
		return nil, nil
	}
	// Sealing publishes the footer before it drops the keys.
	if keys := sg.keys.Load(); keys != nil {
		if err := keys.ensure(); err != nil {
			return nil, err
		}
		var sources []*source
		for _, it := range keys.sorted() {
			sources = append(sources, &source{it, sg})
		}
		return sources, nil
	}
	blocks, err := sg.sealed.Load().index()
	if err != nil {
		return nil, inFile(sg.name(), err)
	}
	return []*source{{blocks.Iterator(metadata), sg}}, nil
}
