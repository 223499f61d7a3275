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

// ReadyNow answers a probe that asks whether requests should be sent here, to
// those who operate the server: with the error of the check.
func (h *Health) ReadyNow(w http.ResponseWriter, r *http.Request) { h.answerReady(w, error.Error) }

// ReadyForAll is ReadyNow for everybody: errors may have names of files.
func (h *Health) ReadyForAll(w http.ResponseWriter, r *http.Request) {
	h.answerReady(w, func(error) string { return "not writable" })
}

func (h *Health) answerReady(w http.ResponseWriter, text func(error) string) {
	check := h.check.Load()
	switch {
	case h.stopping.Load():
		answer(w, http.StatusServiceUnavailable, "stopping")
	case check == nil:
		answer(w, http.StatusServiceUnavailable, "starting")
	default:
		if err := (*check)(); err != nil {
			answer(w, http.StatusServiceUnavailable, text(err))
			return
		}
		answer(w, http.StatusOK, "ready")
	}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the client may be gone
}
