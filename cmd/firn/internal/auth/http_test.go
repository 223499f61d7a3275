package auth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/firnkv/firn/cmd/firn/internal/auth"
)

func TestManageOnly(t *testing.T) {
	k := keyring(t, auth.Config{Secret: "env"}, line("r", "reader", `"read"`, `"*"`))
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})
	status := func(k *auth.Keyring, header string) int {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		k.ManageOnly(ok).ServeHTTP(w, r)
		return w.Code
	}
	for header, want := range map[string]int{
		"Bearer env": 200, "bearer  env": 200, "Bearer reader": 403, "Bearer x": 401, "Basic env": 401, "env": 401, "": 401,
	} {
		if got := status(k, header); got != want {
			t.Errorf("%q: %d, want %d", header, got, want)
		}
	}
	if got := status(auth.Open(), ""); got != 200 {
		t.Errorf("without tokens: %d", got)
	}
}
