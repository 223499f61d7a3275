package api

import (
	"net/http"
	"strings"
)

// authorize finds out what the request may do.
func (x *exchange) authorize() error {
	if x.h.Authorize == nil {
		return nil
	}
	grant, ok := x.h.Authorize(secret(x.r.Header))
	if !ok || grant == nil {
		return errToken
	}
	x.grant = grant
	return nil
}

// secret returns the token of a request, empty if there is none.
func secret(h http.Header) string {
	if a := h["Authorization"]; len(a) > 0 {
		scheme, token, _ := strings.Cut(a[0], " ")
		if strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(token)
		}
		return ""
	}
	if k := h["X-Auth-Key"]; len(k) > 0 && len(h["X-Auth-Email"]) > 0 {
		return k[0]
	}
	return ""
}

func (x *exchange) mayRead(id string) error {
	return allowed(x.grant == nil || x.grant.Read(id))
}

func (x *exchange) mayWrite(id string) error {
	return allowed(x.grant == nil || x.grant.Write(id))
}

func (x *exchange) mayManage() error {
	return allowed(x.grant == nil || x.grant.Manage())
}

// maySee is for the description of a namespace: whoever may do something with it
// has to find its id.
func (x *exchange) maySee(id string) bool {
	return x.grant == nil || x.grant.Manage() || x.grant.Read(id) || x.grant.Write(id)
}

func allowed(ok bool) error {
	if !ok {
		return errForbidden
	}
	return nil
}
