package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// salvagedStore is what salvage reports on a store.
type salvagedStore struct {
	Store, Title, ID, Path string
	Pairs, Bytes, Expired  int64
	Lost                   []struct{ Key, File, Reason string }
	Damage                 []struct {
		File, Reason   string
		Offset, Length int64
	}
	Unknown bool
}

func TestSalvage(t *testing.T) {
	f := newFirn(t)
	f.okWith(lines(films()[:500]), "kv", "bulk", "put", "-")
	f.ok("kv", "namespace", "create", "other")
	f.ok("kv", "key", "put", "k", "v", "-n", "other")
	f.ok("compact")
	want := f.ok("kv", "key", "list")

	// Of what is not damaged, all is copied.
	whole := f.at(filepath.Join(t.TempDir(), "whole"))
	reports := decode[[]salvagedStore](t, f.ok("salvage", whole.dir, "--json"))
	if len(reports) != 3 || reports[0].Store != "registry" || reports[0].Pairs != 4 {
		t.Errorf("got %+v", reports)
	}
	if got := whole.ok("kv", "key", "list"); got != want {
		t.Error("what was salvaged differs")
	}
	whole.ok("verify")
	f.fails(1, []string{"not empty"}, "salvage", whole.dir)

	// One flipped bit in the frames of the films, and no registry.
	id := ""
	for _, ns := range reports {
		if ns.Pairs == 500 {
			id = ns.ID
		}
	}
	segments, err := filepath.Glob(filepath.Join(f.dir, "namespaces", id, "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	damaged := ""
	for _, path := range segments {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) < 20_000 || len(strings.TrimRight(string(b[:15_000]), "\x00")) < 15_000 {
			continue
		}
		b[15_000-8] ^= 4
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		damaged = filepath.Base(path)
	}
	if err := os.RemoveAll(filepath.Join(f.dir, "registry")); err != nil {
		t.Fatal(err)
	}
	dest := f.at(filepath.Join(t.TempDir(), "rescued"))
	r := f.run(nil, "salvage", dest.dir, "--json")
	reports = decode[[]salvagedStore](t, r.out)
	if r.status != 1 || len(reports) != 2 || !strings.Contains(r.err, "is lost: it has its id for one") {
		t.Fatalf("status %d, %s", r.status, r.err)
	}
	for _, s := range reports {
		if s.ID != id {
			continue
		}
		if s.Pairs != 500-int64(len(s.Lost)) || len(s.Lost) == 0 || len(s.Damage) != 1 || s.Damage[0].File != damaged || s.Damage[0].Length == 0 {
			t.Errorf("got %+v", s)
		}
		if got := names(t, dest.ok("kv", "key", "list", "-n", id)); int64(len(got)) != s.Pairs {
			t.Errorf("%d keys, %d pairs reported", len(got), s.Pairs)
		}
	}
	dest.ok("verify")

	// By itself, and in words.
	single := f.at(filepath.Join(t.TempDir(), "single"))
	r = f.run(nil, "salvage", single.dir, "-n", id)
	if r.status != 1 || !strings.Contains(r.out, damaged+": ") || !strings.Contains(r.out, ": lost: ") || !strings.Contains(r.err, "known to be lost") {
		t.Errorf("got %+v", r)
	}
	single.ok("verify")
	f.fails(1, []string{"nothing to salvage"}, "salvage", filepath.Join(t.TempDir(), "d"), "--dir", t.TempDir())
}
