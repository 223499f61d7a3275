package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTokenCreate(t *testing.T) {
	f := newFirn(t)
	file := filepath.Join(t.TempDir(), "tokens")
	token := f.ok("token", "create", "one", "--tokens", file, "--read", "--namespace", "a", "-n", "b")
	if !strings.HasPrefix(token, "firn_") || len(token) < 30 || strings.Count(token, "\n") != 1 {
		t.Errorf("got %q", token)
	}
	type entry struct {
		Name, SHA256, Token string
		Allow, Namespaces   []string
	}
	all := decode[entry](t, f.ok("token", "create", "two", "--tokens", file, "--write", "--manage", "--json"))
	if !strings.HasPrefix(all.Token, "firn_") || len(all.SHA256) != 64 {
		t.Errorf("got %+v", all)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %s", content)
	}
	first, second := decode[entry](t, lines[0]), decode[entry](t, lines[1])
	if strings.Join(first.Namespaces, " ") != "a b" || strings.Join(first.Allow, " ") != "read" {
		t.Errorf("got %+v", first)
	}
	if strings.Join(second.Namespaces, " ") != "*" || strings.Join(second.Allow, " ") != "write manage" {
		t.Errorf("got %+v", second)
	}
	if strings.Contains(string(content), strings.TrimSpace(token)) || strings.Contains(string(content), all.Token) {
		t.Error("the file has a token")
	}
	f.fails(2, []string{"for all namespaces"}, "token", "create", "three", "--tokens", file, "--manage", "-n", "a")
	f.fails(1, []string{file, "of that name already"}, "token", "create", "one", "--tokens", file, "--read")
}

func TestTokenList(t *testing.T) {
	f := newFirn(t)
	begun := time.Now().Truncate(time.Second)
	file := write(t, fmt.Sprintf("# by hand\n"+`{"name":"a\tb","sha256":"%064x","allow":["read"],"namespaces":["x","y z"]}`+"\n", 1))
	token := strings.TrimSpace(f.ok("token", "create", "one", "--tokens", file, "--read", "--write"))
	table, array := f.ok("token", "list", "--tokens", file), f.ok("token", "list", "--tokens", file, "--json")
	type entry struct {
		Name              string
		Allow, Namespaces []string
		Created           time.Time
	}
	all := decode[[]entry](t, array)
	if len(all) != 2 || all[0].Name != "a\tb" || !all[0].Created.IsZero() || all[1].Name != "one" ||
		all[1].Created.Before(begun) || all[1].Created.After(time.Now()) {
		t.Fatalf("got %s", array)
	}
	if got := fmt.Sprint(all[0].Allow, all[0].Namespaces, all[1].Allow, all[1].Namespaces); got != "[read] [x y z] [read write] [*]" {
		t.Errorf("got %s", got)
	}
	var rows []string
	for line := range strings.Lines(table) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"CREATED ALLOW NAME NAMESPACES",
		`- read "a\tb" x, y z`,
		all[1].Created.Format(time.RFC3339) + " read,write one *",
	}
	if strings.Join(rows, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", table)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		_, hash, _ := strings.Cut(line, `"sha256":"`)
		if hash, _, _ = strings.Cut(hash, `"`); hash != "" && strings.Contains(table+array, hash) || strings.Contains(table+array, token) {
			t.Errorf("secrets are told:\n%s%s", table, array)
		}
	}
	if got := f.ok("token", "list", "--tokens", write(t, "# none\n"), "--json"); got != "[]\n" {
		t.Errorf("got %q", got)
	}
	f.fails(1, []string{"no such file"}, "token", "list", "--tokens", file+"s")
	f.fails(1, []string{"line 1"}, "token", "list", "--tokens", write(t, "nonsense"))
}

// TestTokenDelete has a server refuse a token that is deleted while it runs.
func TestTokenDelete(t *testing.T) {
	f := newFirn(t)
	file := write(t, "# ours\n")
	create := func(name string) string {
		return strings.TrimSpace(f.ok("token", "create", name, "--tokens", file, "--manage"))
	}
	one, two := create("one"), create("two")
	s := f.serve("--metrics", "--tokens", file)
	url := "http://" + s.addr + "/metrics"
	s.want(url, one, 200)
	f.fails(1, []string{`no token of that name: "onne"; did you mean "one"?`}, "token", "delete", "onne", "--tokens", file)
	if r := f.run(nil, "token", "delete", "one", "--tokens", file); r.status != 0 || r.out != "" || !strings.Contains(r.err, `"one" is deleted`) {
		t.Errorf("got %+v", r)
	}
	s.eventually("the token is refused", func() bool {
		status, _ := s.get(url, one)
		return status == 401
	})
	s.want(url, two, 200)
	if got := f.ok("token", "delete", "two", "--tokens", file, "--json"); got != `{"name":"two"}`+"\n" {
		t.Errorf("got %q", got)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "# ours\n" {
		t.Errorf("left is %q, %v", content, err)
	}
	s.eventually("no token is left", func() bool {
		status, _ := s.get(url, two)
		return status == 401
	})
}
