package reload

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type fixture struct {
	*Files[string]
	a, b string // paths
	log  bytes.Buffer

	last    string // value
	changes int
}

// newFixture makes two files whose value is their contents, joined. Content
// "bad" is refused.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{last: "1+2", a: filepath.Join(t.TempDir(), "a"), b: filepath.Join(t.TempDir(), "b")}
	write(t, f.a, "1")
	write(t, f.b, "2")
	files, err := New(slog.New(slog.NewTextHandler(&f.log, nil)), join, f.a, f.b)
	if err != nil {
		t.Fatal(err)
	}
	f.Files = files
	return f
}

func join(contents [][]byte) (string, error) {
	s := string(bytes.Join(contents, []byte("+")))
	if strings.Contains(s, "bad") {
		return "", errors.New("it is bad")
	}
	return s, nil
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) want(t *testing.T, value string, troubles int) {
	t.Helper()
	if f.last != value {
		f.last = value
		f.changes++
	}
	if got := f.Get(); got != value {
		t.Errorf("got %q, want %q", got, value)
	}
	if got := strings.Count(f.log.String(), "level=ERROR"); got != troubles {
		t.Errorf("%d troubles are logged, want %d:\n%s", got, troubles, &f.log)
	}
	if got := strings.Count(f.log.String(), "level=INFO"); got != f.changes {
		t.Errorf("%d changes are logged, want %d:\n%s", got, f.changes, &f.log)
	}
}

func TestChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.want(t, "1+2", 0)
		write(t, f.a, "3") // as long as before, and perhaps at the same time
		f.want(t, "1+2", 0)
		time.Sleep(every)
		f.want(t, "3+2", 0)
		write(t, f.b, "4")
		f.Reload()
		f.want(t, "3+4", 0)
	})
}

func TestTrouble(t *testing.T) {
	f := newFixture(t)
	look := func() { f.Reload(); f.Reload() }
	write(t, f.a, "bad")
	look()
	f.want(t, "1+2", 1)
	write(t, f.a, "5")
	look()
	f.want(t, "5+2", 1)
	os.Remove(f.b)
	look()
	f.want(t, "5+2", 2)
	write(t, f.b, "2")
	look()
	f.want(t, "5+2", 2)
	write(t, f.b, strings.Repeat("x", maxBytes+1))
	look()
	f.want(t, "5+2", 3)
}

// TestTroubleAgain has bad content, then no file, then the same bad content.
func TestTroubleAgain(t *testing.T) {
	f := newFixture(t)
	write(t, f.a, "bad")
	f.Reload()
	os.Remove(f.a)
	f.Reload()
	write(t, f.a, "bad")
	f.Reload()
	f.want(t, "1+2", 3)
}

func TestNew(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := New(slog.Default(), join, missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	bad := filepath.Join(t.TempDir(), "file")
	write(t, bad, "bad")
	if _, err := New(slog.Default(), join, bad); err == nil || !strings.Contains(err.Error(), bad+": it is bad") {
		t.Errorf("got %v", err)
	}
}

func TestConcurrent(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if got := f.Get(); got != "1+2" && got != "9+2" {
					t.Errorf("got %q", got)
				}
				f.Reload()
			}
		})
	}
	write(t, f.a+".new", "9")
	if err := os.Rename(f.a+".new", f.a); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	f.want(t, "9+2", 0)
}
