package api

import (
	"net/http"
	"strings"

	"github.com/firnkv/firn/engine"
)

const namespaceHeader = "Firn-Namespace"

// serveBinding answers a request of the runtime.
func (x *exchange) serveBinding() error {
	if err := x.authorize(); err != nil {
		return err
	}
	name := x.r.Header[namespaceHeader][0]
	escaped := strings.TrimPrefix(rawPath(x.r), "/")
	switch x.r.Method {
	case http.MethodGet:
		if escaped == "" {
			return x.bindingList(name)
		}
		return x.bindingGet(name, escaped)
	case http.MethodPut:
		return x.bindingPut(name, escaped)
	case http.MethodDelete:
		return x.bindingDelete(name, escaped)
	case http.MethodPost:
		if escaped == "bulk/get" {
			return x.bindingBulkGet(name)
		}
	}
	return notAllowed("GET, PUT, DELETE")
}

func (x *exchange) bindingGet(name, escaped string) error {
	x.operation = "get"
	if err := x.setKey(escaped); err != nil {
		return err
	}
	for name, value := range parameters(x.r.URL.RawQuery) {
		if name == "cache_ttl" {
			if err := checkCacheTTL(value); err != nil {
				return err
			}
		}
	}
	store, err := x.open(name, reading)
	if err != nil {
		return err
	}
	if store == nil {
		return errNoKey
	}
	return x.sendValue(store)
}

func (x *exchange) bindingPut(name, escaped string) error {
	x.operation = "put"
	if err := x.setKey(escaped); err != nil {
		return err
	}
	if err := x.setLifetime(); err != nil {
		return err
	}
	if m := x.r.Header["Cf-Kv-Metadata"]; len(m) > 0 {
		var err error
		if x.opts.Metadata, err = checkMetadata([]byte(m[0])); err != nil {
			return err
		}
	}
	store, err := x.open(name, putting)
	if err != nil {
		return err
	}
	if err := x.putBody(store); err != nil {
		return err
	}
	x.head(http.StatusOK)
	return nil
}

func (x *exchange) bindingDelete(name, escaped string) error {
	x.operation = "delete"
	if err := x.setKey(escaped); err != nil {
		return err
	}
	if err := x.deleteKey(name); err != nil {
		return err
	}
	x.head(http.StatusOK)
	return nil
}

func (x *exchange) bindingList(name string) error {
	x.operation = "list"
	opts, err := listQuery(x.r.URL.RawQuery, "key_count_limit")
	if err != nil {
		return err
	}
	store, err := x.open(name, reading)
	if err != nil {
		return err
	}
	page := &engine.ListPage{}
	if store != nil {
		if page, err = store.List(x.ctx, opts); err != nil {
			return err
		}
	}
	x.reply(http.StatusOK, typeJSON, appendBindingPage(nil, page))
	return nil
}

// appendBindingPage appends a page as the runtime wants it, with metadata as a
// string that holds JSON.
func appendBindingPage(b []byte, page *engine.ListPage) []byte {
	b = append(b, `{"keys":[`...)
	for i := range page.Keys {
		b = appendListed(b, i, &page.Keys[i], true)
	}
	b = append(b, `],"list_complete":`...)
	if page.Cursor == "" {
		return append(b, "true}"...)
	}
	b = append(b, `false,"cursor":`...)
	return append(appendString(b, page.Cursor), '}')
}

func (x *exchange) bindingBulkGet(name string) error {
	x.operation = "bulk_get"
	q, err := readBulkQuery(&x.body)
	if err != nil {
		return err
	}
	store, err := x.open(name, reading)
	if err != nil {
		return err
	}
	values, err := x.bulkValues(store, q)
	if err != nil {
		return err
	}
	return x.sendValues("", q, values, "")
}
