package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

// TestNamespacePages has servers that give fewer at once than they were asked for, and
// do not all say how many there are.
func TestNamespacePages(t *testing.T) {
	for _, total := range []bool{true, false} {
		asked := 0
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked++
			page, _ := strconv.Atoi(r.FormValue("page"))
			rest := []string{`{"id":"3","title":"c"},{"id":"1","title":"z"}`, `{"id":"2","title":"b"}`, ""}[page-1]
			info := ""
			if total {
				info = `,"result_info":{"total_count":3}`
			}
			fmt.Fprintf(w, `{"success":true,"result":[%s]%s}`, rest, info)
		})
		all, err := c.List(t.Context())
		want := []namespaces.Namespace{{ID: "2", Title: "b"}, {ID: "3", Title: "c"}, {ID: "1", Title: "z"}}
		if err != nil || !reflect.DeepEqual(all, want) || asked != map[bool]int{true: 2, false: 3}[total] {
			t.Errorf("got %v, %v, after %d requests", all, err, asked)
		}
	}
}

func TestNamespacesWithoutEnd(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 200, `[{"id":"1","title":"a"}]`) })
	if _, err := c.List(t.Context()); err == nil {
		t.Error("it ended")
	}
}

func TestOpenByName(t *testing.T) {
	const other = "fedcba9876543210fedcba9876543210"
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == base+"/default" {
			refuse(w, 404, 10013, "namespace not found")
			return
		}
		listed(w, someID, "films", other, someID)
	})
	for name, want := range map[string]string{
		"films": someID, someID: someID, other: other, "11111111111111111111111111111111": "11111111111111111111111111111111", "default": "",
	} {
		n, err := c.Open(t.Context(), name)
		if err != nil || n.id != want {
			t.Errorf("%s: %v, %v", name, n, err)
		}
	}
	if _, err := c.Open(t.Context(), "flims"); !errors.Is(err, namespaces.ErrNotExist) || err.Error() != `namespace "flims" does not exist` {
		t.Errorf("got %v", err)
	}
}

func TestCreateWithoutID(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 200, "{}") })
	if _, err := c.Create(t.Context(), "films"); err == nil || !strings.Contains(err.Error(), "lacks the id") {
		t.Errorf("got %v", err)
	}
}

// TestDefaultMadeTwice has somebody else make the default namespace at the same time.
func TestDefaultMadeTwice(t *testing.T) {
	made := false
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.RequestURI == base+"/default":
			refuse(w, 404, 10013, "namespace not found")
		case r.Method == "POST":
			made = true
			refuse(w, 400, 10014, "a namespace with this account ID and title already exists")
		case r.Method == "GET" && made:
			listed(w, someID, "default")
		case r.Method == "GET":
			listed(w)
		case r.RequestURI == base+"/"+someID+"/values/k":
			answer(w, 200, "{}")
		}
	})
	n, err := c.Open(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.Put(t.Context(), "k", nil, &engine.PutOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// TestDefaultNotShown has servers list no namespace "default", for one reason or
// another.
func TestDefaultNotShown(t *testing.T) {
	for status, absent := range map[int]bool{400: true, 404: true, 401: false, 403: false, 500: false} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.RequestURI {
			case base + "/default":
				refuse(w, status, 1, "the reason")
			default:
				listed(w, someID, "films")
			}
		})
		_, err := c.Open(t.Context(), "default")
		if absent != (err == nil) || err != nil && !strings.Contains(err.Error(), "the reason") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestGoneWhenRetried has a connection break, and the namespace be gone at the next try.
func TestGoneWhenRetried(t *testing.T) {
	remove := func(ctx context.Context, c *Client) error {
		_, err := c.Delete(ctx, "films")
		return err
	}
	rename := func(ctx context.Context, c *Client) error {
		_, err := c.Rename(ctx, "films", "movies")
		return err
	}
	list := func(s *script) func(*http.Request) (*http.Response, error) {
		return s.answersWith(200, `{"success":true,"result":[{"id":"`+someID+`","title":"films"}],"result_info":{"total_count":1}}`)
	}
	for name, test := range map[string]struct {
		do              func(context.Context, *Client) error
		broken          bool
		done, uncertain bool
	}{
		"delete":         {remove, false, false, false},
		"delete, broken": {remove, true, true, false},
		"rename":         {rename, false, false, false},
		"rename, broken": {rename, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{t: t}
				s.answers = append(s.answers, list(s))
				if test.broken {
					s.answers = append(s.answers, s.broken)
				}
				s.answers = append(s.answers, s.answersWith(404, `{"success":false,"errors":[{"code":10013,"message":"namespace not found"}]}`))
				err := test.do(t.Context(), newClient(t, "http://kv", s))
				if test.done != (err == nil) || test.uncertain != errors.Is(err, ErrUncertain) || err != nil && !errors.Is(err, namespaces.ErrNotExist) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
