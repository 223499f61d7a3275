package remote

import (
	"net/http"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:8787":                "http://127.0.0.1:8787/client/v4",
		"http://[::1]:8787/":                   "http://[::1]:8787/client/v4",
		"https://api.cloudflare.com/client/v4": "https://api.cloudflare.com/client/v4",
		"https://example.com/a%2Fb/":           "https://example.com/a%2Fb",
		"127.0.0.1:8787":                       "",
		"localhost:8787":                       "",
		"http://":                              "",
		"http://:80":                           "",
		"unix:/run/firn":                       "unix:/run/firn",
		"unix:a socket%2F?":                    "unix:a socket%2F?",
		"unix:":                                "",
		"http://user@localhost":                "",
		"http://localhost?":                    "",
		"http://localhost#a":                   "",
		"http://local host":                    "",
		"":                                     "",
	} {
		u, err := ParseURL(text)
		switch {
		case err != nil && want != "":
			t.Errorf("%q: %v", text, err)
		case err == nil && u.String() != want:
			t.Errorf("%q: got %s, want %q", text, u, want)
		}
	}
}

func TestExposed(t *testing.T) {
	for text, want := range map[string]bool{
		"http://127.0.0.1:1": false, "http://127.1.2.3": false, "http://[::1]:1": false, "http://localhost": false,
		"http://a.localhost.": false, "https://example.com": false, "unix:/run/firn": false,
		"http://example.com": true, "http://10.0.0.1": true, "http://localhost.example.com": true, "http://0.0.0.0": true,
	} {
		u, err := ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := Exposed(u); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestTokenBytes(t *testing.T) {
	u, _ := ParseURL("http://localhost")
	for _, token := range []string{"se cret", "se\ncret", "secreté", "secret\x7f"} {
		if _, err := New(Config{URL: u, Token: token}); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("%q: %v", token, err)
		}
	}
}

// TestRedirect has a server send the client elsewhere, where the token must not go.
func TestRedirect(t *testing.T) {
	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("asked with %q", r.Header) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer token" {
				t.Errorf("asked with %q", r.Header)
			}
			http.Redirect(w, r, elsewhere.base, status)
		})
		if _, err := c.List(t.Context()); err == nil || !strings.Contains(err.Error(), "redirects to "+elsewhere.base) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestProxies lets a proxy have only what it cannot read.
func TestProxies(t *testing.T) {
	for text, want := range map[string]bool{"http://example.com": false, "unix:/run/firn": false, "https://example.com": true} {
		u, err := ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := newTransport(u, nil).Proxy != nil; got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
