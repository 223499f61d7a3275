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
			ID         uint64
			Kind       string
			Form       string
			State      string
			Puts, Live struct{ Records, Bytes int64 }
		}
		Compaction struct {
			Jobs    map[string]int64
			Made    map[string]int64
			Victims []uint64
		}
		SpaceAmplification float64 `json:"space_amplification"`
	}](t, f.ok("stats", "--json"))
	if st.Keys != 24_999 || st.Garbage.Overwritten.Records != 5 || st.Garbage.Deleted.Records != 1 ||
		st.Bytes == 0 || st.DiskBytes == 0 || st.SpaceAmplification == 0 || len(st.Segments) == 0 || st.Segments[0].Kind == "" {
		t.Errorf("got %+v", st)
	}
	if st.Compaction.Jobs == nil || st.Compaction.Made == nil || st.Compaction.Victims == nil {
		t.Errorf("null in the JSON: %+v", st.Compaction)
	}
	var live, liveBytes int64
	for _, sg := range st.Segments {
		live += sg.Live.Records
		liveBytes += sg.Live.Bytes
		if sg.Form == "" || sg.State == "" {
			t.Errorf("got %+v", sg)
		}
	}
	if live != st.Keys || liveBytes != st.Bytes {
		t.Errorf("%d keys and %d bytes live in the segments of %+v", live, liveBytes, st)
	}
	table := f.ok("stats")
	for _, want := range []string{"24999 keys", "times the live bytes", "overwritten  5 records", "deleted      1 records"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	if strings.Contains(table, "compact") {
		t.Errorf("compactions of a store that was only opened to be read:\n%s", table)
	}
}

type compactedStore struct {
	Store, Title, ID string
	Before, After    struct {
		Segments  int
		DiskBytes int64 `json:"disk_bytes"`
	}
	Jobs                      map[string]int64
	Kept, Dropped, Tombstones int64
	ReadBytes                 int64 `json:"read_bytes"`
	MadeBytes                 int64 `json:"made_bytes"`
	FreedBytes                int64 `json:"freed_bytes"`
}

func TestCompact(t *testing.T) {
	f := newFirn(t)
	f.ok("kv", "namespace", "create", "other")
	f.ok("kv", "key", "put", "k", "v", "-n", "other")
	for range 10 {
		f.okWith(lines(films()), "kv", "bulk", "put", "-")
	}
	f.ok("kv", "key", "delete", films()[0].Key, films()[24_999].Key)
	want := f.ok("kv", "key", "list")

	reports := decode[[]compactedStore](t, f.ok("compact", "-n", "default", "--json"))
	if len(reports) != 1 {
		t.Fatalf("got %+v", reports)
	}
	r := reports[0]
	if r.Store != "namespace" || r.Title != "default" || r.ID == "" || r.After.DiskBytes >= r.Before.DiskBytes ||
		r.Kept != 24_998 || r.Dropped != 225_002 || r.Tombstones != 2 || r.FreedBytes <= r.MadeBytes || r.MadeBytes == 0 || r.ReadBytes == 0 ||
		len(r.Jobs) == 0 || r.After.Segments == 0 {
		t.Errorf("got %+v", r)
	}
	st := decode[struct {
		Tombstones int64
		Garbage    struct{ Overwritten, Deleted struct{ Records int64 } }
		Segments   []struct{ Form string }
	}](t, f.ok("stats", "--json"))
	if st.Tombstones != 0 || st.Garbage.Overwritten.Records != 0 || st.Garbage.Deleted.Records != 0 {
		t.Errorf("garbage is left: %+v", st)
	}
	if !strings.Contains(f.ok("stats"), "  settled  sealed  24998  ") {
		t.Errorf("not settled:\n%s", f.ok("stats"))
	}
	if got := f.ok("kv", "key", "list"); got != want {
		t.Error("other keys than before")
	}
	f.ok("verify")

	all := strings.Split(strings.TrimSpace(f.ok("compact")), "\n")
	if len(all) != 3 || !strings.HasPrefix(all[0], "registry: ") || !strings.HasPrefix(all[1], "default: ") ||
		!strings.HasPrefix(all[2], "other: ") || !strings.Contains(all[1], "0 records dropped, 0 tombstones dropped") {
		t.Errorf("got %q", all)
	}
	if reports := decode[[]compactedStore](t, f.ok("compact", "--json")); len(reports) != 3 || reports[2].Jobs == nil {
		t.Errorf("got %+v", reports)
	}
	f.ok("verify")
}

// A store that does not exist is not made.
func TestCompactNothing(t *testing.T) {
	f := newFirn(t)
	for _, args := range [][]string{{"compact"}, {"compact", "-n", "default"}} {
		r := f.run(nil, args...)
		if r.status != 0 || r.out != "" || !strings.Contains(r.err, "nothing to compact") {
			t.Errorf("%q: got %+v", args, r)
		}
	}
	if got := f.ok("compact", "--json"); got != "[]\n" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(f.dir); err == nil {
		t.Error("it made a data directory")
	}
	f.ok("kv", "namespace", "create", "sessions")
	f.fails(1, []string{`"session" does not exist`, "sessions"}, "compact", "-n", "session")
	f.ok("compact", "-n", "default")
	if titles := f.ok("kv", "namespace", "list"); strings.Contains(titles, "default") {
		t.Errorf("it made a namespace: %s", titles)
	}
}

func TestCompactSingle(t *testing.T) {
	f := newFirn(t)
	f.okWith(lines(films()[:100]), "kv", "bulk", "put", "-")
	dest := filepath.Join(t.TempDir(), "single")
	f.ok("backup", dest, "-n", "default")
	single := f.at(dest)
	reports := decode[[]compactedStore](t, single.ok("compact", "--json"))
	if len(reports) != 1 || reports[0].Store != "single" || reports[0].Kept != 100 {
		t.Errorf("got %+v", reports)
	}
	if got := names(t, single.ok("kv", "key", "list")); len(got) != 100 {
		t.Errorf("%d keys", len(got))
	}
	single.fails(1, []string{"single store"}, "compact", "-n", "x")
}

// A damaged segment stays as it is, and the other stores are compacted all the
// same.
func TestCompactDamage(t *testing.T) {
	f := newFirn(t)
	f.okWith(lines(films()), "kv", "bulk", "put", "-")
	f.ok("kv", "namespace", "create", "other")
	f.ok("kv", "key", "put", "k", "v", "-n", "other")
	damage(t, f)
	r := f.run(nil, "compact")
	if r.status != 1 || !strings.Contains(r.err, ".seg") || !strings.Contains(r.out, "other: ") {
		t.Errorf("got %+v", r)
	}
	if r := f.run(nil, "verify"); r.status != 1 {
		t.Errorf("the damage is gone: %+v", r)
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
