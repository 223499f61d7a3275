package remote

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/firnkv/firn/engine/namespaces"
)

const (
	namespacesPerPage = 1000
	// maxPages is far more than an account has namespaces for.
	maxPages = 100
)

// List returns the namespaces that the token may see, by title. When they were created
// is not known.
func (c *Client) List(ctx context.Context) ([]namespaces.Namespace, error) {
	all := []namespaces.Namespace{}
	for page := 1; page <= maxPages; page++ {
		e, err := result[[]namespaces.Namespace](ctx, c, &request{method: "GET", query: url.Values{
			"page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(namespacesPerPage)},
		}})
		if err != nil {
			return nil, err
		}
		all = append(all, e.Result...)
		if len(e.Result) == 0 || len(all) == e.Info.Total {
			slices.SortFunc(all, func(a, b namespaces.Namespace) int { return strings.Compare(a.Title, b.Title) })
			return all, nil
		}
	}
	return nil, fmt.Errorf("%s: its list of namespaces has no end", c.name)
}

// Create makes a namespace.
func (c *Client) Create(ctx context.Context, title string) (namespaces.Namespace, error) {
	ns, err := c.change(ctx, &request{method: "POST", changes: true, once: true}, title)
	if err == nil && ns.ID == "" {
		err = fmt.Errorf("%s: the answer lacks the id of the namespace", c.name)
	}
	return ns, err
}

// Rename gives a namespace another title.
func (c *Client) Rename(ctx context.Context, name, title string) (namespaces.Namespace, error) {
	ns, err := c.find(ctx, name)
	if err != nil {
		return ns, err
	}
	_, err = c.change(ctx, &request{method: "PUT", path: namespacePath(ns.ID), changes: true}, title)
	ns.Title = title
	return ns, named(name, err)
}

func (c *Client) change(ctx context.Context, r *request, title string) (ns namespaces.Namespace, err error) {
	body := struct {
		Title string `json:"title"`
	}{title}
	if r.payload, err = jsonPayload(body); err != nil {
		return ns, err
	}
	e, err := result[namespaces.Namespace](ctx, c, r)
	if err != nil {
		return ns, err
	}
	return e.Result, nil
}

// Delete removes a namespace with everything in it.
func (c *Client) Delete(ctx context.Context, name string) (namespaces.Namespace, error) {
	ns, err := c.find(ctx, name)
	if err != nil {
		return ns, err
	}
	_, err = result[any](ctx, c, &request{method: "DELETE", path: namespacePath(ns.ID), changes: true})
	if errors.Is(err, namespaces.ErrNotExist) && errors.Is(err, ErrUncertain) {
		err = nil // an earlier try has done it
	}
	return ns, named(name, err)
}

// find returns the namespace of an id or a title. An id that the token may not see is
// taken as it is: it may be allowed to write there.
func (c *Client) find(ctx context.Context, name string) (namespaces.Namespace, error) {
	all, err := c.List(ctx)
	if err != nil {
		return namespaces.Namespace{}, err
	}
	for _, is := range []func(namespaces.Namespace) bool{
		func(ns namespaces.Namespace) bool { return ns.ID == name },
		func(ns namespaces.Namespace) bool { return ns.Title == name },
	} {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return all[i], nil
		}
	}
	if isID(name) {
		return namespaces.Namespace{ID: name}, nil
	}
	return namespaces.Namespace{}, notExistError(name)
}

func isID(name string) bool {
	return len(name) == 32 && strings.Trim(name, "0123456789abcdef") == ""
}

func namespacePath(id string) string { return "/" + url.PathEscape(id) }

// notExistError is the error for a namespace that is not there. It matches
// [namespaces.ErrNotExist].
type notExistError string

func (e notExistError) Error() string { return fmt.Sprintf("namespace %q does not exist", string(e)) }

func (e notExistError) Is(target error) bool { return target == namespaces.ErrNotExist }

// named says in an error about a namespace that is not there which one that is.
func named(name string, err error) error {
	switch {
	case !errors.Is(err, namespaces.ErrNotExist):
		return err
	case errors.Is(err, ErrUncertain):
		return fmt.Errorf("%w; %w", notExistError(name), ErrUncertain)
	}
	return notExistError(name)
}
