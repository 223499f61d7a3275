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

func TestDelete(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	secrets := map[string]string{}
	for _, name := range []string{"one", "two", "three"} {
		var err error
		secrets[name], err = auth.Append(path, &auth.Entry{Name: name, Allow: []string{auth.Read}, Namespaces: []string{"*"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(content), "\n")
	second := line("two", "another of that name", `"read"`, `"*"`)
	write(t, path, "# one\n", lines[0], "\n  # two\n", lines[1], second, strings.TrimSpace(lines[2]))
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	k, err := auth.New(auth.Config{File: path, Title: titles, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	through := path
	if os.Symlink(path, link) == nil { // not everybody may, on Windows
		through = link
	}
	if err := auth.Delete(through, "two"); err != nil {
		t.Fatal(err)
	}
	k.Reload()
	for name, want := range map[string]string{"one": "rR", "two": "unknown", "three": "rR"} {
		if got := can(k, secrets[name]); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	want := "# one\n" + lines[0] + "\n  # two\n" + strings.TrimSpace(lines[2])
	if left, _ := os.ReadFile(path); string(left) != want {
		t.Errorf("left is\n%s", left)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v", info, err)
	}
	if through == link {
		if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
			t.Errorf("the link is now %v, %v", info, err)
		}
	}
	if err := auth.Delete(path, "two"); !errors.Is(err, auth.ErrNoName) {
		t.Errorf("got %v", err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("there are %v", files)
	}
}

// TestDeleteRefused has files that a server would not take in after a change.
func TestDeleteRefused(t *testing.T) {
	one, two := line("one", "1", `"read"`, `"*"`), line("two", "2", `"read"`, `"*"`)
	for content, want := range map[string]string{
		one + two + "{": "line 3: ",
		one + two + line("", "3", `"read"`, `"*"`): "line 3: a token needs a name",
		two + one + two: "line 3: ",
		two:             auth.ErrNoName.Error(),
		"":              auth.ErrNoName.Error(),
	} {
		path := filepath.Join(t.TempDir(), "tokens")
		write(t, path, content)
		if err := auth.Delete(path, "one"); err == nil || !strings.Contains(err.Error(), path+": "+want) {
			t.Errorf("%s: got %v, want %q", content, err, want)
		}
		if left, _ := os.ReadFile(path); string(left) != content {
			t.Errorf("%s: left is %s", content, left)
		}
	}
	if err := auth.Delete("/does/not/exist", "one"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	// Of two tokens with the same hash, one can be deleted.
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, one, line("again", "1", `"read"`, `"*"`))
	if err := auth.Delete(path, "again"); err != nil {
		t.Error(err)
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
