package bench

import (
	"fmt"

	"github.com/firnkv/firn/bench/dataset"
)

const pageKeys = 1000

// scans list keys of a settled store.
func scans() []Workload {
	return []Workload{{
		Name:    fmt.Sprintf("scan/prefix/page=%d", pageKeys),
		About:   fmt.Sprintf("List the keys with a prefix, in pages of at most %d. An operation is a page.", pageKeys),
		Threads: 1,
		run:     func(r *round) error { return r.scan(settled, listKeys) },
	}, {
		Name: fmt.Sprintf("list/metadata/page=%d", pageKeys),
		About: fmt.Sprintf("List the keys with a prefix, each with %d bytes of metadata, in pages of at most %d. An operation is a page.",
			dataset.MetadataBytes, pageKeys),
		Threads: 1,
		run:     func(r *round) error { return r.scan(annotated, listMetadata) },
	}}
}

// lister reads a page as [Store.List] does.
type lister func(prefix, cursor string, limit int) (n int, next string, err error)

func listKeys(s Store) lister { return s.List }

// listMetadata is of an [Annotator]. It verifies that all keys have their metadata.
func listMetadata(s Store) lister {
	return func(prefix, cursor string, limit int) (int, string, error) {
		n, metadata, next, err := s.(Annotator).ListMetadata(prefix, cursor, limit)
		if want := n * dataset.MetadataBytes; err == nil && metadata != want {
			err = fmt.Errorf("%d keys with prefix %q have %d bytes of metadata, should have %d", n, prefix, metadata, want)
		}
		return n, next, err
	}
}

func (r *round) scan(from state, by func(s Store) lister) error {
	dir, err := r.fixture(r.ctx, r.engine, from)
	if err != nil {
		return err
	}
	s, err := r.openAt(dir, 1)
	if err != nil {
		return err
	}
	pages := &pager{list: by(s), prefixes: r.data.Prefixes()}
	listed := 0
	out, err := r.measure(1, func(int) error {
		n, err := pages.next()
		listed += n
		return err
	})
	if err == nil {
		// Warming up has listed keys too, but at the same number of them a page.
		perPage := float64(listed) / float64(pages.read)
		r.add(keysRead, perPage*float64(out.Ops)/out.Elapsed.Seconds())
	}
	return closing(s, err)
}

// pager reads page after page, prefix after prefix.
type pager struct {
	list     lister
	prefixes []string
	prefix   int
	cursor   string
	read     int
}

// next returns the number of keys on the next page.
func (p *pager) next() (int, error) {
	prefix := p.prefixes[p.prefix%len(p.prefixes)]
	n, cursor, err := p.list(prefix, p.cursor, pageKeys)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, fmt.Errorf("no keys with prefix %q behind %q", prefix, p.cursor)
	}
	p.read++
	if p.cursor = cursor; cursor == "" {
		p.prefix++
	}
	return n, nil
}
