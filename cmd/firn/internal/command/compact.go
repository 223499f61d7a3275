package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/progress"
	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
	"github.com/spf13/cobra"
)

func newCompact(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Give back the space of what is dead, now",
		Long: `compact rewrites the segments of the data directory, or of the namespace that
--namespace names, until everything is packed and what was overwritten, deleted or has
expired takes no more space. Nobody has to call it: programs that keep a store open
compact it by themselves. What is done when it is interrupted stays done. A backup that
is compacted becomes a store of its own, as with any write.`,
		Example: `  firn compact
  firn compact --namespace sessions --json`,
		Args: positional(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := compacter{app: a, ctx: cmd.Context(), reports: []compacted{}}
			return c.run()
		},
	}
}

// compacter compacts one store after the other.
type compacter struct {
	*app
	ctx     context.Context
	reports []compacted
}

// compacted is the report on one store.
type compacted struct {
	Store      string           `json:"store"` // registry, namespace, or single
	Title      string           `json:"title,omitempty"`
	ID         string           `json:"id,omitempty"`
	Before     storeSize        `json:"before"`
	After      storeSize        `json:"after"`
	Jobs       map[string]int64 `json:"jobs"` // by reason
	Kept       int64            `json:"kept"` // records that were written again
	Dropped    int64            `json:"dropped"`
	Tombstones int64            `json:"tombstones"` // dropped
	ReadBytes  int64            `json:"read_bytes"`
	MadeBytes  int64            `json:"made_bytes"`
	FreedBytes int64            `json:"freed_bytes"`
}

type storeSize struct {
	Segments  int   `json:"segments"`
	DiskBytes int64 `json:"disk_bytes"`
}

func (c *compacter) run() error {
	err := c.stores()
	if errors.Is(err, namespaces.ErrNoStore) {
		c.note("there is nothing to compact yet")
		err = nil
	}
	if c.json {
		err = errors.Join(err, c.printJSON(c.reports))
	}
	return err
}

// stores goes on after a store that cannot be compacted, such as one that is in
// use.
func (c *compacter) stores() error {
	dir := c.directory()
	if c.namespace != "" || dir.Single() {
		return c.compactNamespace(c.namespaceName())
	}
	if err := dir.ChangeRegistry(c.ctx, func(store *engine.Store) error {
		return c.compact(store, compacted{Store: "registry"})
	}); err != nil {
		return err
	}
	all, err := dir.List(c.ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, ns := range all {
		if err := c.ctx.Err(); err != nil {
			return errors.Join(failed, err)
		}
		failed = errors.Join(failed, c.compactNamespace(ns.ID))
	}
	return failed
}

func (c *compacter) compactNamespace(name string) (err error) {
	store, ns, err := c.directory().OpenExisting(c.ctx, name)
	if errors.Is(err, namespaces.ErrNotExist) && !errors.Is(err, namespaces.ErrNoStore) {
		return c.hinted(c.ctx, name, err)
	}
	if err != nil {
		return err
	}
	defer closing(store, &err)
	r := compacted{Store: "namespace", Title: ns.Title, ID: ns.ID}
	if ns.ID == "" {
		r.Store = "single"
	}
	return c.compact(store, r)
}

// compact compacts a store and reports what was done, also when it is interrupted.
func (c *compacter) compact(store *engine.Store, r compacted) error {
	r.Before = sizeOf(store)
	err := c.watched(store, r.name())
	r.After = sizeOf(store)
	st := store.CompactionStats()
	r.Jobs, r.Kept, r.Dropped, r.Tombstones = st.Jobs, st.Kept, st.Dropped, st.Tombstones
	r.ReadBytes, r.MadeBytes, r.FreedBytes = st.ReadBytes, st.MadeBytes, st.FreedBytes
	if r.Jobs == nil {
		r.Jobs = map[string]int64{}
	}
	c.reports = append(c.reports, r)
	if c.json {
		return err
	}
	return errors.Join(err, c.printLine(r.String()))
}

// watchEvery is how often the progress bar looks at what is done.
const watchEvery = 100 * time.Millisecond

// watched calls Compact, and shows meanwhile what it does.
func (c *compacter) watched(store *engine.Store, name string) error {
	bar := progress.New(c.err, "compacting "+name+":")
	if bar == nil {
		return store.Compact(c.ctx)
	}
	defer bar.Clear()
	done := make(chan error, 1)
	go func() { done <- store.Compact(c.ctx) }()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			st := store.CompactionStats()
			bar.Set(0, 0, doing(&st))
		}
	}
}

func doing(st *engine.CompactionStats) string {
	s := fmt.Sprintf("%s written, %s freed", size(st.MadeBytes+st.RunningBytes), size(st.FreedBytes))
	if st.Running != "" {
		s += fmt.Sprintf(" (%s, %d segments)", st.Running, len(st.Victims))
	}
	return s
}

func sizeOf(store *engine.Store) storeSize {
	st := store.Stats()
	return storeSize{len(st.Segments), st.DiskBytes}
}

func (r *compacted) name() string {
	if r.Title != "" {
		return printable(r.Title)
	}
	return r.Store
}

func (r *compacted) String() string {
	return fmt.Sprintf("%s: %s in %d segments, was %s in %d; %d records dropped, %d tombstones dropped",
		r.name(), size(r.After.DiskBytes), r.After.Segments, size(r.Before.DiskBytes), r.Before.Segments, r.Dropped, r.Tombstones)
}
