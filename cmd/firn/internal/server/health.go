package server

import (
	"io"
	"net/http"
	"sync/atomic"
)

// Health answers whether the server is alive, and whether it is ready. Its
// methods are safe for concurrent use. The zero value is that of a server that
// is starting.
type Health struct {
	check    atomic.Pointer[func() error] // nil until Ready
	stopping atomic.Bool
}

// Ready makes the server ready, as long as check returns nil.
func (h *Health) Ready(check func() error) { h.check.Store(&check) }

// Stopping ends that for good.
func (h *Health) Stopping() { h.stopping.Store(true) }

// Alive answers a probe that asks whether the process works.
func (h *Health) Alive(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusOK, "alive") }

// ReadyNow answers a probe that asks whether requests should be sent here.
func (h *Health) ReadyNow(w http.ResponseWriter, r *http.Request) {
	if reason := h.reason(); reason != "" {
		answer(w, http.StatusServiceUnavailable, reason)
		return
	}
	answer(w, http.StatusOK, "ready")
}

// reason says why the server is not ready, if it is not.
func (h *Health) reason() string {
	check := h.check.Load()
	switch {
	case h.stopping.Load():
		return "stopping"
	case check == nil:
		return "starting"
	}
	if err := (*check)(); err != nil {
		return err.Error()
	}
	return ""
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the client may be gone
}
