package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Config says what to serve, and to whom.
type Config struct {
	Handler http.Handler
	Limits  Limits

	// TLS is spoken if it is not nil.
	TLS *tls.Config

	// WrapListener, if not nil, returns what is to be listened on in place of a
	// listener whose connections are plain, after TLS.
	WrapListener func(net.Listener) net.Listener

	// ConnContext, if not nil, makes the context of a connection, as in
	// [http.Server].
	ConnContext func(context.Context, net.Conn) context.Context

	// Log receives what goes wrong: errors of handlers, and for debugging those
	// of connections.
	Log *slog.Logger
}

// Server serves one listener.
type Server struct {
	http *http.Server
	ln   net.Listener
	log  *slog.Logger

	limit       *limitListener
	idle        *idleConns
	connections atomic.Int64
	inFlight    atomic.Int64
}

// New returns a server for ln, which it will close.
func New(ln net.Listener, c Config) *Server {
	l := c.Limits.withDefaults()
	s := &Server{log: c.Log, idle: newIdleConns()}
	s.limit = limitConnections(ln, l.Connections, s.idle.closeOldest)
	s.ln = s.limit
	if c.TLS != nil {
		s.ln = tls.NewListener(s.ln, c.TLS)
	}
	if c.WrapListener != nil {
		s.ln = c.WrapListener(s.ln)
	}
	s.http = &http.Server{
		Handler:           s.observed(pace(c.Handler, l)),
		ReadHeaderTimeout: l.HeaderTimeout,
		IdleTimeout:       l.IdleTimeout,
		MaxHeaderBytes:    l.HeaderBytes,
		ConnState:         s.count,
		ConnContext:       c.ConnContext,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true)
	return s
}

// Serve serves until Shutdown is called, and returns nil then.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// strayPatience is how long Shutdown waits for handlers whose connections it has
// cut off.
const strayPatience = 5 * time.Second

// Shutdown accepts no more connections, and waits until the requests under way
// are answered, or ctx ends: then it cuts them off, and returns an error.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err == nil {
		return nil
	}
	err = errors.Join(err, s.http.Close())
	for end := time.Now().Add(strayPatience); s.inFlight.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return err
}

// Connections returns how many connections there are.
func (s *Server) Connections() int64 { return s.connections.Load() }

// InFlight returns how many requests are being answered.
func (s *Server) InFlight() int64 { return s.inFlight.Load() }

func (s *Server) count(c net.Conn, state http.ConnState) {
	s.idle.note(c, state)
	if state == http.StateIdle && s.limit.wanting.CompareAndSwap(true, false) {
		s.idle.closeOldest()
	}
	switch state {
	case http.StateNew:
		s.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	}
}

// observed counts requests, and logs a panic as the error that it is.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.inFlight.Add(1)
		defer s.inFlight.Add(-1)
		defer func() {
			if p := recover(); p != nil {
				if p != http.ErrAbortHandler {
					s.log.Error("a handler panicked", "panic", p, "stack", string(debug.Stack()))
				}
				panic(http.ErrAbortHandler) // which ends the connection
			}
		}()
		next.ServeHTTP(w, r)
	})
}
