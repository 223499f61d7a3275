package remote

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/firnkv/firn/engine/namespaces"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	someID = "0123456789abcdef0123456789abcdef"
	base   = "/client/v4/accounts/me/storage/kv/namespaces"
)

// newClient returns a client of a server at address.
func newClient(t *testing.T, address string, transport http.RoundTripper) *Client {
	t.Helper()
	u, err := ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{URL: u, Account: "me", Token: "token", Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve returns a client of a server that answers with h.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	transport := newTransport(new(url.URL), nil)
	t.Cleanup(transport.CloseIdleConnections)
	return newClient(t, s.URL, transport)
}

// serveNamespace returns a namespace of a server that answers with h what is about its
// pairs; below is the path of that.
func serveNamespace(t *testing.T, h func(w http.ResponseWriter, r *http.Request, below string)) *Namespace {
	t.Helper()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		if path == base {
			listed(w, someID, "films")
			return
		}
		h(w, r, strings.TrimPrefix(path, base+"/"+someID))
	})
	n, err := c.Open(t.Context(), "films")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// answer answers with a result.
func answer(w http.ResponseWriter, status int, result string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"success":true,"errors":[],"messages":[],"result":%s}`, result)
}

// listed answers with all namespaces: their ids and titles.
func listed(w http.ResponseWriter, idsAndTitles ...string) {
	var all []namespaces.Namespace
	for i := 0; i < len(idsAndTitles); i += 2 {
		all = append(all, namespaces.Namespace{ID: idsAndTitles[i], Title: idsAndTitles[i+1]})
	}
	b, _ := json.Marshal(all)
	fmt.Fprintf(w, `{"success":true,"result":%s,"result_info":{"total_count":%d}}`, b, len(all))
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, status, code int, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"success":false,"errors":[{"code":%d,"message":%q}],"messages":[],"result":null}`, code, message)
}

// cut answers with less than it has promised.
func cut(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Length", fmt.Sprint(len(body)+1))
	io.WriteString(w, body)
}
