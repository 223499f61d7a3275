package auth_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/firnkv/firn/cmd/firn/internal/auth"
)

const (
	idA = "0123456789abcdef0123456789abcdef"
	idB = "ffffffffffffffffffffffffffffffff"
)

// titles are those of the namespaces in these tests.
func titles(id string) (string, bool) {
	title, ok := map[string]string{idA: "a", idB: "b"}[id]
	return title, ok
}

func line(name, secret, allow, namespaces string) string {
	sum := sha256.Sum256([]byte(secret))
	return fmt.Sprintf(`{"name":%q,"sha256":%q,"allow":[%s],"namespaces":[%s]}`+"\n",
		name, hex.EncodeToString(sum[:]), allow, namespaces)
}

func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func keyring(t *testing.T, c auth.Config, lines ...string) *auth.Keyring {
	t.Helper()
	c.File = filepath.Join(t.TempDir(), "tokens")
	write(t, c.File, lines...)
	c.Title, c.Log = titles, slog.New(slog.DiscardHandler)
	k, err := auth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// can says in letters what a token may do: r, w in namespace a, R, W in
// namespace b, and m.
func can(k *auth.Keyring, secret string) string {
	g, ok := k.Authorize(secret)
	if !ok {
		return "unknown"
	}
	s := ""
	for _, c := range []struct {
		can    bool
		letter string
	}{{g.Read(idA), "r"}, {g.Write(idA), "w"}, {g.Read(idB), "R"}, {g.Write(idB), "W"}, {g.Manage(), "m"}} {
		if c.can {
			s += c.letter
		}
	}
	return s
}

func TestScopes(t *testing.T) {
	k := keyring(t, auth.Config{Secret: "env"},
		"# a comment\n", "\n",
		line("all", "s1", `"read","write","manage"`, `"*"`),
		line("one reader", "s2", `"read"`, `"`+idA+`"`),
		line("titles", "s3", `"write","read"`, `"b","nowhere"`),
		line("both", "s4", `"write"`, `"a","`+idB+`"`),
		line("manager", "s5", `"manage"`, `"*"`),
		line("not an id", "s6", `"read"`, `"`+strings.ToUpper(idB)+`"`),
		strings.TrimSuffix(line("no newline", "s7", `"read"`, `"*"`), "\n"))
	for secret, want := range map[string]string{
		"s1": "rwRWm", "s2": "r", "s3": "RW", "s4": "wW", "s5": "m", "s6": "", "s7": "rR", "env": "rwRWm",
		"": "unknown", "S1": "unknown", "s1 ": "unknown", "# a comment": "unknown",
	} {
		if got := can(k, secret); got != want {
			t.Errorf("%q: %q, want %q", secret, got, want)
		}
	}
	if g, _ := k.Authorize("s3"); g.Name() != "titles" {
		t.Errorf("name %q", g.Name())
	}
	if g, _ := k.Authorize("s3"); !g.Write("nowhere") || g.Write("a") {
		t.Error("a namespace that does not exist yet is not known by its title")
	}
	if (auth.Grant{}).Read(idA) || (auth.Grant{}).Manage() {
		t.Error("no grant allows something")
	}
}

func TestOpenAndEmpty(t *testing.T) {
	if got := can(auth.Open(), ""); got != "rwRWm" || !auth.Open().Open() {
		t.Errorf("open: %q", got)
	}
	for _, k := range []*auth.Keyring{{}, keyring(t, auth.Config{})} {
		if k.Open() || can(k, "") != "unknown" {
			t.Error("a keyring without tokens lets somebody in")
		}
	}
}

func TestBadFiles(t *testing.T) {
	good := line("a", "s", `"read"`, `"*"`)
	for want, content := range map[string]string{
		"line 2: ":                good + "{",
		"unknown field":           strings.Replace(good, "allow", "alow", 1),
		"something follows":       strings.TrimSpace(good) + good,
		"needs a name":            line("", "s", `"read"`, `"*"`),
		"64 hexadecimal digits":   `{"name":"a","sha256":"00","allow":["read"],"namespaces":["*"]}`,
		`allow "reed"`:            line("a", "s", `"reed"`, `"*"`),
		"allows nothing":          line("a", "s", ``, `"*"`),
		"for no namespace":        line("a", "s", `"read"`, ``),
		"is empty":                line("a", "s", `"read"`, `""`),
		"for all namespaces only": line("a", "s", `"manage"`, `"x"`),
		"that of an empty token":  line("a", "", `"read"`, `"*"`),
		"have the same hash":      good + line("b", "s", `"read"`, `"*"`),
	} {
		path := filepath.Join(t.TempDir(), "tokens")
		write(t, path, content)
		_, err := auth.New(auth.Config{File: path, Log: slog.Default()})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q", content, err, want)
		}
	}
	if _, err := auth.New(auth.Config{File: "/does/not/exist"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestRotation replaces a token by another while both are asked for.
func TestRotation(t *testing.T) {
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "tokens")
	before, after := line("old", "s1", `"read"`, `"*"`), line("new", "s2", `"read"`, `"*"`)
	write(t, path, before)
	k, err := auth.New(auth.Config{File: path, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	want := func(one, two string) {
		t.Helper()
		k.Reload()
		if can(k, "s1") != one || can(k, "s2") != two {
			t.Errorf("got %q and %q, want %q and %q", can(k, "s1"), can(k, "s2"), one, two)
		}
	}
	want("rR", "unknown")
	write(t, path, before, after)
	want("rR", "rR")
	write(t, path, after)
	want("unknown", "rR")
	write(t, path, after, "nonsense")
	want("unknown", "rR")
	os.Remove(path)
	want("unknown", "rR")
	write(t, path)
	want("unknown", "unknown")
	if strings.Contains(log.String(), "s1") || strings.Count(log.String(), "level=ERROR") != 2 {
		t.Errorf("log:\n%s", &log)
	}
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	first, err := auth.Append(path, &auth.Entry{Name: "one", Allow: []string{auth.Read}, Namespaces: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
	content, _ := os.ReadFile(path)
	if bytes.Contains(content, []byte(first)) {
		t.Error("the file holds the token")
	}
	write(t, path, strings.TrimSpace(string(content))) // as an editor might leave it
	second, err := auth.Append(path, &auth.Entry{Name: "two", Allow: []string{auth.Write}, Namespaces: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	k, err := auth.New(auth.Config{File: path, Title: titles, Log: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	if can(k, first) != "r" || can(k, second) != "wW" {
		t.Errorf("got %q and %q", can(k, first), can(k, second))
	}
	content, _ = os.ReadFile(path)
	for _, e := range []auth.Entry{
		{Name: "one", Allow: []string{auth.Read}, Namespaces: []string{"*"}}, // the name is taken
		{Name: "three", Allow: []string{auth.Manage}, Namespaces: []string{"a"}},
	} {
		if secret, err := auth.Append(path, &e); err == nil || secret != "" {
			t.Errorf("%v: %q, %v", e, secret, err)
		}
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(again, content) {
		t.Errorf("a refused entry was written:\n%s", again)
	}
	write(t, path, "[section]\nkey = 1\n")
	if _, err := auth.Append(path, &auth.Entry{Name: "x", Allow: []string{auth.Read}, Namespaces: []string{"*"}}); err == nil {
		t.Error("appended to something else than a file of tokens")
	}
}

func TestConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	secret, err := auth.Append(path, &auth.Entry{Name: "0", Allow: []string{auth.Read}, Namespaces: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	k, err := auth.New(auth.Config{File: path, Title: titles, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				if got := can(k, secret); got != "r" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	for i := range 50 {
		if _, err := auth.Append(path, &auth.Entry{Name: fmt.Sprint(i + 1), Allow: []string{auth.Read}, Namespaces: []string{"*"}}); err != nil {
			t.Error(err)
		}
		k.Reload()
	}
	wg.Wait()
}

func BenchmarkAuthorize(b *testing.B) {
	path := filepath.Join(b.TempDir(), "tokens")
	secret, err := auth.Append(path, &auth.Entry{Name: "0", Allow: []string{auth.Read}, Namespaces: []string{"*"}})
	if err != nil {
		b.Fatal(err)
	}
	k, err := auth.New(auth.Config{File: path, Log: slog.Default()})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if g, ok := k.Authorize(secret); !ok || !g.Read(idA) {
			b.Fatal("refused")
		}
	}
}
