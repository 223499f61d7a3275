package server

import (
	"net/http"
	"net/http/pprof"
)

// Admin returns the handler of a port for those who operate the server: the
// probes, metrics, and the profiles of package pprof. It asks for no token, so
// it must not be reached from elsewhere.
func Admin(health *Health, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", health.Alive)
	mux.HandleFunc("GET /readyz", health.ReadyNow)
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return LocalOnly(mux)
}
