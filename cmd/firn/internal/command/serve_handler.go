package command

import (
	"io"
	"net/http"

	"github.com/firnkv/firn/cmd/firn/internal/server"
	"github.com/firnkv/firn/engine/namespaces"
)

// newHandler returns the handler of both protocols on a pool. This and
// wrapConnections are where package api and package phrase come in.
func (d *daemon) newHandler(pool *namespaces.Pool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "this build of firn has no API\n") // the client may be gone
	})
}

// wrapConnections adds to the configuration of the main server what gives answers
// a reason phrase of their own.
func wrapConnections(*server.Config) {}
