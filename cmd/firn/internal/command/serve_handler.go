package command

import (
	"net/http"

	"github.com/firnkv/firn/cmd/firn/internal/api"
	"github.com/firnkv/firn/cmd/firn/internal/metrics"
	"github.com/firnkv/firn/cmd/firn/internal/phrase"
	"github.com/firnkv/firn/cmd/firn/internal/server"
	"github.com/firnkv/firn/engine/namespaces"
)

// maxInFlight is how many requests are answered at a time; more are told to come
// again. Each of a large value takes less than 1 MiB.
const maxInFlight = 1024

// newHandler returns the handler of both protocols on a pool.
func (d *daemon) newHandler(pool *namespaces.Pool) http.Handler {
	return api.New(api.Config{
		Pool: pool,
		Authorize: func(secret string) (api.Grant, bool) {
			return d.keys.Authorize(secret)
		},
		Log: d.log, LogKeys: d.logKeys,
		MaxInFlight: maxInFlight,
		Observe: func(e api.Event) {
			d.metrics.Observe(metrics.Request{
				Protocol: e.Protocol, Operation: e.Operation, NamespaceID: e.NamespaceID, Status: e.Status,
				Duration: e.Duration, BytesIn: e.BytesIn, BytesOut: e.BytesOut,
			})
		},
	})
}

// wrapConnections adds to the configuration of the main server what gives answers
// a reason phrase of their own.
func wrapConnections(c *server.Config) {
	c.WrapListener, c.ConnContext = phrase.Listener, phrase.ConnContext
}
