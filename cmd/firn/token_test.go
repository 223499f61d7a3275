package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
