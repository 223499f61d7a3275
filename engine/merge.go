package engine

import (
	"github.com/firnkv/firn/segment"
)

// source is the entries of one segment, or a part of them.
type source = segment.Source[*seg]

// merger goes through the entries of several sources in the order of their keys,
// and of one key from the newest version on.
type merger struct{ *segment.Merger[*seg] }

func newMerger(sources []*source, from []byte) merger {
	return merger{segment.NewMerger(sources, from)}
}

// seg returns the segment of the current entry.
func (m merger) seg() *seg { return m.Source().Owner }

// err returns why the merge ended early, or nil.
func (m merger) err() error {
	if failed := m.Failed(); failed != nil {
		return inFile(failed.Owner.name(), failed.Err())
	}
	return nil
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
			sources = append(sources, &source{Entries: it, ID: sg.id, Owner: sg})
		}
		return sources, nil
	}
	blocks, err := sg.sealed.Load().index()
	if err != nil {
		return nil, inFile(sg.name(), err)
	}
	return []*source{{Entries: blocks.Iterator(metadata), ID: sg.id, Owner: sg}}, nil
}
