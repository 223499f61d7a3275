package main_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/firnkv/firn/engine"
)

func TestNamespaces(t *testing.T) { onBoth(t, testNamespaces) }

func testNamespaces(t *testing.T, f firn) {
	f.fails(1, []string{`namespace "films" does not exist`, "firn kv namespace create"}, "kv", "key", "put", "-n", "films", "k", "v")
	id := strings.TrimSpace(f.ok("kv", "namespace", "create", "films"))
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) {
		t.Errorf("id %q", id)
	}
	f.fails(1, []string{"title is in use"}, "kv", "namespace", "create", "films")
	f.ok("kv", "key", "put", "-n", "films", "k", "in films")
	f.ok("kv", "key", "put", "k", "in default")
	if got := f.ok("kv", "key", "get", "k", "--namespace", id); got != "in films" {
		t.Errorf("by id: %q", got)
	}
	if got := f.ok("kv", "key", "get", "k"); got != "in default" {
		t.Errorf("default: %q", got)
	}
	for _, args := range [][]string{{"kv", "key", "list"}, {"kv", "key", "get", "k"}, {"stats"}, {"verify"}} {
		if f.url != "" && args[0] != "kv" {
			continue
		}
		f.fails(1, []string{`"flims" does not exist; did you mean "films"?`}, append(args, "-n", "flims")...)
	}

	list := decode[[]map[string]string](t, f.ok("kv", "namespace", "list", "--json"))
	if len(list) != 2 || list[0]["title"] != "default" || list[1]["title"] != "films" || list[1]["id"] != id || (list[1]["created"] == "") != (f.url != "") {
		t.Errorf("list: %v", list)
	}
	f.ok("kv", "namespace", "rename", "films", "movies\x07")
	created := "20" // and so on
	if f.url != "" {
		created = "-"
	}
	if table := f.ok("kv", "namespace", "list"); !strings.Contains(table, id+"  "+created) || !strings.Contains(table, `  "movies\a"`) {
		t.Errorf("list:\n%s", table)
	}
	f.ok("kv", "namespace", "delete", id, "--yes")
	f.fails(1, []string{"does not exist"}, "kv", "namespace", "delete", id, "--yes")
	f.fails(1, []string{"does not exist"}, "kv", "key", "get", "k", "-n", id)
}

// TestEmbeddedStore works on a store that another program has made.
func TestEmbeddedStore(t *testing.T) {
	f := newFirn(t)
	dir := filepath.Join(t.TempDir(), "store")
	store, err := engine.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), "k", []byte("v"), nil); err != nil {
		t.Fatal(err)
	}
	f.fails(1, []string{"the store is in use", dir}, "--dir", dir, "kv", "key", "get", "k")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if got := f.ok("--dir", dir, "kv", "key", "get", "k"); got != "v" {
		t.Errorf("got %q", got)
	}
	f.ok("--dir", dir, "kv", "key", "put", "k", "w")
	f.ok("--dir", dir, "stats")
	f.ok("--dir", dir, "verify")
	f.fails(1, []string{"single store"}, "--dir", dir, "kv", "namespace", "create", "films")
}
