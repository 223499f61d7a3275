package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/auth"
	"github.com/firnkv/firn/cmd/firn/internal/server"
	"github.com/firnkv/firn/cmd/firn/internal/workerd"
	"github.com/firnkv/firn/engine/namespaces"
	"github.com/spf13/cobra"
)

// devFlags are the flags of dev.
type devFlags struct {
	addr    string
	binds   []string
	workerd string
	date    string
}

func newDev(a *app) *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev SCRIPT",
		Short: "Run a Worker with namespaces bound to it",
		Long: `dev runs a Worker, an ES module in one file, in workerd, the runtime of Workers, with
namespaces of the data directory in its environment, until Ctrl-C. A namespace that is not
there is created. When the script changes, the Worker is started again.

The server that the bindings talk to takes a token that is drawn for each run, or
$FIRN_TOKEN. workerd is looked for in node_modules of the directory of the script and those
above, and on PATH; "npm install workerd" gets it.`,
		Example: `  firn dev worker.js --bind KV=default
  firn dev dist/index.js --bind SESSIONS=sessions --bind CACHE=cache --addr 127.0.0.1:3000`,
		Args: positional([]string{"SCRIPT"}),
		RunE: func(cmd *cobra.Command, args []string) error {
			bindings, err := f.bindings(cmd)
			if err != nil {
				return err
			}
			return a.dev(cmd.Context(), &f, workerd.Worker{Script: args[0], Address: f.addr, Bindings: bindings})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` where the Worker answers")
	flags.StringArrayVar(&f.binds, "bind", []string{"KV=default"}, "`NAME=NAMESPACE`: the namespace, by title or id, as env.NAME; may be repeated")
	flags.StringVar(&f.workerd, "workerd", "", "`FILE` of the program workerd")
	flags.StringVar(&f.date, "compatibility-date", "", "`YYYY-MM-DD`: behave as the runtime did then (default the date of workerd)")
	return cmd
}

func (f *devFlags) bindings(cmd *cobra.Command) ([]workerd.Binding, error) {
	if err := refuseEmpty(cmd, "addr", "workerd", "compatibility-date"); err != nil {
		return nil, err
	}
	var all []workerd.Binding
	seen := map[string]bool{}
	for _, bind := range f.binds {
		b, err := workerd.ParseBinding(bind)
		if err == nil && seen[b.Name] {
			err = fmt.Errorf("%s is bound twice", b.Name)
		}
		if err != nil {
			return nil, usage(cmd, "--bind: %v", err)
		}
		seen[b.Name] = true
		all = append(all, b)
	}
	return all, nil
}

// dev runs a server and a Worker, and ends both when one of them ends or ctx
// does.
func (a *app) dev(ctx context.Context, f *devFlags, w workerd.Worker) error {
	program, err := f.program(ctx, a, &w)
	if err != nil {
		return err
	}
	if err := a.bindAll(ctx, w.Bindings); err != nil {
		return err
	}
	if w.Token = os.Getenv("FIRN_TOKEN"); w.Token == "" {
		w.Token = auth.NewSecret()
	}
	ready := make(chan string, 1)
	d, err := a.devDaemon(w.Token, func(addr string) { ready <- addr })
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel() // ends the Worker
		served <- d.run(ctx)
	}()
	select {
	case err := <-served:
		return err
	case w.Server = <-ready:
	}
	err = program.Run(ctx, &w, func(addr string) { a.note("the Worker answers at http://%s", addr) })
	cancel() // ends the server
	return errors.Join(err, <-served)
}

// program finds workerd, and fills in its date.
func (f *devFlags) program(ctx context.Context, a *app, w *workerd.Worker) (*workerd.Program, error) {
	if _, err := os.Stat(w.Script); err != nil {
		return nil, err
	}
	p := &workerd.Program{Path: f.workerd, Output: a.err}
	var err error
	if p.Path == "" {
		if p.Path, err = workerd.Find(filepath.Dir(w.Script)); err != nil {
			return nil, err
		}
	}
	if w.CompatibilityDate = f.date; w.CompatibilityDate == "" {
		w.CompatibilityDate, err = p.Date(ctx)
	}
	return p, err
}

// bindAll replaces the titles of namespaces by their ids, and creates those that
// are not there.
func (a *app) bindAll(ctx context.Context, bindings []workerd.Binding) error {
	dir := a.directory()
	for i := range bindings {
		b := &bindings[i]
		all, err := dir.List(ctx)
		if err != nil {
			return err
		}
		if b.Namespace, err = idOf(ctx, dir, all, b.Namespace); err != nil {
			return err
		}
	}
	return nil
}

func idOf(ctx context.Context, dir *namespaces.Directory, all []namespaces.Namespace, name string) (string, error) {
	id := ""
	for _, ns := range all {
		switch name {
		case ns.ID:
			return ns.ID, nil // also if another has it as its title
		case ns.Title:
			id = ns.ID
		}
	}
	if id != "" {
		return id, nil
	}
	ns, err := dir.Create(ctx, name)
	return ns.ID, err
}

// devDaemon returns a server on a free port of this machine that lets one token
// in.
func (a *app) devDaemon(token string, onReady func(addr string)) (*daemon, error) {
	log := a.logger()
	addr, err := server.ParseAddress("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	keys, err := auth.New(auth.Config{Secret: token})
	return &daemon{
		dir: a.directoryWith(log), addr: addr, keys: keys, log: log,
		shutdownTimeout: 5 * time.Second, onReady: onReady,
	}, err
}
