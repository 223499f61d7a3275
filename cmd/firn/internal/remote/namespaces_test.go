package remote

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"

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
