package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/firnkv/firn/cmd/firn/internal/progress"
	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
	"github.com/spf13/cobra"
)

func newBackup(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup DEST",
		Short: "Make or renew a backup",
		Long: `backup makes DEST a copy of the data directory, or of the namespace that --namespace
names, as it is at this instant. If DEST holds an earlier backup, only what is new is
copied. On the same file system, files that never change again are linked and take no
more space.

DEST is a data directory, or with --namespace a single store: every command that reads
works on it with --dir. Once it was written to it takes no more backups; "firn restore"
makes a data directory of its own from it.`,
		Example: `  firn backup /mnt/backups/firn
  firn backup /mnt/backups/sessions --namespace sessions --json`,
		Args: positional([]string{"DEST"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "" {
				return usage(cmd, "DEST is empty")
			}
			return a.backup(cmd.Context(), args[0])
		},
	}
}

func (a *app) backup(ctx context.Context, dest string) error {
	c := copier{app: a, ctx: ctx, label: "backing up", reports: []copied{}}
	err := c.run(a.directory(), dest)
	if errors.Is(err, namespaces.ErrNoStore) {
		return fmt.Errorf("there is nothing to back up yet in %s", a.directory().Path())
	}
	return a.hinted(ctx, a.namespaceName(), err)
}

// copier copies the stores of a data directory one after the other.
type copier struct {
	*app
	ctx     context.Context
	label   string
	reports []copied
}

// copied is the report on one store.
type copied struct {
	Store       string `json:"store"` // registry, namespace, or single
	Title       string `json:"title,omitempty"`
	ID          string `json:"id,omitempty"`
	Path        string `json:"path"` // in the destination
	Linked      int64  `json:"linked"`
	Copied      int64  `json:"copied"`
	Kept        int64  `json:"kept"`
	CopiedBytes int64  `json:"copied_bytes"`
	Bytes       int64  `json:"bytes"`
}

func (c *copier) run(dir *namespaces.Directory, dest string) error {
	err := dir.Backup(c.ctx, c.namespace, dest, c.copy)
	if c.json && err == nil {
		err = c.printJSON(c.reports)
	}
	return err
}

func (c *copier) copy(p namespaces.Part, store *engine.Store, to string) error {
	name := p.Kind
	if p.Title != "" {
		name = printable(p.Title)
	}
	bar := progress.New(c.err, c.label)
	r, err := store.Backup(c.ctx, to, func(done, total int64) { bar.Set(done, total, name) })
	bar.Clear()
	if err != nil {
		return err
	}
	c.reports = append(c.reports, copied{p.Kind, p.Title, p.ID, p.Path, r.Linked, r.Copied, r.Kept, r.CopiedBytes, r.Bytes})
	if c.json {
		return nil
	}
	return c.printLine(fmt.Sprintf("%s: %s; %d segments linked, %d copied, %d kept; %s copied",
		name, size(r.Bytes), r.Linked, r.Copied, r.Kept, size(r.CopiedBytes)))
}
