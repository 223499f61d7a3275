package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStats(t *testing.T) {
	f := newFirn(t)
	f.okWith(lines(films()), "kv", "bulk", "put", "-")
	f.okWith(lines(films()[:5]), "kv", "bulk", "put", "-")
	f.ok("kv", "key", "delete", films()[7].Key)
	st := decode[struct {
		Keys      int64
		Bytes     int64
		DiskBytes int64 `json:"disk_bytes"`
		Garbage   struct {
			Overwritten, Deleted, Expired struct{ Records, Bytes int64 }
		}
		Segments []struct {
			ID    uint64
			Kind  string
			State string
		}
		SpaceAmplification float64 `json:"space_amplification"`
	}](t, f.ok("stats", "--json"))
	if st.Keys != 24_999 || st.Garbage.Overwritten.Records != 5 || st.Garbage.Deleted.Records != 1 ||
		st.Bytes == 0 || st.DiskBytes == 0 || st.SpaceAmplification == 0 || len(st.Segments) == 0 || st.Segments[0].Kind == "" {
		t.Errorf("got %+v", st)
	}
	table := f.ok("stats")
	for _, want := range []string{"24999 keys", "times the live bytes", "overwritten  5 records", "deleted      1 records"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
}

func TestVerify(t *testing.T) {
	f := newFirn(t)
	f.ok("kv", "namespace", "create", "good")
	f.okWith(lines(films()), "kv", "bulk", "put", "-")
	if out := f.ok("verify"); out != "" {
		t.Errorf("damage in a good store: %s", out)
	}
	reports := decode[[]struct {
		Store, Title    string
		Records, Frames int64
		Damage          []any
	}](t, f.ok("verify", "--json"))
	if len(reports) != 3 || reports[0].Store != "registry" || reports[1].Title != "default" || reports[1].Records != 25_000 {
		t.Errorf("got %+v", reports)
	}

	damage(t, f)
	r := f.run(nil, "verify")
	if r.status != 1 || !strings.HasPrefix(r.out, "default: 0") || !strings.Contains(r.err, "damaged places found") {
		t.Errorf("got %+v", r)
	}
	r = f.run(nil, "verify", "--json")
	if r.status != 1 || !strings.Contains(r.out, `"reason":`) {
		t.Errorf("got %+v", r)
	}
	f.ok("verify", "-n", "good")
}

// damage flips a bit in the middle of the longest file.
func damage(t *testing.T, f firn) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(f.dir, "namespaces", "*", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	var path string
	var content []byte
	for _, name := range segments {
		other, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(other) > len(content) {
			path, content = name, other
		}
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
