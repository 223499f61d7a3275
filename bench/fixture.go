package bench

import (
	"context"
	"fmt"

	"github.com/firnkv/firn/bench/dataset"
)

// state is what has happened to a store that a round begins with.
type state string

const (
	filled  state = "filled"  // it was filled in random order and closed
	settled state = "settled" // and has then done its background work
	crashed state = "crashed" // its process was killed as soon as it was filled

	// annotated is settled, but the keys have metadata.
	annotated state = "annotated"
)

// fixture returns the directory of a store in a state. It is made when it is first
// wanted. Whoever opens it puts nothing into it.
func (r *runner) fixture(ctx context.Context, e Engine, st state) (string, error) {
	name := e.Name + "-" + string(st)
	if dir, ok := r.fixtures[name]; ok {
		return dir, nil
	}
	dir := r.scratchFor(name)
	var err error
	switch st {
	case filled:
		err = fillAt(ctx, e, dir, r.data)
	case settled:
		err = r.settle(ctx, e, dir)
	case annotated:
		err = annotateAt(ctx, e, dir, r.data)
	case crashed:
		_, err = r.child(ctx, order{Task: taskFill, Engine: e.Name, Dir: dir, Data: r.config.Data})
	}
	if err != nil {
		return "", fmt.Errorf("make a store that is %s: %w", st, err)
	}
	r.fixtures[name] = dir
	return dir, nil
}

func (r *runner) settle(ctx context.Context, e Engine, dir string) error {
	from, err := r.fixture(ctx, e, filled)
	if err != nil {
		return err
	}
	if err := clone(from, dir); err != nil {
		return err
	}
	s, err := e.Open(dir, Options{Writers: 1})
	if err != nil {
		return err
	}
	return closing(s, s.Settle())
}

// fillAt makes a store of all pairs.
func fillAt(ctx context.Context, e Engine, dir string, d *dataset.Data) error {
	s, err := e.Open(dir, Options{Writers: 1})
	if err != nil {
		return err
	}
	return closing(s, Fill(ctx, s, d, 1))
}

// annotateAt makes a settled store of all pairs, with metadata.
func annotateAt(ctx context.Context, e Engine, dir string, d *dataset.Data) error {
	s, err := e.Open(dir, Options{Writers: 1})
	if err != nil {
		return err
	}
	a, ok := s.(Annotator)
	if !ok {
		return closing(s, skipped("keys have no metadata"))
	}
	err = putAll(ctx, d, 1, func(i int) error { return a.PutMetadata(d.Key(i), d.Value(i), d.Metadata(i)) })
	if err == nil {
		err = s.Settle()
	}
	return closing(s, err)
}

// Fill puts all pairs into a store, in random order.
func Fill(ctx context.Context, s Store, d *dataset.Data, threads int) error {
	return putAll(ctx, d, threads, func(i int) error { return s.Put(d.Key(i), d.Value(i)) })
}

func putAll(ctx context.Context, d *dataset.Data, threads int, put func(i int) error) error {
	_, err := Load{Threads: threads, Ops: d.Keys, Every: SampleEvery}.Drive(ctx, put)
	return err
}
