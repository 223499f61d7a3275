package server

import (
	"net/http"
	"sync/atomic"
)

// NamespaceHeader is what every request of a binding carries.
const NamespaceHeader = "Firn-Namespace"

// Front is the handler of the main port: the probes, and behind them what is
// served, from Start on.
type Front struct {
	Health *Health

	// Metrics answers /metrics. nil: it is not answered here.
	Metrics http.Handler

	next atomic.Pointer[http.Handler]
}

// Start lets requests through to next.
func (f *Front) Start(next http.Handler) { f.next.Store(&next) }

// ServeHTTP implements [http.Handler].
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if own := f.own(r); own != nil {
		own(w, r)
		return
	}
	next := f.next.Load()
	if next == nil {
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusServiceUnavailable, "starting")
		return
	}
	(*next).ServeHTTP(w, r)
}

// own returns what answers the request here. Bindings may have keys like
// healthz: what they ask for carries a namespace, and has a query.
func (f *Front) own(r *http.Request) http.HandlerFunc {
	if r.Method != http.MethodGet && r.Method != http.MethodHead ||
		r.URL.RawQuery != "" || r.Header.Get(NamespaceHeader) != "" {
		return nil
	}
	switch r.URL.Path {
	case "/healthz":
		return f.Health.Alive
	case "/readyz":
		return f.Health.ReadyForAll
	case "/metrics":
		if f.Metrics != nil {
			return f.Metrics.ServeHTTP
		}
	}
	return nil
}
