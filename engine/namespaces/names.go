package namespaces

import (
	"maps"
	"slices"
	"strings"
)

// named is a namespace of a pool under one title. When it is renamed, another one
// takes its place, with the same slot.
type named struct {
	Namespace
	slot *slot
}

// names is what the registry holds, in memory. It is never modified.
type names struct {
	byID    map[string]*named
	byTitle map[string]*named
	sorted  []*named // by the bytes of their titles
}

// newNames takes all namespaces, by title.
func newNames(all []Namespace) *names {
	s := &names{byID: make(map[string]*named, len(all)), byTitle: make(map[string]*named, len(all))}
	for _, ns := range all {
		n := &named{ns, newSlot(ns.ID)}
		s.byID[ns.ID], s.byTitle[ns.Title] = n, n
		s.sorted = append(s.sorted, n)
	}
	return s
}

func (s *names) list() []Namespace {
	all := make([]Namespace, len(s.sorted))
	for i, n := range s.sorted {
		all[i] = n.Namespace
	}
	return all
}

// with returns the names with n in the place of old. Either may be nil. At 1,000
// namespaces that takes some 20 µs, much less than the write to the registry
// before it.
func (s *names) with(old, n *named) *names {
	t := &names{maps.Clone(s.byID), maps.Clone(s.byTitle), slices.Clone(s.sorted)}
	if old != nil {
		delete(t.byID, old.ID)
		delete(t.byTitle, old.Title)
		at, _ := t.place(old.Title)
		t.sorted = slices.Delete(t.sorted, at, at+1)
	}
	if n != nil {
		t.byID[n.ID], t.byTitle[n.Title] = n, n
		at, _ := t.place(n.Title)
		t.sorted = slices.Insert(t.sorted, at, n)
	}
	return t
}

func (s *names) place(title string) (int, bool) {
	return slices.BinarySearchFunc(s.sorted, title, func(n *named, title string) int {
		return strings.Compare(n.Title, title)
	})
}
