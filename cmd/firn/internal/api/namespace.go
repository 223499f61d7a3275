package api

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/firnkv/firn/engine/namespaces"
)

const (
	maxPerPage     = 1000
	defaultPerPage = 20
)

// namespacesCall answers what is about all namespaces.
func (x *exchange) namespacesCall() error {
	switch x.r.Method {
	case http.MethodGet:
		return x.listNamespaces()
	case http.MethodPost:
		return x.createNamespace()
	}
	return notAllowed("GET, POST")
}

// namespaceItself answers what is about a namespace, but not its pairs.
func (x *exchange) namespaceItself(id string) error {
	switch x.r.Method {
	case http.MethodGet:
		return x.describeNamespace(id)
	case http.MethodPut:
		return x.renameNamespace(id)
	case http.MethodDelete:
		return x.deleteNamespace(id)
	}
	return notAllowed("GET, PUT, DELETE")
}

// pageQuery says which namespaces are to be listed, in which order.
type pageQuery struct {
	page, perPage int
	byID, down    bool
}

func readPageQuery(query string) (pageQuery, error) {
	q := pageQuery{page: 1, perPage: defaultPerPage}
	for name, value := range parameters(query) {
		var err error
		switch name {
		case "page":
			q.page, err = positive(name, value)
		case "per_page":
			q.perPage, err = positive(name, value)
			q.perPage = min(q.perPage, maxPerPage)
		case "order":
			q.byID, err = choice(name, value, "title", "id")
		case "direction":
			q.down, err = choice(name, value, "asc", "desc")
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

func positive(name, value string) (int, error) {
	n, ok := wholeSeconds(value)
	if !ok || n < 1 {
		return 0, bad("Invalid %s of %s. Please specify an integer greater than 0.", name, shown(value))
	}
	return int(min(n, 1<<20)), nil // so that a product of two is an int of 32 bits too
}

// choice reports whether value is the second of two words.
func choice(name, value, first, second string) (bool, error) {
	if value != first && value != second {
		return false, bad("Invalid %s of %s. Please specify %s or %s.", name, shown(value), first, second)
	}
	return value == second, nil
}

func (x *exchange) listNamespaces() error {
	x.operation = "namespace_list"
	q, err := readPageQuery(x.r.URL.RawQuery)
	if err != nil {
		return err
	}
	all, err := x.h.Pool.List(x.ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(ns namespaces.Namespace) bool { return !x.maySee(ns.ID) })
	slices.SortFunc(all, func(a, b namespaces.Namespace) int {
		c := cmp.Compare(a.Title, b.Title)
		if q.byID {
			c = cmp.Compare(a.ID, b.ID)
		}
		if q.down {
			return -c
		}
		return c
	})
	x.reply(http.StatusOK, typeJSON, appendNamespacePage(nil, all, q))
	return nil
}

func appendNamespacePage(b []byte, all []namespaces.Namespace, q pageQuery) []byte {
	from := min((q.page-1)*q.perPage, len(all))
	page := all[from:min(from+q.perPage, len(all))]
	b = append(b, resultBegin+"["...)
	for i, ns := range page {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNamespace(b, ns)
	}
	b = append(b, `],"result_info":{"page":`...)
	b = appendInt(b, q.page)
	b = append(b, `,"per_page":`...)
	b = appendInt(b, q.perPage)
	b = append(b, `,"count":`...)
	b = appendInt(b, len(page))
	b = append(b, `,"total_count":`...)
	b = appendInt(b, len(all))
	b = append(b, `,"total_pages":`...)
	b = appendInt(b, (len(all)+q.perPage-1)/q.perPage)
	return append(b, "}"+resultEnd...)
}

func appendNamespace(b []byte, ns namespaces.Namespace) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, ns.ID)
	b = append(b, `,"title":`...)
	b = appendString(b, ns.Title)
	return append(b, `,"supports_url_encoding":true}`...)
}

func (x *exchange) replyNamespace(ns namespaces.Namespace) {
	x.namespace = ns.ID
	b := appendNamespace([]byte(resultBegin), ns)
	x.reply(http.StatusOK, typeJSON, append(b, resultEnd...))
}

func (x *exchange) describeNamespace(id string) error {
	x.operation = "namespace_get"
	if !x.maySee(id) {
		return errForbidden
	}
	ns, err := x.h.Pool.Find(x.ctx, id)
	if err != nil {
		return err
	}
	x.replyNamespace(ns)
	return nil
}

func (x *exchange) createNamespace() error {
	x.operation = "namespace_create"
	title, err := x.managedTitle()
	if err != nil {
		return err
	}
	ns, err := x.h.Pool.Create(x.ctx, title)
	if err != nil {
		return err
	}
	x.replyNamespace(ns)
	return nil
}

func (x *exchange) renameNamespace(id string) error {
	x.operation = "namespace_rename"
	title, err := x.managedTitle()
	if err != nil {
		return err
	}
	ns, err := x.h.Pool.Rename(x.ctx, id, title)
	if err != nil {
		return err
	}
	x.replyNamespace(ns)
	return nil
}

func (x *exchange) deleteNamespace(id string) error {
	x.operation = "namespace_delete"
	if err := x.mayManage(); err != nil {
		return err
	}
	ns, err := x.h.Pool.Delete(x.ctx, id)
	if err != nil {
		return err
	}
	x.namespace = ns.ID
	x.reply(http.StatusOK, typeJSON, emptyResult)
	return nil
}

// managedTitle returns the title in the body of a request that needs the permission
// to manage namespaces.
func (x *exchange) managedTitle() (string, error) {
	if err := x.mayManage(); err != nil {
		return "", err
	}
	var title string
	found := false
	j := newJSONReader(&limited{r: &x.body, most: maxTitleBody})
	defer j.close()
	err := j.object(func(name string) error {
		if name != "title" {
			return j.skip()
		}
		found = true
		var err error
		title, _, err = j.string(maxTitleBytes)
		return err
	})
	if err == nil {
		err = j.finish()
	}
	if err == nil && !found {
		err = bad(`"title" is missing`)
	}
	return title, err
}

// maxTitleBytes is more than the longest title has. What is longer is cut to that,
// and refused as too long.
const maxTitleBytes = 4 * 513

// maxTitleBody bounds the body that a title comes in.
const maxTitleBody = 64 << 10
