package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/auth"
	"github.com/firnkv/firn/cmd/firn/internal/metrics"
	"github.com/firnkv/firn/cmd/firn/internal/server"
	"github.com/firnkv/firn/engine/namespaces"
)

// daemon is a server of a data directory, from its start to its end.
type daemon struct {
	dir             *namespaces.Directory
	addr            server.Address
	addrFile        string // empty: none
	addrWritten     bool
	admin           *server.Address // nil: none
	keys            *auth.Keyring
	cert            *server.Certificate // nil: without TLS
	metricsHere     bool                // on addr too
	reloads         bool                // on SIGHUP
	limits          server.Limits
	shutdownTimeout time.Duration
	log             *slog.Logger
	logKeys         bool
	onReady         func(addr string) // nil: nobody wants to know

	pool       atomic.Pointer[namespaces.Pool]
	health     server.Health
	unwritable atomic.Value // why namespaces cannot be changed, as it was logged: a string
	front      *server.Front
	metrics    *metrics.Metrics
	main       *server.Server
	second     *server.Server // the admin server; nil: none
}

// run serves until ctx ends, and returns nil then.
func (d *daemon) run(ctx context.Context) (err error) {
	ln, adminLn, err := d.listen()
	if err != nil {
		return err
	}
	d.build(ln, adminLn)
	defer d.reloadOnHangup()()
	failed := d.serve()
	pool, err := d.openPool(ctx)
	if err != nil {
		return errors.Join(unlessEnded(ctx, err), d.stop(failed))
	}
	d.pool.Store(pool)
	if d.addrFile != "" {
		// It is of an earlier run that was killed: one that still runs has the pool.
		_ = os.Remove(d.addrFile)
	}
	if err = d.ready(ln, adminLn); err == nil {
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	return errors.Join(err, d.stop(failed))
}

// unlessEnded returns no error if the server was told to end before it was
// ready.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// listen listens on the addresses, so that the next one who wants them fails.
func (d *daemon) listen() (ln, admin net.Listener, err error) {
	if ln, err = d.addr.Listen(); err != nil {
		return nil, nil, err
	}
	if d.addr.Unix() && d.keys.Open() && runtime.GOOS != "windows" {
		err = d.addr.CheckPrivate()
	}
	if err == nil && d.admin != nil {
		admin, err = d.admin.Listen()
	}
	if err != nil {
		ln.Close()
		return nil, nil, err
	}
	return ln, admin, nil
}

// build puts the servers together.
func (d *daemon) build(ln, admin net.Listener) {
	b := version()
	d.metrics = metrics.New(metrics.Config{
		InFlight:    func() int64 { return d.main.InFlight() },
		Connections: func() int64 { return d.main.Connections() },
		Stores:      d.eachOpenStore,
		Version:     b.Version, Commit: b.Commit, GoVersion: b.Go,
	})
	d.front = &server.Front{Health: &d.health}
	if d.metricsHere {
		d.front.Metrics = d.keys.ManageOnly(d.metrics.Handler())
	}
	var handler http.Handler = d.front
	if d.keys.Open() && !d.addr.Unix() {
		handler = server.LocalOnly(handler)
	}
	config := server.Config{Handler: handler, Limits: d.limits, Log: d.log}
	if d.cert != nil {
		config.TLS = d.cert.Config()
	}
	wrapConnections(&config)
	d.main = server.New(ln, config)
	if admin != nil {
		d.second = server.New(admin, server.Config{Handler: server.Admin(&d.health, d.metrics.Handler()), Log: d.log})
	}
}

// serve has the servers accept connections. The error of one that fails is sent
// to failed, which is closed when both have ended.
func (d *daemon) serve() (failed chan error) {
	failed = make(chan error, 2)
	var serving sync.WaitGroup
	for _, s := range []*server.Server{d.main, d.second} {
		if s != nil {
			serving.Go(func() {
				if err := s.Serve(); err != nil {
					failed <- err
				}
			})
		}
	}
	go func() {
		serving.Wait()
		close(failed)
	}()
	return failed
}

// ready lets requests through, and says so.
func (d *daemon) ready(ln, admin net.Listener) error {
	d.front.Start(server.AccessLog(d.newHandler(d.pool.Load()), d.log, d.logKeys))
	d.health.Ready(d.writable)
	addr := server.AddressOf(ln)
	about := []any{"addr", addr, "dir", d.dir.Path(), "tls", d.cert != nil, "tokens", !d.keys.Open()}
	if admin != nil {
		about = append(about, "admin", server.AddressOf(admin))
	}
	d.log.Info("serving", about...)
	if d.addrFile != "" {
		if err := writeAddress(d.addrFile, addr); err != nil {
			return err
		}
		d.addrWritten = true
	}
	if d.onReady != nil {
		d.onReady(addr)
	}
	return nil
}

// writeAddress writes a file that, once it is there, has the whole address.
func writeAddress(path, addr string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".firn-addr-")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, addr)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // err says more
	}
	return err
}

// stop finishes the requests under way, for as long as they may take, and closes
// everything. The admin server is there until the end.
func (d *daemon) stop(failed <-chan error) error {
	d.log.Info("stopping")
	d.health.Stopping()
	if d.addrWritten {
		_ = os.Remove(d.addrFile) // it may not be there
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.shutdownTimeout)
	defer cancel()
	if err := d.main.Shutdown(ctx); err != nil {
		d.log.Warn("requests were cut off", "after", d.shutdownTimeout, "error", err)
	}
	var err error
	if pool := d.pool.Load(); pool != nil {
		err = pool.Close(ctx)
	}
	if d.second != nil {
		cancel() // a profile is not worth waiting for
		_ = d.second.Shutdown(ctx)
	}
	for serving := range failed {
		err = errors.Join(err, serving)
	}
	d.log.Info("stopped")
	return err
}

// reloadOnHangup has SIGHUP read the files of tokens and certificates, until end
// is called.
func (d *daemon) reloadOnHangup() (end func()) {
	if !d.reloads {
		return func() {}
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	var reloading sync.WaitGroup
	reloading.Go(func() {
		for range hangup {
			d.keys.Reload()
			if d.cert != nil {
				d.cert.Reload()
			}
		}
	})
	return func() {
		signal.Stop(hangup)
		close(hangup)
		reloading.Wait()
	}
}
