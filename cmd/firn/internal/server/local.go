package server

import (
	"net"
	"net/http"
	"strings"
)

// LocalOnly guards a handler that asks for no token, because only this machine
// reaches it, against web pages that are open in a browser of this machine. A
// page of another site may send requests here, though not read the answers: what
// a browser marks as coming from another site is refused. And a page may have
// its own name lead here ("DNS rebinding"): a request has to name this machine,
// or be one of a binding, which always names fake-host.
func LocalOnly(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !namesThisMachine(r.Host) {
			answer(w, http.StatusForbidden, "without tokens, the server answers to localhost only")
			return
		}
		next.ServeHTTP(w, r)
	}))
}

func namesThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "fake-host"
}
