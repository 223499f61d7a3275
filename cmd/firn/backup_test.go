package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copiedStore is what backup and restore report on a store.
type copiedStore struct {
	Store, Title, ID, Path string
	Linked, Copied, Kept   int64
	CopiedBytes            int64 `json:"copied_bytes"`
	Bytes                  int64
}

// at is the same binary on another data directory.
func (f firn) at(dir string) firn { return firn{t: f.t, dir: dir} }

func TestBackupAndRestore(t *testing.T) {
	f := newFirn(t)
	f.okWith(lines(films()[:2000]), "kv", "bulk", "put", "-")
	f.ok("kv", "namespace", "create", "other")
	f.ok("kv", "key", "put", "k", "v", "-n", "other")
	large := strings.Repeat("large value ", 100_000)
	f.ok("kv", "key", "put", "large", "--path", write(t, large))
	before := f.ok("kv", "key", "list")

	dest := filepath.Join(t.TempDir(), "deep", "backup")
	reports := decode[[]copiedStore](t, f.ok("backup", dest, "--json"))
	if len(reports) != 3 || reports[0].Title != "default" || reports[1].Title != "other" || reports[2].Store != "registry" ||
		reports[0].Bytes == 0 || reports[0].Path != filepath.Join("namespaces", reports[0].ID) {
		t.Errorf("got %+v", reports)
	}
	f.ok("kv", "key", "put", "late", "v")
	f.ok("kv", "key", "delete", films()[0].Key)
	backup := f.at(dest)
	if got := backup.ok("kv", "key", "list"); got != before {
		t.Error("the backup differs")
	}
	again := decode[[]copiedStore](t, f.ok("backup", dest, "--json"))
	if len(again) != 3 || again[1].Kept != again[1].Kept+again[1].Copied || again[2].CopiedBytes != 0 {
		t.Errorf("again: %+v", again)
	}
	if out := f.ok("backup", dest); !strings.Contains(out, "default: ") || !strings.Contains(out, "registry: ") {
		t.Errorf("got %q", out)
	}

	restored := f.at(filepath.Join(t.TempDir(), "restored"))
	if out := restored.ok("restore", dest); !strings.Contains(out, "default: ") {
		t.Errorf("got %q", out)
	}
	if got := restored.ok("kv", "key", "get", "large"); got != large {
		t.Errorf("got %d bytes", len(got))
	}
	if got := f.ok("kv", "key", "list"); got != restored.ok("kv", "key", "list") {
		t.Error("what was restored differs")
	}
	// The three go their own ways.
	restored.ok("kv", "key", "put", "restored", "v", "-n", "other")
	f.ok("kv", "key", "put", "original", "v", "-n", "other")
	for _, each := range []struct {
		firn
		want string
	}{{f, "k original"}, {backup, "k"}, {restored, "k restored"}} {
		if got := names(t, each.ok("kv", "key", "list", "-n", "other")); strings.Join(got, " ") != each.want {
			t.Errorf("%s: %q, want %q", each.dir, got, each.want)
		}
		each.ok("verify")
	}
	restored.fails(1, []string{"not empty"}, "restore", dest)
	restored.ok("backup", dest) // it goes on from there
	backup.ok("kv", "key", "put", "k", "v", "-n", "other")
	if r := f.run(nil, "backup", dest); r.status != 1 || !strings.Contains(r.err, "store of its own") {
		t.Errorf("got %+v", r)
	}
	if got := backup.ok("kv", "key", "get", "k", "-n", "other"); got != "v" {
		t.Errorf("got %q", got)
	}
}

// Namespaces that are gone leave the backup, and renamed ones keep their store.
func TestBackupFollowsNamespaces(t *testing.T) {
	f := newFirn(t)
	for _, title := range []string{"a", "b", "c"} {
		f.ok("kv", "namespace", "create", title)
		f.ok("kv", "key", "put", "k", title, "-n", title)
	}
	dest := filepath.Join(t.TempDir(), "backup")
	f.ok("backup", dest)
	f.ok("kv", "namespace", "delete", "b", "--yes")
	f.ok("kv", "namespace", "rename", "c", "d")
	f.ok("backup", dest)
	backup := f.at(dest)
	if got := backup.ok("kv", "key", "get", "k", "-n", "d"); got != "c" {
		t.Errorf("got %q", got)
	}
	stores, err := os.ReadDir(filepath.Join(dest, "namespaces"))
	if err != nil || len(stores) != 2 {
		t.Errorf("%d stores, %v", len(stores), err)
	}
	backup.fails(1, []string{"does not exist"}, "kv", "key", "get", "k", "-n", "b")
}

func TestBackupOfOneNamespace(t *testing.T) {
	f := newFirn(t)
	f.ok("kv", "namespace", "create", "sessions")
	f.ok("kv", "key", "put", "k", "v", "-n", "sessions")
	dest := filepath.Join(t.TempDir(), "backup")
	f.ok("backup", dest, "-n", "sessions")
	single := f.at(dest)
	if got := single.ok("kv", "key", "get", "k"); got != "v" {
		t.Errorf("got %q", got)
	}
	f.fails(1, []string{"has a file"}, "backup", dest) // not the place of all
	restored := f.at(filepath.Join(t.TempDir(), "restored"))
	reports := decode[[]copiedStore](t, restored.ok("restore", dest, "--json"))
	if len(reports) != 1 || reports[0].Store != "single" || reports[0].Path != "." {
		t.Errorf("got %+v", reports)
	}
	restored.ok("kv", "key", "put", "k2", "v2")
	if got := names(t, single.ok("kv", "key", "list")); len(got) != 1 {
		t.Errorf("got %q", got)
	}
	f.fails(1, []string{`"session" does not exist`, "sessions"}, "backup", dest, "-n", "session")
}

func TestRestoreRefusesDamage(t *testing.T) {
	f := newFirn(t)
	f.okWith(lines(films()[:2000]), "kv", "bulk", "put", "-")
	dest := filepath.Join(t.TempDir(), "backup")
	f.ok("backup", dest)
	damage(t, f.at(dest))
	target := f.at(filepath.Join(t.TempDir(), "restored"))
	r := target.run(nil, "restore", dest)
	if r.status != 1 || !strings.HasPrefix(r.out, "default: 0") || !strings.Contains(r.err, "nothing was restored") {
		t.Errorf("got %+v", r)
	}
	r = target.run(nil, "restore", dest, "--json")
	if r.status != 1 || !strings.Contains(r.out, `"reason":`) {
		t.Errorf("got %+v", r)
	}
	if _, err := os.Stat(target.dir); err == nil {
		t.Error("it made the data directory")
	}
}

func TestBackupRefusals(t *testing.T) {
	f := newFirn(t)
	dest := filepath.Join(t.TempDir(), "backup")
	f.fails(1, []string{"nothing to back up"}, "backup", dest)
	f.fails(1, []string{"no backup in"}, "restore", dest)
	f.fails(2, []string{"DEST is empty"}, "backup", "")
	f.ok("kv", "key", "put", "k", "v")
	f.fails(1, []string{"in the data directory"}, "backup", f.dir)
	f.fails(1, []string{"in the data directory"}, "backup", filepath.Join(f.dir, "namespaces", "backup"))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(f.dir, link); err == nil {
		f.fails(1, []string{"in the data directory"}, "backup", filepath.Join(link, "backup"))
	}
	f.fails(1, []string{"has a file file"}, "backup", filepath.Dir(write(t, "mine")))
	if got := files(t, dest); len(got) != 0 {
		t.Errorf("there is %q", got)
	}
	other := f.at(filepath.Join(t.TempDir(), "other"))
	other.ok("kv", "key", "put", "k", "other")
	f.ok("backup", dest)
	f.fails(1, []string{`"none" does not exist`}, "restore", dest, "--dir", filepath.Join(t.TempDir(), "x"), "-n", "none")
	if r := other.run(nil, "backup", dest); r.status != 1 || !strings.Contains(r.err, "another store") {
		t.Errorf("got %+v", r)
	}
	if got := f.at(dest).ok("kv", "key", "get", "k"); got != "v" {
		t.Errorf("got %q", got)
	}
}

// files lists the files below a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
