package engine

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// pages follows cursors from the first page on.
func (a *apiTest) pages(opts ListOptions) []*ListPage {
	a.Helper()
	var pages []*ListPage
	for {
		page, err := a.List(a.ctx, opts)
		if err != nil {
			a.Fatal(err)
		}
		pages = append(pages, page)
		if page.Cursor == "" {
			return pages
		}
		if page.Cursor == opts.Cursor {
			a.Fatalf("cursor %q leads to itself", page.Cursor)
		}
		opts.Cursor = page.Cursor
	}
}

// listCase is a store with many segments, and what it has to list.
type listCase struct {
	*apiTest
	want map[string]KeyInfo
}

// fillList puts, overwrites and deletes random keys, so that live, overwritten,
// deleted and expired ones are spread over sealed segments and the live log.
func fillList(t *testing.T, rng *rand.Rand, opts Options) *listCase {
	l := &listCase{openMemory(t, opts), map[string]KeyInfo{}}
	l.round(rng)
	l.clock.set(epoch + 60)
	l.round(rng)
	l.expire()
	return l
}

func (l *listCase) round(rng *rand.Rand) {
	now := l.clock.now().Unix()
	data := incompressible(rng, 100_000)
	for i := range 700 {
		key := randomKey(rng)
		if rng.IntN(4) == 0 {
			l.delete(key)
			delete(l.want, key)
			continue
		}
		info := KeyInfo{Name: key}
		if rng.IntN(3) == 0 {
			info.Metadata = json.RawMessage(fmt.Sprintf(`{"i":%d}`, i))
		}
		if rng.IntN(3) == 0 {
			info.Expiration = now + 60 + rng.Int64N(2)
		}
		n := 600
		if rng.IntN(50) == 0 {
			n = largeFrom
		}
		at := rng.IntN(len(data) - n)
		l.put(key, string(data[at:at+n]), &PutOptions{Metadata: info.Metadata, Expiration: info.Expiration})
		l.want[key] = info
	}
}

func randomKey(rng *rand.Rand) string {
	prefix := []string{"", "a", "a/", "a/b", "b\x00", "ü", "zz"}[rng.IntN(7)]
	return prefix + []string{"k", "\x00", "ÿ"}[rng.IntN(3)] + fmt.Sprint(rng.IntN(30))
}

func (l *listCase) expire() {
	now := l.clock.now().Unix()
	maps.DeleteFunc(l.want, func(_ string, info KeyInfo) bool { return info.Expiration != 0 && info.Expiration <= now })
}

func (l *listCase) check() {
	l.Helper()
	for _, prefix := range []string{"", "a", "a/", "a/b", "b", "b\x00k1", "ü", "\xc3", "zz", "zzz", "none"} {
		var want []string
		for key := range l.want {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		slices.Sort(want)
		for _, limit := range []int{0, 1, 7, 1000} {
			if limit == 1 && len(want) > 30 {
				continue // a page costs a look at each segment
			}
			var got []string
			pages := l.pages(ListOptions{Prefix: prefix, Limit: limit})
			for i, page := range pages {
				if limit != 0 && len(page.Keys) > limit {
					l.Fatalf("page of %d keys, the limit is %d", len(page.Keys), limit)
				}
				if i < len(pages)-1 && limit == 7 && len(page.Keys) == 0 {
					l.Fatalf("page %d is empty, though there are few dead keys", i)
				}
				for _, info := range page.Keys {
					got = append(got, info.Name)
					if w := l.want[info.Name]; string(w.Metadata) != string(info.Metadata) || w.Expiration != info.Expiration ||
						(w.Metadata == nil) != (info.Metadata == nil) {
						l.Fatalf("listed %+v, want %+v", info, w)
					}
				}
			}
			if !slices.Equal(got, want) {
				l.Fatalf("prefix %q, limit %d: listed %d keys, want %d:\n%q\n%q", prefix, limit, len(got), len(want), got, want)
			}
		}
		if got := l.names(prefix); !slices.Equal(got, want) {
			l.Fatalf("prefix %q: Keys gives %q, want %q", prefix, got, want)
		}
	}
}

func TestList(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		rng := newRand(t)
		l := fillList(t, rng, Options{Sync: mode, SegmentBytes: minSegmentBytes})
		l.check()
		states := map[string]int{}
		for _, sg := range l.Stats().Segments {
			states[sg.Kind+" "+sg.State]++
		}
		if len(l.Stats().Segments) < 8 || states["log active"] == 0 || states["value active"] == 0 {
			t.Fatalf("segments: %v", states)
		}
		for range 2 { // the second time with the log loaded late, and no new writes
			l.reopen()
			l.check()
		}
		l.round(rng)
		l.check()
		l.kill()
		if mode != SyncAlways {
			return // the last writes may be gone
		}
		l.check()
		if st := l.Stats(); !slices.ContainsFunc(st.Segments, func(s SegmentStats) bool { return s.State == "sealed" }) {
			t.Fatal("no segment was sealed")
		}
	})
}

func TestListEmpty(t *testing.T) {
	a := openAPI(t, Options{})
	for range 2 {
		page, err := a.List(a.ctx, ListOptions{})
		if err != nil || len(page.Keys) != 0 || page.Cursor != "" {
			t.Fatal(page, err)
		}
		a.put("key", "v", nil)
		a.delete("key")
	}
	a.put("key", "v", nil)
	// A last page that is full has no cursor: an empty page would follow.
	page, err := a.List(a.ctx, ListOptions{Limit: 1})
	if err != nil || len(page.Keys) != 1 || page.Cursor != "" {
		t.Fatal(page, err)
	}
}

// A cursor works in another life of the store, and with it changed.
func TestListCursor(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openMemory(t, Options{Sync: mode})
		for _, key := range []string{"b", "d", "f", "h"} {
			a.put(key, "v", nil)
		}
		page, err := a.List(a.ctx, ListOptions{Limit: 2})
		if err != nil || page.Cursor == "" {
			t.Fatal(page, err)
		}
		cursor := page.Cursor
		rest := func(prefix string) string {
			t.Helper()
			page, err := a.List(a.ctx, ListOptions{Prefix: prefix, Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, k := range page.Keys {
				names = append(names, k.Name)
			}
			return strings.Join(names, " ")
		}
		want := func(want string) {
			t.Helper()
			if got := rest(""); got != want {
				t.Fatalf("behind the cursor are %q, want %q", got, want)
			}
		}
		want("f h")
		a.put("a", "v", nil)
		a.put("c", "v", nil)
		want("f h")
		a.put("d\x00", "v", nil)
		a.put("e", "v", nil)
		a.put("g", "v", nil)
		want("d\x00 e f g h")
		a.delete("d")
		a.delete("g")
		want("d\x00 e f h")
		a.reopen()
		want("d\x00 e f h")
		if got := rest("f"); got != "f" {
			t.Fatalf("with a prefix ahead of the cursor: %q", got)
		}
		if got := rest("c"); got != "" {
			t.Fatalf("with a prefix behind the cursor: %q", got)
		}
	})
}

func TestListCursorRefused(t *testing.T) {
	a := openAPI(t, Options{})
	a.put("key", "v", nil)
	for _, cursor := range []string{"!", "a", "AA==", " ", base64.RawURLEncoding.EncodeToString(make([]byte, 40_000))} {
		if page, err := a.List(a.ctx, ListOptions{Cursor: cursor}); !errors.Is(err, ErrCursor) || page != nil {
			t.Errorf("%s: %v", brief(cursor), err)
		}
	}
}

// However many keys are dead, a page looks at a bounded number of them, and the
// cursors lead to the end.
func TestListDeadKeys(t *testing.T) {
	const n = 50_000
	a := openMemory(t, Options{Sync: SyncNever, SegmentBytes: 1 << 20})
	for i := range n {
		a.put(fmt.Sprintf("key:%06d", i), "v", nil)
	}
	a.put("key:last", "v", nil)
	var b Batch
	for i := range n {
		b.Delete(fmt.Sprintf("key:%06d", i))
		if b.Len() == 10_000 {
			a.write(&b)
			b.Reset()
		}
	}
	check := func() {
		t.Helper()
		pages := a.pages(ListOptions{Prefix: "key:"})
		// A page looks at eight times the limit. Dead keys have two versions,
		// or one if their segment is sealed and has both.
		if least := n / (examineFactor * 1000); len(pages) < least || len(pages) > 2*least+2 {
			t.Errorf("%d pages; %d to %d were expected", len(pages), least, 2*least+2)
		}
		found := 0
		for _, page := range pages {
			found += len(page.Keys)
		}
		if last := pages[len(pages)-1]; found != 1 || len(last.Keys) != 1 || last.Keys[0].Name != "key:last" {
			t.Errorf("%d keys", found)
		}
		if names := a.names("key:"); len(names) != 1 {
			t.Error(names)
		}
	}
	check()
	a.reopen()
	check()
}

// One key with very many versions does not hold up a listing.
func TestListManyVersions(t *testing.T) {
	a := openMemory(t, Options{Sync: SyncNever, SegmentBytes: 1 << 20})
	a.put("a", "v", nil)
	for i := range 50_000 {
		a.put("busy", fmt.Sprint(i), nil)
	}
	a.put("z", "v", nil)
	for range 2 {
		if names := a.names(""); !slices.Equal(names, []string{"a", "busy", "z"}) {
			t.Fatal(names)
		}
		a.reopen()
	}
}

func TestKeysStops(t *testing.T) {
	a := openMemory(t, Options{Sync: SyncNever, Limits: Limits{ListKeys: 10}})
	for i := range 100 {
		a.put(fmt.Sprintf("%03d", i), "v", nil)
	}
	n := 0
	for info, err := range a.Keys(a.ctx, "") {
		if err != nil || info.Name != fmt.Sprintf("%03d", n) {
			t.Fatal(info, err)
		}
		if n++; n == 35 {
			break
		}
	}
	n = 0
	for _, err := range a.Keys(a.ctx, strings.Repeat("p", 600)) {
		if n++; n > 1 || !errors.Is(err, ErrPrefixTooLong) {
			t.Fatal(n, err)
		}
	}
	if n != 1 {
		t.Fatal("no error was given")
	}
}

// Keys that stay are on every listing, whatever is written meanwhile and
// however segments change under it.
func TestListWhileWriting(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openMemory(t, Options{Sync: mode, SegmentBytes: minSegmentBytes})
		var stay []string
		for i := range 300 {
			stay = append(stay, fmt.Sprintf("stay:%03d", i))
			a.put(stay[i], "v", nil)
		}
		// So many rounds that the segments stay few. Listing goes on as long
		// as writing does.
		const rounds = 4000
		var done atomic.Bool
		var group sync.WaitGroup
		value := strings.Repeat("x", 700)
		group.Go(func() {
			defer done.Store(true)
			for i := range rounds {
				// Keys that stay are also overwritten: their place changes.
				if err := a.Put(a.ctx, stay[i*7%300], []byte(value), nil); err != nil {
					t.Error(err)
					return
				}
				if err := a.Put(a.ctx, fmt.Sprintf("stay:%03d:%d", i%300, i%5), []byte(value), nil); err != nil {
					t.Error(err)
					return
				}
				if err := a.Delete(a.ctx, fmt.Sprintf("stay:%03d:%d", (i*3)%300, i%5)); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for !done.Load() {
			var got []string
			last := ""
			for _, page := range a.pages(ListOptions{Prefix: "stay:", Limit: 100}) {
				for _, info := range page.Keys {
					if info.Name <= last {
						t.Fatalf("%q comes after %q", info.Name, last)
					}
					last = info.Name
					if len(info.Name) == len("stay:000") {
						got = append(got, info.Name)
					}
				}
			}
			if !slices.Equal(got, stay) {
				t.Fatalf("%d of the keys that stay were listed, not %d", len(got), len(stay))
			}
		}
		group.Wait()
	})
}

// Without room on the disk, acknowledged keys may not be in a segment yet. A
// listing says so rather than leaving them out.
func TestListOnFullDisk(t *testing.T) {
	disk := vfs.NewMem()
	a := openAPI(t, Options{Sync: SyncNever, fs: disk})
	a.put("before", "v", nil)
	a.names("")
	disk.SetCapacity(0)
	value := strings.Repeat("x", 16<<10)
	acknowledged := map[string]bool{"before": true}
	for i := range 1000 {
		key := fmt.Sprint("key", i)
		if err := a.Put(a.ctx, key, incompressible(rand.New(rand.NewPCG(uint64(i), 0)), len(value)), nil); err != nil {
			if !errors.Is(err, ErrNoSpace) {
				t.Fatal(err)
			}
			break
		}
		acknowledged[key] = true
	}
	page, err := a.List(a.ctx, ListOptions{})
	if err == nil && len(page.Keys) != len(acknowledged) {
		t.Fatalf("%d of %d acknowledged keys are listed, without an error", len(page.Keys), len(acknowledged))
	}
	if err != nil && !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	disk.SetCapacity(-1)
	if got := a.names(""); len(got) != len(acknowledged) {
		t.Fatalf("%d of %d acknowledged keys are listed", len(got), len(acknowledged))
	}
}
