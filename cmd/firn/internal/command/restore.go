package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/firnkv/firn/engine"
	"github.com/spf13/cobra"
)

func newRestore(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "restore SRC",
		Short: "Make a data directory from a backup",
		Long: `restore reads and checks all of the backup SRC, as "firn verify" does. If there is no
damage, it makes the data directory from it, which must not hold anything yet. What is
written there later does not change the backup. With --namespace, the data directory
becomes a single store with the pairs of that namespace.`,
		Example: `  firn restore /mnt/backups/firn --dir firn-data
  firn restore /mnt/backups/firn --namespace sessions --dir sessions-data`,
		Args: positional([]string{"SRC"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "" {
				return usage(cmd, "SRC is empty")
			}
			return a.restore(cmd.Context(), args[0])
		},
	}
}

func (a *app) restore(ctx context.Context, src string) error {
	target := a.directory().Path()
	existed, err := checkEmpty(target)
	if err != nil {
		return err
	}
	from := *a
	from.dir = src
	if err := from.verifyBackup(ctx); err != nil {
		return err
	}
	c := copier{app: a, ctx: ctx, label: "restoring", reports: []copied{}}
	err = c.run(from.directory(), target)
	if err == nil || errors.Is(err, engine.ErrNotBackup) { // somebody else made something there
		return err
	}
	return errors.Join(err, clearOut(target, existed))
}

func checkEmpty(dir string) (exists bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case len(entries) > 0:
		return true, fmt.Errorf("%s is not empty: a backup is restored to a new data directory", dir)
	}
	return true, nil
}

// clearOut removes what was made in a directory that was empty or missing.
func clearOut(dir string, existed bool) error {
	if !existed {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return err
}

func (a *app) verifyBackup(ctx context.Context) error {
	v := verifier{app: a, ctx: ctx, reports: []verified{}}
	err := v.stores()
	if v.damaged > 0 {
		if a.json {
			err = errors.Join(err, a.printJSON(v.reports))
		}
		return errors.Join(err, fmt.Errorf("%d damaged places found; nothing was restored", v.damaged))
	}
	if err == nil && len(v.reports) == 0 {
		return fmt.Errorf("there is no backup in %s", a.dir)
	}
	return err
}
