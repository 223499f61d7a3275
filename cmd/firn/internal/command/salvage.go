package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/firnkv/firn/cmd/firn/internal/progress"
	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
	"github.com/spf13/cobra"
)

func newSalvage(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "salvage DEST",
		Short: "Copy what can be read of damaged stores",
		Long: `salvage copies everything that can be read of the data directory, or of the namespace
that --namespace names, to DEST, which must not hold anything yet. It prints a line for
each part of a file that is damaged and for each pair that is known to be lost; if there
are any, the exit status is 1. It changes nothing in the data directory.

A pair whose newest version is damaged is lost, even if an older one can be read. DEST
is a data directory, or with --namespace a single store. If the registry of namespaces
is damaged, --namespace takes an id, the name of a directory in "namespaces".`,
		Example: `  firn salvage rescued
  firn salvage rescued --namespace 0123456789abcdef0123456789abcdef --json`,
		Args: positional([]string{"DEST"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "" {
				return usage(cmd, "DEST is empty")
			}
			s := salvager{app: a, ctx: cmd.Context(), reports: []salvaged{}}
			return s.run(args[0])
		},
	}
}

// salvager salvages one store after the other.
type salvager struct {
	*app
	ctx     context.Context
	reports []salvaged
	lost    int
	damaged int
}

// salvaged is the report on one store.
type salvaged struct {
	Store   string         `json:"store"` // registry, namespace, or single
	Title   string         `json:"title,omitempty"`
	ID      string         `json:"id,omitempty"`
	Path    string         `json:"path"` // in the destination
	Pairs   int64          `json:"pairs"`
	Bytes   int64          `json:"bytes"`
	Expired int64          `json:"expired"`
	Lost    []lostPair     `json:"lost"`
	Damage  []damagedRange `json:"damage"`
	Unknown bool           `json:"unknown"` // there may be more that is lost, or outdated
}

type lostPair struct {
	Key    string `json:"key"`
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
}

type damagedRange struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Reason string `json:"reason"`
}

func (s *salvager) run(dest string) error {
	if _, err := checkEmpty(dest); err != nil {
		return err
	}
	dir := s.directory()
	adopted, err := dir.Salvage(s.ctx, s.namespace, dest, s.store)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, engine.ErrNotStore) {
		err = fmt.Errorf("there is nothing to salvage in %s: %w", dir.Path(), err)
	}
	if err != nil {
		return s.hinted(s.ctx, s.namespaceName(), err)
	}
	for _, ns := range adopted {
		s.note("the title of namespace %s is lost: it has its id for one", ns.ID)
	}
	if s.json {
		err = s.printJSON(s.reports)
	}
	if s.lost > 0 || s.damaged > 0 {
		err = errors.Join(err, fmt.Errorf("%d pairs are known to be lost, %d damaged places found", s.lost, s.damaged))
	}
	return err
}

func (s *salvager) store(p namespaces.Part, from, to string) error {
	name := p.Kind
	if p.ID != "" {
		name = p.ID
	}
	if p.Title != "" {
		name = printable(p.Title)
	}
	bar := progress.New(s.err, "salvaging")
	got, err := s.directory().SalvageStore(s.ctx, from, to, func(done, total int64) { bar.Set(done, total, name) })
	bar.Clear()
	if err != nil {
		return err
	}
	r := salvaged{
		Store: p.Kind, Title: p.Title, ID: p.ID, Path: p.Path, Pairs: got.Pairs, Bytes: got.Bytes, Expired: got.Expired,
		Lost: []lostPair{}, Damage: []damagedRange{}, Unknown: got.Unknown,
	}
	for _, l := range got.Lost {
		r.Lost = append(r.Lost, lostPair(l))
	}
	for _, d := range got.Damage {
		r.Damage = append(r.Damage, damagedRange(d))
	}
	s.reports = append(s.reports, r)
	s.lost += len(r.Lost)
	s.damaged += len(r.Damage)
	return s.printSalvaged(name, &r)
}

func (s *salvager) printSalvaged(name string, r *salvaged) error {
	if !s.json {
		for _, d := range r.Damage {
			line := fmt.Sprintf("%s: %s: %d bytes at %d: %s", name, d.File, d.Length, d.Offset, d.Reason)
			if err := s.printLine(line); err != nil {
				return err
			}
		}
		for _, l := range r.Lost {
			if err := s.printLine(fmt.Sprintf("%s: lost: %s: %s: at %d: %s", name, printable(l.Key), l.File, l.Offset, l.Reason)); err != nil {
				return err
			}
		}
	}
	more := ""
	if r.Unknown {
		more = "; there may be more, and some of the pairs may be outdated"
	}
	s.note("%s: %d pairs copied, %s; %d expired; %d lost, %d damaged places%s",
		name, r.Pairs, size(r.Bytes), r.Expired, len(r.Lost), len(r.Damage), more)
	return nil
}
