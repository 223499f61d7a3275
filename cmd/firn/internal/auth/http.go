package auth

import (
	"net/http"
	"strings"
)

// ManageOnly lets those through to next who send a token with manage.
func (k *Keyring) ManageOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			secret = ""
		}
		grant, known := k.Authorize(strings.TrimSpace(secret))
		switch {
		case !known:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "this needs a token", http.StatusUnauthorized)
		case !grant.Manage():
			http.Error(w, "this needs a token with "+Manage, http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
