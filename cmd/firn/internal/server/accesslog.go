package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// AccessLog logs every request for debugging, if that is what log wants. Keys,
// also as prefixes in queries, are logged only if keys is set; values never are.
func AccessLog(next http.Handler, log *slog.Logger, keys bool) http.Handler {
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		seen := &seenWriter{ResponseWriter: w}
		target := withoutKey(r)
		if keys {
			target = r.RequestURI
		}
		defer func() {
			log.Debug("request", "method", r.Method, "target", target, "namespace", r.Header.Get(NamespaceHeader),
				"status", seen.status, "sent", seen.bytes, "duration", time.Since(begun), "remote", r.RemoteAddr)
		}()
		next.ServeHTTP(seen, r)
	})
}

// withoutKey returns the path of a request without the key in it. In the REST
// API it follows /values/ or /metadata/; for a binding it is all of the path.
func withoutKey(r *http.Request) string {
	path := r.URL.EscapedPath()
	if r.Header.Get(NamespaceHeader) != "" || !strings.HasPrefix(path, "/client/") {
		if path == "/" {
			return path
		}
		return "/…"
	}
	for _, before := range []string{"/values/", "/metadata/"} {
		if api, _, found := strings.Cut(path, before); found {
			return api + before + "…"
		}
	}
	return path
}

// seenWriter remembers what was answered.
type seenWriter struct {
	http.ResponseWriter
	status int // 0: nothing was
	bytes  int64
}

// Unwrap serves [http.ResponseController].
func (w *seenWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *seenWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *seenWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}
