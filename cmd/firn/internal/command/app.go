package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/remote"
	"github.com/firnkv/firn/cmd/firn/internal/source"
	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

// app is what all commands share: the global flags and the three streams.
type app struct {
	dir       string
	namespace string
	json      bool
	server    urlFlags
	client    *remote.Client // of a server to work on; nil: on the data directory

	in  io.Reader
	out io.Writer
	err io.Writer
}

// namespaces returns what the commands of kv work on.
func (a *app) namespaces() directory {
	if a.client != nil {
		return a.client
	}
	return a.directory()
}

func (a *app) directory() *namespaces.Directory { return a.directoryWith(a.logger()) }

// directoryWith returns the data directory, whose stores log to log.
func (a *app) directoryWith(log *slog.Logger) *namespaces.Directory {
	path := a.dir
	if path == "" {
		path = os.Getenv("FIRN_DIR")
	}
	if path == "" {
		path = "firn-data"
	}
	return namespaces.At(path, engine.Options{Logger: log})
}

// logger prints what the store has to say to an operator, such as what it had
// to cut after a crash.
func (a *app) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
			if len(groups) == 0 && attr.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return attr
		},
	}))
}

func (a *app) namespaceName() string {
	if a.namespace == "" {
		return namespaces.DefaultTitle
	}
	return a.namespace
}

// printLine prints a result.
func (a *app) printLine(s string) error {
	_, err := fmt.Fprintln(a.out, s)
	return err
}

// note prints something that is no result on standard error.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// openRead opens the namespace for reading. One that acts as empty is an
// empty reader.
func (a *app) openRead(ctx context.Context) (reader, error) {
	if a.client != nil {
		return a.openServed(ctx)
	}
	store, err := a.openStore(ctx)
	switch {
	case err != nil:
		return nil, err
	case store == nil:
		return empty{}, nil
	}
	return local{store}, nil
}

// openStore opens the namespace of the data directory for reading. There is no
// store of one that acts as empty.
func (a *app) openStore(ctx context.Context) (*engine.Store, error) {
	dir := a.directory()
	store, _, err := dir.OpenRead(ctx, a.namespaceName())
	if errors.Is(err, namespaces.ErrNoStore) {
		if _, missing := os.Stat(dir.Path()); missing != nil {
			a.note("firn: there is no data directory %s yet", dir.Path())
		}
		return nil, nil
	}
	return store, a.hinted(ctx, a.namespaceName(), err)
}

func (a *app) openServed(ctx context.Context) (served, error) {
	ns, err := a.client.Open(ctx, a.namespaceName())
	return served{ns}, a.hinted(ctx, a.namespaceName(), err)
}

func (a *app) openWrite(ctx context.Context) (writer, error) {
	if a.client != nil {
		return a.openServed(ctx)
	}
	store, _, err := a.directory().OpenWrite(ctx, a.namespaceName())
	return local{store}, a.hinted(ctx, a.namespaceName(), err)
}

// spoolAfter is how long the store may be in use before the input is taken in:
// longer than a command takes that reads or writes one pair.
const spoolAfter = 250 * time.Millisecond

// openWriteFor opens the namespace for writing what src holds. The writer of
// a pipe may itself be reading the namespace, as in "list | bulk delete -":
// so the store is not opened before there is input, and if it is and stays in
// use then, the input is taken in first, so that the other side comes to an end.
func (a *app) openWriteFor(ctx context.Context, src *source.Source, limit int64) (writer, error) {
	if !src.Live() {
		return a.openWrite(ctx)
	}
	if err := src.Wait(); err != nil {
		return nil, err
	}
	if a.client != nil {
		return a.openServed(ctx)
	}
	store, _, err := a.directory().Waiting(spoolAfter).OpenWrite(ctx, a.namespaceName())
	if !errors.Is(err, engine.ErrLocked) {
		return local{store}, a.hinted(ctx, a.namespaceName(), err)
	}
	if err := src.Spool(limit); err != nil {
		return nil, err
	}
	return a.openWrite(ctx)
}

// hinted adds to an error about a namespace that does not exist what the user
// can do.
func (a *app) hinted(ctx context.Context, name string, err error) error {
	if !errors.Is(err, namespaces.ErrNotExist) {
		return err
	}
	var titles []string
	if all, err := a.namespaces().List(ctx); err == nil {
		for _, ns := range all {
			titles = append(titles, ns.Title)
		}
	}
	if meant := didYouMean(name, titles, ""); meant != "" {
		return fmt.Errorf("%w%s", err, meant)
	}
	return fmt.Errorf("%w; \"firn kv namespace create\" makes one, \"firn kv namespace list\" lists them", err)
}
