package api

import (
	"testing"

	"github.com/firnkv/firn/engine/namespaces"
)

// grant is a Grant for one namespace.
type grant struct {
	id                  string
	read, write, manage bool
}

func (g grant) Read(id string) bool  { return g.read && (g.id == "" || g.id == id) }
func (g grant) Write(id string) bool { return g.write && (g.id == "" || g.id == id) }
func (g grant) Manage() bool         { return g.manage }

func TestAuthorize(t *testing.T) {
	grants := map[string]Grant{
		"admin": grant{read: true, write: true, manage: true}, "all": grant{read: true, write: true}, "manager": grant{manage: true},
	}
	s := start(t, &Config{Authorize: func(secret string) (Grant, bool) { g, ok := grants[secret]; return g, ok }})
	other, err := s.pool.Create(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	grants["reader"] = grant{id: s.id, read: true}
	grants["writer"] = grant{id: s.id, write: true}
	const denied, unknown = 403, 401
	bearer := func(token string) []string {
		if token == "" {
			return nil
		}
		return []string{"Authorization: Bearer " + token}
	}
	ns := account + "/" + s.id
	tests := []struct {
		token, method, target, body string
		status                      int
	}{
		{"", "GET", "/client/v4/user", "", unknown},
		{"wrong", "GET", "/client/v4/user/tokens/verify", "", unknown},
		{"reader", "GET", "/client/v4/user/tokens/verify", "", 200},
		{"", "GET", ns + "/keys", "", unknown},
		{"reader", "GET", ns + "/keys", "", 200},
		{"writer", "GET", ns + "/keys", "", denied},
		{"reader", "GET", account + "/" + other.ID + "/keys", "", denied},
		{"reader", "PUT", ns + "/values/k", "v", denied},
		{"writer", "PUT", ns + "/values/k", "v", 200},
		{"writer", "GET", ns + "/values/k", "", denied},
		{"writer", "GET", ns + "/metadata/k", "", denied},
		{"reader", "GET", ns + "/values/k", "", 200},
		{"reader", "GET", ns + "/metadata/k", "", 200},
		{"reader", "DELETE", ns + "/values/k", "", denied},
		{"reader", "PUT", ns + "/bulk", "[]", denied},
		{"writer", "PUT", ns + "/bulk", "[]", 200},
		{"reader", "DELETE", ns + "/bulk", "[]", denied},
		{"reader", "POST", ns + "/bulk/delete", "[]", denied},
		{"writer", "POST", ns + "/bulk/get", `{"keys":["a"]}`, denied},
		{"reader", "POST", ns + "/bulk/get", `{"keys":["a"]}`, 200},
		{"reader", "GET", ns, "", 200},
		{"writer", "GET", ns, "", 200},
		{"writer", "GET", account + "/" + other.ID, "", denied},
		{"manager", "GET", ns, "", 200},
		{"all", "PUT", ns, `{"title":"x"}`, denied},
		{"all", "DELETE", ns, "", denied},
		{"all", "POST", account, `{"title":"x"}`, denied},
		{"manager", "POST", account, `{"title":"x"}`, 200},
		{"manager", "GET", ns + "/keys", "", denied},
	}
	for _, test := range tests {
		a := s.send(test.method, test.target, bearer(test.token), test.body)
		if a.status != test.status {
			t.Errorf("%s: %s %s: %d %s, want %d", test.token, test.method, test.target, a.status, a.body, test.status)
		}
		if a.status >= 400 {
			a.refused(test.status, codeAuth, "Authentication error")
		}
	}
	for token, want := range map[string]string{"reader": "test", "writer": "test", "manager": "othertestx"} {
		got := ""
		for _, ns := range decodeNamespaces(t, s.send("GET", account, bearer(token), "")) {
			got += ns.Title
		}
		if got != want {
			t.Errorf("%s sees %q, want %q", token, got, want)
		}
	}
	// The pair of a key and an address.
	s.send("GET", ns+"/keys", []string{"X-Auth-Email: a@b", "X-Auth-Key: reader"}, "").result(`[{"name":"k"}]`)
	s.send("GET", ns+"/keys", []string{"Authorization: bearer  reader"}, "").result(`[{"name":"k"}]`)
	s.send("GET", ns+"/keys", []string{"Authorization: Basic reader"}, "").refused(401, codeAuth, "")

	binding := func(token, namespace string) []string { return append(bearer(token), "Firn-Namespace: "+namespace) }
	s.send("GET", "/k", binding("", "test"), "").failed(401, "Authentication error")
	s.send("GET", "/k", binding("writer", "test"), "").failed(403, errForbidden.text)
	s.send("GET", "/k", binding("reader", "test"), "").is(200, "v")
	s.send("GET", "/k", binding("reader", "other"), "").failed(403, errForbidden.text)
	s.send("GET", "/", binding("writer", "test"), "").failed(403, errForbidden.text)
	s.send("PUT", "/k", binding("reader", "test"), "v").failed(403, errForbidden.text)
	s.send("DELETE", "/k", binding("reader", s.id), "v").failed(403, errForbidden.text)
	s.send("POST", "/bulk/get", binding("writer", "test"), `{"keys":["k"]}`).failed(403, errForbidden.text)
	s.send("PUT", "/k", binding("writer", namespaces.DefaultTitle), "v").failed(403, errForbidden.text)
	s.send("GET", "/k", binding("reader", namespaces.DefaultTitle), "").failed(403, errForbidden.text)
	s.send("GET", "/k", binding("all", namespaces.DefaultTitle), "").is(404, "Not Found")
	s.send("PUT", "/k", binding("all", namespaces.DefaultTitle), "v").is(200, "")
}
