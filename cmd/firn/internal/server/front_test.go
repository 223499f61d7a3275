package server_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/firnkv/firn/cmd/firn/internal/server"
)

func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:8787"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "next") })

func TestHealth(t *testing.T) {
	health := &server.Health{}
	front := &server.Front{Health: health}
	admin := server.Admin(health, next)
	want := func(path string, status int, text string) {
		t.Helper()
		for _, h := range []http.Handler{front, admin} {
			if w := ask(h, "GET", path); w.Code != status || strings.TrimSpace(w.Body.String()) != text {
				t.Errorf("%s: %d %q, want %d %q", path, w.Code, w.Body, status, text)
			}
		}
	}
	want("/healthz", 200, "alive")
	want("/readyz", 503, "starting")
	if w := ask(front, "GET", "/key"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d", w.Code)
	}
	var trouble error
	front.Start(next)
	health.Ready(func() error { return trouble })
	want("/readyz", 200, "ready")
	trouble = errors.New("store is read-only")
	for i, text := range []string{"not writable", "store is read-only"} {
		if w := ask([]http.Handler{front, admin}[i], "GET", "/readyz"); w.Code != 503 || strings.TrimSpace(w.Body.String()) != text {
			t.Errorf("%d %q, want %q", w.Code, w.Body, text)
		}
	}
	trouble = nil
	health.Stopping()
	want("/readyz", 503, "stopping")
	want("/healthz", 200, "alive")
}

// TestKeysLikeProbes has bindings ask for keys that are named like what the
// server answers itself.
func TestKeysLikeProbes(t *testing.T) {
	front := &server.Front{Health: &server.Health{}, Metrics: http.NotFoundHandler()}
	front.Start(next)
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		for _, w := range []*httptest.ResponseRecorder{
			ask(front, "GET", path+"?urlencoded=true"),
			ask(front, "GET", path, "Firn-Namespace", "x"),
			ask(front, "PUT", path),
			ask(front, "GET", path+"/"),
			ask(front, "GET", "/"+path),
		} {
			if w.Body.String() != "next" {
				t.Errorf("%s: got %q", path, w.Body)
			}
		}
	}
	if w := ask(front, "GET", "/metrics"); w.Code != 404 {
		t.Errorf("got %d", w.Code)
	}
	if w := ask(&server.Front{}, "GET", "/metrics"); w.Code != 503 {
		t.Errorf("got %d", w.Code)
	}
}

func TestAdmin(t *testing.T) {
	admin := server.Admin(&server.Health{}, next)
	if w := ask(admin, "GET", "/metrics"); w.Body.String() != "next" {
		t.Errorf("got %q", w.Body)
	}
	if w := ask(admin, "GET", "/debug/pprof/goroutine?debug=1"); !strings.Contains(w.Body.String(), "goroutine profile") {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	if w := ask(admin, "GET", "/metrics", "Host", "rebound.example:80"); w.Code != 403 {
		t.Errorf("got %d", w.Code)
	}
}

func TestLocalOnly(t *testing.T) {
	h := server.LocalOnly(next)
	for host, status := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:1": 200, "[::1]:1": 200, "[::1]": 200, "localhost": 200, "LOCALHOST:1": 200,
		"kv.localhost:1": 200, "fake-host": 200, "": 200,
		"evil.example": 403, "evil.example:8787": 403, "localhost.evil.example": 403, "192.0.2.1": 403, "notlocalhost": 403,
	} {
		if w := ask(h, "PUT", "/", "Host", host); w.Code != status {
			t.Errorf("%q: %d, want %d", host, w.Code, status)
		}
	}
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		if w := ask(h, "POST", "/", header...); w.Code != 403 {
			t.Errorf("%v: %d", header, w.Code)
		}
	}
}

func TestAccessLog(t *testing.T) {
	const api = "/client/v4/accounts/a/storage/kv/namespaces/n"
	for _, c := range []struct{ target, namespace, want string }{
		{api + "/values/secret%2Fkey?expiration_ttl=60", "", "target=" + api + "/values/… "},
		{api + "/metadata/secret", "", "target=" + api + "/metadata/… "},
		{api + "/keys?prefix=secret", "", "target=" + api + "/keys "},
		{"/secret?urlencoded=true", "n", "target=/… namespace=n "},
		{"/client/v4/secret", "n", "target=/… namespace=n "},
		{"/?prefix=secret", "n", "target=/ "},
	} {
		for _, keys := range []bool{false, true} {
			log := &logged{}
			logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			w := ask(server.AccessLog(next, logger, keys), "GET", c.target, server.NamespaceHeader, c.namespace)
			if w.Body.String() != "next" {
				t.Errorf("got %q", w.Body)
			}
			line := log.String()
			if strings.Contains(line, "secret") != keys || !keys && !strings.Contains(line, c.want) ||
				!strings.Contains(line, "status=200 sent=4 ") {
				t.Errorf("%s: logged %s", c.target, line)
			}
		}
	}
	log := &logged{}
	ask(server.AccessLog(next, slog.New(slog.NewTextHandler(log, nil)), true), "GET", "/")
	if log.String() != "" {
		t.Errorf("logged %s", log)
	}
}
