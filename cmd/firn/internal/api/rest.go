package api

import (
	"net/http"
	"strings"

	"github.com/firnkv/firn/engine"
)

// ok is the whole answer to a write.
var emptyResult = []byte(`{"success":true,"errors":[],"messages":[],"result":{}}`)

// Around a result.
const (
	resultBegin = `{"success":true,"errors":[],"messages":[],"result":`
	resultEnd   = `}`
)

// serveREST answers a request of the REST API.
func (x *exchange) serveREST() error {
	path, ok := strings.CutPrefix(rawPath(x.r), "/client/v4/")
	if !ok {
		return errRoute
	}
	if err := x.authorize(); err != nil {
		return err
	}
	switch path {
	case "accounts", "memberships", "user", "user/tokens/verify":
		return x.account(path)
	}
	path, ok = strings.CutPrefix(path, "accounts/")
	account, path, more := strings.Cut(path, "/")
	if !ok || !more || account == "" {
		return errRoute
	}
	path, ok = strings.CutPrefix(path, "storage/kv/namespaces")
	switch {
	case ok && path == "":
		return x.namespacesCall()
	case ok && path[0] == '/':
		return x.namespaceCall(path[1:])
	}
	return errRoute
}

// namespaceCall answers what is about one namespace.
func (x *exchange) namespaceCall(path string) error {
	id, path, more := strings.Cut(path, "/")
	switch {
	case id == "":
		return errRoute
	case !more:
		return x.namespaceItself(id)
	}
	switch path {
	case "keys":
		return x.keysCall(id)
	case "bulk":
		return x.bulkCall(id)
	case "bulk/get":
		return x.bulkGetCall(id)
	case "bulk/delete":
		return x.bulkDeleteCall(id)
	}
	kind, escaped, more := strings.Cut(path, "/")
	switch {
	case more && kind == "values":
		return x.valueCall(id, escaped)
	case more && kind == "metadata":
		return x.metadataCall(id, escaped)
	}
	return errRoute
}

func (x *exchange) valueCall(id, escaped string) error {
	switch x.r.Method {
	case http.MethodGet:
		return x.restGet(id, escaped)
	case http.MethodPut:
		return x.restPut(id, escaped)
	case http.MethodDelete:
		return x.restDelete(id, escaped)
	}
	return notAllowed("GET, PUT, DELETE")
}

func (x *exchange) restGet(id, escaped string) error {
	x.operation = "get"
	if err := x.setKey(escaped); err != nil {
		return err
	}
	store, err := x.open(id, reading)
	if err != nil {
		return err
	}
	return x.sendValue(store)
}

func (x *exchange) restPut(id, escaped string) error {
	x.operation = "put"
	if err := x.setKey(escaped); err != nil {
		return err
	}
	if err := x.setLifetime(); err != nil {
		return err
	}
	boundary, form, err := formBoundary(x.r.Header)
	if err != nil {
		return err
	}
	store, err := x.open(id, putting)
	if err != nil {
		return err
	}
	if form {
		err = x.putForm(store, boundary)
	} else {
		err = x.putBody(store)
	}
	if err != nil {
		return err
	}
	x.reply(http.StatusOK, typeJSON, emptyResult)
	return nil
}

func (x *exchange) restDelete(id, escaped string) error {
	x.operation = "delete"
	if err := x.setKey(escaped); err != nil {
		return err
	}
	if err := x.deleteKey(id); err != nil {
		return err
	}
	x.reply(http.StatusOK, typeJSON, emptyResult)
	return nil
}

func (x *exchange) metadataCall(id, escaped string) error {
	if x.r.Method != http.MethodGet {
		return notAllowed("GET")
	}
	x.operation = "metadata"
	if err := x.setKey(escaped); err != nil {
		return err
	}
	store, err := x.open(id, reading)
	if err != nil {
		return err
	}
	v, err := store.GetReader(x.ctx, x.key)
	if err != nil {
		return err
	}
	defer v.Close()
	b := appendMetadata([]byte(resultBegin), v.Info().Metadata)
	x.reply(http.StatusOK, typeJSON, append(b, resultEnd...))
	return nil
}

func (x *exchange) keysCall(id string) error {
	if x.r.Method != http.MethodGet {
		return notAllowed("GET")
	}
	x.operation = "list"
	opts, err := listQuery(x.r.URL.RawQuery, "limit")
	if err != nil {
		return err
	}
	store, err := x.open(id, reading)
	if err != nil {
		return err
	}
	page, err := store.List(x.ctx, opts)
	// The SDKs take an empty page for the last one.
	for err == nil && len(page.Keys) == 0 && page.Cursor != "" {
		opts.Cursor = page.Cursor
		page, err = store.List(x.ctx, opts)
	}
	if err != nil {
		return err
	}
	x.reply(http.StatusOK, typeJSON, appendRESTPage(nil, page))
	return nil
}

func appendRESTPage(b []byte, page *engine.ListPage) []byte {
	b = append(b, resultBegin+"["...)
	for i := range page.Keys {
		b = appendListed(b, i, &page.Keys[i], false)
	}
	b = append(b, `],"result_info":{"count":`...)
	b = appendInt(b, len(page.Keys))
	b = append(b, `,"cursor":`...)
	b = appendString(b, page.Cursor)
	return append(b, "}"+resultEnd...)
}
