package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/index"
)

// epoch is where the clocks of these tests start.
const epoch = 1_900_000_000

// setClock is a clock that stands still until it is set.
type setClock struct{ second atomic.Int64 }

func newSetClock() *setClock {
	c := &setClock{}
	c.second.Store(epoch)
	return c
}

func (c *setClock) now() time.Time   { return time.Unix(c.second.Load(), 999_999_999) }
func (c *setClock) set(second int64) { c.second.Store(second) }

// quiet drops what a store logs: many tests make it complain.
var quiet = slog.New(slog.DiscardHandler)

// apiTest is a store that a test closes and opens again.
type apiTest struct {
	testing.TB
	*Store
	path  string
	opts  Options
	clock *setClock
	ctx   context.Context
}

// openAPI opens a store on real files with a clock of its own.
func openAPI(t testing.TB, opts Options) *apiTest {
	t.Helper()
	return openAPIAt(t, t.TempDir(), opts)
}

func openAPIAt(t testing.TB, dir string, opts Options) *apiTest {
	t.Helper()
	a := &apiTest{TB: t, path: dir, opts: opts, clock: newSetClock(), ctx: context.Background()}
	a.opts.Clock, a.opts.Logger = a.clock.now, quiet
	a.open()
	t.Cleanup(func() { _ = a.Store.Close() })
	return a
}

// openMemory opens a store on a disk in memory, where syncs cost nothing.
func openMemory(t testing.TB, opts Options) *apiTest {
	t.Helper()
	opts.fs = vfs.NewMem()
	return openAPI(t, opts)
}

func (a *apiTest) open() {
	a.Helper()
	s, err := Open(a.path, &a.opts)
	if err != nil {
		a.Fatal(err)
	}
	a.Store = s
}

func (a *apiTest) reopen() {
	a.Helper()
	a.close()
	a.open()
}

func (a *apiTest) close() {
	a.Helper()
	if err := a.Store.Close(); err != nil {
		a.Fatal(err)
	}
}

// kill opens what a kill of the process would leave on a disk in memory.
func (a *apiTest) kill() {
	a.Helper()
	disk := a.opts.fs.(*vfs.Mem).Kill()
	a.close()
	a.opts.fs = disk
	a.open()
}

func (a *apiTest) put(key, value string, opts *PutOptions) {
	a.Helper()
	if err := a.Put(a.ctx, key, []byte(value), opts); err != nil {
		a.Fatalf("put %q: %v", key, err)
	}
}

func (a *apiTest) delete(key string) {
	a.Helper()
	if err := a.Delete(a.ctx, key); err != nil {
		a.Fatalf("delete %q: %v", key, err)
	}
}

func (a *apiTest) write(b *Batch) {
	a.Helper()
	if err := a.Write(a.ctx, b); err != nil {
		a.Fatal(err)
	}
}

// wantValue checks all ways to read a value.
func (a *apiTest) wantValue(key, want string) {
	a.Helper()
	got, err := a.Get(a.ctx, key)
	if err != nil || string(got) != want || got == nil {
		a.Fatalf("get %q: %s, %v; want %s", key, brief(string(got)), err, brief(want))
	}
	pair, err := a.GetPair(a.ctx, key)
	if err != nil || pair.Key != key || string(pair.Value) != want {
		a.Fatalf("get pair %q: %v", key, err)
	}
	r, err := a.GetReader(a.ctx, key)
	if err != nil {
		a.Fatalf("get reader %q: %v", key, err)
	}
	defer r.Close()
	if streamed, err := io.ReadAll(r); err != nil || string(streamed) != want || r.Len() != int64(len(want)) {
		a.Fatalf("read %q: %s of length %d, %v; want %s", key, brief(string(streamed)), r.Len(), err, brief(want))
	}
	if info := r.Info(); info.Name != key || info.Expiration != pair.Expiration || !bytes.Equal(info.Metadata, pair.Metadata) {
		a.Fatalf("info of the reader of %q: %+v; the pair has %q, %d", key, info, pair.Metadata, pair.Expiration)
	}
}

// wantAbsent checks that no way of reading finds the key.
func (a *apiTest) wantAbsent(key string) {
	a.Helper()
	if v, err := a.Get(a.ctx, key); !errors.Is(err, ErrNotFound) || v != nil {
		a.Fatalf("get %q: %s, %v; want %v", key, brief(string(v)), err, ErrNotFound)
	}
	if p, err := a.GetPair(a.ctx, key); !errors.Is(err, ErrNotFound) || p != nil {
		a.Fatalf("get pair %q: %v; want %v", key, err, ErrNotFound)
	}
	if r, err := a.GetReader(a.ctx, key); !errors.Is(err, ErrNotFound) || r != nil {
		a.Fatalf("get reader %q: %v; want %v", key, err, ErrNotFound)
	}
	if slices.Contains(a.names(""), key) {
		a.Fatalf("%q is listed", key)
	}
}

func (a *apiTest) wantMeta(key, metadata string, expiration int64) {
	a.Helper()
	pair, err := a.GetPair(a.ctx, key)
	if err != nil || string(pair.Metadata) != metadata || pair.Expiration != expiration {
		a.Fatalf("get pair %q: %+v, %v; want metadata %q, expiration %d", key, pair, err, metadata, expiration)
	}
	if metadata == "" && pair.Metadata != nil {
		a.Fatalf("get pair %q: metadata is empty, not nil", key)
	}
	for info := range a.all(key) {
		if info.Name == key && (string(info.Metadata) != metadata || info.Expiration != expiration) {
			a.Fatalf("listing of %q: %+v; want metadata %q, expiration %d", key, info, metadata, expiration)
		}
	}
}

// all returns what is listed.
func (a *apiTest) all(prefix string) func(yield func(KeyInfo) bool) {
	a.Helper()
	return func(yield func(KeyInfo) bool) {
		for info, err := range a.Keys(a.ctx, prefix) {
			if err != nil {
				a.Fatal(err)
			}
			if !yield(info) {
				return
			}
		}
	}
}

func (a *apiTest) names(prefix string) []string {
	a.Helper()
	var names []string
	for info := range a.all(prefix) {
		names = append(names, info.Name)
	}
	return names
}

// contents is everything that can be seen of the pairs of a store.
func (a *apiTest) contents() string {
	a.Helper()
	var b strings.Builder
	for info := range a.all("") {
		v, err := a.Get(a.ctx, info.Name)
		if err != nil {
			a.Fatal(err)
		}
		fmt.Fprintf(&b, "%q %s %d %s\n", info.Name, info.Metadata, info.Expiration, brief(string(v)))
	}
	u := a.Usage()
	u.DiskBytes = 0
	fmt.Fprintf(&b, "%+v\n", u)
	return b.String()
}

// brief describes a value in a message.
func brief(s string) string {
	if len(s) <= 40 {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("%q... (%d bytes)", s[:20], len(s))
}

// newRand returns a source of random numbers whose seed is logged and can be
// given in FIRN_SEED.
func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if v := os.Getenv("FIRN_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FIRN_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// incompressible returns bytes that do not compress.
func incompressible(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// inAllModes runs the test with each way to sync.
func inAllModes(t *testing.T, test func(t *testing.T, mode SyncMode)) {
	for name, mode := range map[string]SyncMode{"always": SyncAlways, "every": SyncEvery(5 * time.Millisecond), "never": SyncNever} {
		t.Run(name, func(t *testing.T) { test(t, mode) })
	}
}

func TestPutMeaning(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openAPI(t, Options{Sync: mode})
		keys := []string{
			"a", "A", "...", "./", "../x", "/", "a//b", " ", "a b", "\x00", "a\x00b", "\x7f", "🏔️ firn", "ключ", "\n",
			"\ufffd", strings.Repeat("é", 256), strings.Repeat("x", 512),
		}
		for i, key := range keys {
			a.put(key, "value of "+key, &PutOptions{Metadata: json.RawMessage(strconv.Itoa(i))})
		}
		a.put("empty", "", nil)
		check := func() {
			for i, key := range keys {
				a.wantValue(key, "value of "+key)
				a.wantMeta(key, strconv.Itoa(i), 0)
			}
			a.wantValue("empty", "")
			a.wantMeta("empty", "", 0)
			for _, key := range []string{"b", "\x00\x00", "empty\x00", "🏔", strings.Repeat("x", 511)} {
				a.wantAbsent(key)
			}
			want := append(slices.Clone(keys), "empty")
			slices.Sort(want)
			if got := a.names(""); !slices.Equal(got, want) {
				t.Fatalf("listed %q, want %q", got, want)
			}
		}
		check()
		a.reopen()
		check()
	})
}

// What a caller does with the bytes it passed or got has no effect on the store.
func TestBytesBelongToCaller(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		for _, size := range []int{5, 1000, largeFrom, 300 << 10} {
			a := openMemory(t, Options{Sync: mode})
			value := bytes.Repeat([]byte("v"), size)
			metadata := json.RawMessage(`"meta"`)
			want := string(value)
			if err := a.Put(a.ctx, "key", value, &PutOptions{Metadata: metadata}); err != nil {
				t.Fatal(err)
			}
			clear(value)
			copy(metadata, `[1234]`)
			for range 3 { // the second time from the cache
				pair, err := a.GetPair(a.ctx, "key")
				if err != nil || string(pair.Value) != want || string(pair.Metadata) != `"meta"` {
					t.Fatalf("%d bytes: %s %s %v", size, brief(string(pair.Value)), pair.Metadata, err)
				}
				clear(pair.Value)
				clear(pair.Metadata)
				v, err := a.Get(a.ctx, "key")
				if err != nil || string(v) != want {
					t.Fatalf("%d bytes: %s %v", size, brief(string(v)), err)
				}
				clear(v)
				for info := range a.all("") {
					clear(info.Metadata)
				}
			}
		}
	})
}

func TestPutReplacesEverything(t *testing.T) {
	a := openAPI(t, Options{})
	full := &PutOptions{Metadata: json.RawMessage(`{"a":[1,2]}`), Expiration: epoch + 100}
	for i, opts := range []*PutOptions{nil, {}, {Metadata: json.RawMessage("null")}, {Metadata: json.RawMessage{}}} {
		key := fmt.Sprint("key", i)
		a.put(key, "one", full)
		a.wantMeta(key, `{"a":[1,2]}`, epoch+100)
		a.put(key, "two", opts)
		a.wantValue(key, "two")
		a.wantMeta(key, "", 0)
	}
	a.put("metadata only", "", &PutOptions{Metadata: json.RawMessage(`"m"`)})
	a.put("metadata only", "", &PutOptions{Expiration: epoch + 60})
	a.clock.set(epoch + 100)
	a.wantAbsent("metadata only")
	for i := range 4 {
		a.wantValue(fmt.Sprint("key", i), "two")
	}
	a.reopen()
	for i := range 4 {
		a.wantMeta(fmt.Sprint("key", i), "", 0)
	}
}

func TestMetadata(t *testing.T) {
	a := openAPI(t, Options{})
	for in, want := range map[string]string{
		``: ``, `null`: ``, " \t\r\nnull ": ``, `0`: `0`, `false`: `false`, `""`: `""`, `{}`: `{}`, `[]`: `[]`,
		`[null]`: `[null]`, `{"a":{"b":[1,"é",null]}}`: `{"a":{"b":[1,"é",null]}}`, ` [1, 2] `: ` [1, 2] `, `"null"`: `"null"`,
	} {
		a.put("key", "v", &PutOptions{Metadata: json.RawMessage(in)})
		a.wantMeta("key", want, 0)
	}
}

// From the second of its expiration on, a pair is gone for every way to look at
// it, and counts as garbage.
func TestExpirationToTheSecond(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openAPI(t, Options{Sync: mode})
		large := strings.Repeat("large ", 10_000)
		a.put("absolute", "12345", &PutOptions{Expiration: epoch + 60})
		a.put("relative", "1234567", &PutOptions{TTL: 61 * time.Second, Metadata: json.RawMessage("7")})
		a.put("rounded", "1", &PutOptions{TTL: 61*time.Second + 1})
		a.put("both", "123", &PutOptions{TTL: 70 * time.Second, Expiration: epoch + 1000})
		a.put("both, late TTL", "123", &PutOptions{TTL: 1000 * time.Second, Expiration: epoch + 70})
		a.put("large", large, &PutOptions{Expiration: epoch + 80})
		a.put("far", "", &PutOptions{Expiration: 1 << 40})
		a.put("never", "", nil)
		lives := []struct {
			key string
			end int64
		}{
			{"absolute", epoch + 60}, {"relative", epoch + 61}, {"rounded", epoch + 62}, {"both", epoch + 70},
			{"large", epoch + 80}, {"both, late TTL", epoch + 1000}, {"far", 1 << 40}, {"never", 0},
		}
		size := func(key string) int64 {
			n := int64(len(key) + len(map[string]string{
				"absolute": "12345", "relative": "12345677", "rounded": "1", "both": "123", "both, late TTL": "123", "large": large,
			}[key]))
			return n
		}
		check := func(now int64) {
			t.Helper()
			var live, dead Count
			for _, l := range lives {
				if l.end != 0 && l.end <= now {
					a.wantAbsent(l.key)
					dead.add(size(l.key))
					continue
				}
				live.add(size(l.key))
				pair, err := a.GetPair(a.ctx, l.key)
				if err != nil || pair.Expiration != l.end {
					t.Fatalf("second %d: %q: %+v, %v", now-epoch, l.key, pair, err)
				}
				if !slices.Contains(a.names(l.key), l.key) {
					t.Fatalf("second %d: %q is not listed", now-epoch, l.key)
				}
			}
			u := a.Usage()
			if (Count{u.Keys, u.Bytes}) != live || u.Garbage.Expired != dead {
				t.Fatalf("second %d: usage %+v, want live %+v, expired %+v", now-epoch, u, live, dead)
			}
		}
		for _, after := range []int64{0, 1, 59, 60, 61, 62, 69, 70, 79, 80, 999, 1000, 10_000} {
			a.clock.set(epoch + after)
			check(epoch + after)
			if after == 61 || after == 80 {
				a.reopen()
				check(epoch + after)
			}
		}
	})
}

// A stream that was opened in time is read to its end.
func TestExpirationDuringStream(t *testing.T) {
	a := openAPI(t, Options{})
	want := strings.Repeat("x", 400<<10)
	a.put("key", want, &PutOptions{Expiration: epoch + 60})
	r, err := a.GetReader(a.ctx, "key")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a.clock.set(epoch + 60)
	a.wantAbsent("key")
	if got, err := io.ReadAll(r); err != nil || string(got) != want {
		t.Fatal(brief(string(got)), err)
	}
}

// No cached copy outlives an expiration, an overwrite or a delete.
func TestCacheIsNeverStale(t *testing.T) {
	for _, cacheBytes := range []int64{0, -1} {
		a := openAPI(t, Options{CacheBytes: cacheBytes})
		for i := range 20 {
			a.put("key", fmt.Sprint("value ", i), &PutOptions{Expiration: a.clock.now().Unix() + 60})
			for range 3 {
				a.wantValue("key", fmt.Sprint("value ", i))
			}
			switch i % 3 {
			case 0:
				a.delete("key")
				a.wantAbsent("key")
			case 1:
				a.clock.set(a.clock.now().Unix() + 60)
				a.wantAbsent("key")
			}
		}
	}
}

func TestDelete(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openAPI(t, Options{Sync: mode})
		a.delete("absent")
		if n := a.Stats().Writes; n != 0 {
			t.Fatalf("deleting an absent key wrote %d records", n)
		}
		for range 3 {
			a.put("key", "value", nil)
			a.wantValue("key", "value")
			a.delete("key")
			a.wantAbsent("key")
			a.delete("key")
		}
		a.reopen()
		a.wantAbsent("key")
		u := a.Usage()
		if u.Keys != 0 || u.Bytes != 0 || u.Garbage.Deleted != (Count{3, 24}) {
			t.Fatalf("usage %+v", u)
		}
	})
}

// An index that leads to a record of another key, or to one without a value, leads to
// an error.
func TestReadChecksTheKey(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openMemory(t, Options{Sync: mode})
		value, large := strings.Repeat("v", 100), strings.Repeat("large", largeFrom/4)
		entry := func(key string) index.Entry {
			e, ok := a.index.Get(a.hasher.Sum(key))
			if !ok {
				t.Fatalf("the index does not have %q", key)
			}
			return e
		}
		flush := func() {
			if err := a.committer.flushAll(); err != nil {
				t.Fatal(err)
			}
		}
		// wantNone has the index lead from a key to another place.
		wantNone := func(place, key string, at index.Location) {
			t.Helper()
			if !a.index.Move(a.hasher.Sum(key), entry(key).Location, at) {
				t.Fatalf("%s: not moved", place)
			}
			if _, err := a.Get(a.ctx, key); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: get: %v", place, err)
			}
			if _, err := a.GetPair(a.ctx, key); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: get pair: %v", place, err)
			}
			if _, err := a.GetReader(a.ctx, key); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: get reader: %v", place, err)
			}
		}
		if mode != SyncAlways {
			func() {
				a.committer.disk.Lock() // nothing is written meanwhile
				defer a.committer.disk.Unlock()
				a.put("key0", value, nil)
				a.put("waits", value, nil)
				wantNone("in memory", "key0", entry("waits").Location)
			}()
		}
		for _, key := range []string{"key1", "key2", "key3", "key4", "in the log", "cached"} {
			a.put(key, value, nil)
		}
		a.put("large1", large, nil)
		a.put("large2", large, nil)
		flush()
		wantNone("in the log", "key1", entry("in the log").Location)
		a.wantValue("cached", value)
		wantNone("in the cache", "key2", entry("cached").Location)
		wantNone("a large value", "key3", entry("large1").Location)
		wantNone("another large value", "large2", entry("large1").Location)

		// Records that have no value, each in a frame of its own.
		next := func() index.Location {
			flush()
			log := a.committer.active
			return index.MakeLocation(log.slot, uint32(log.end.Load()/8), 0)
		}
		a.put("large3", value, nil)
		pointer := next()
		a.put("large3", large, nil)
		tombstone := next()
		a.delete("key4")
		flush()
		wantNone("a pointer", "large3", pointer)
		a.index.Put(a.hasher.Sum("key4"), entry("in the log"))
		wantNone("a tombstone", "key4", tombstone)
	})
}

func TestContextEnded(t *testing.T) {
	a := openAPI(t, Options{})
	a.put("key", "value", nil)
	before := a.contents()
	ctx, cancel := context.WithCancel(a.ctx)
	cancel()
	var b Batch
	b.Put("key", []byte("new"), nil)
	for name, call := range map[string]func() error{
		"Put":       func() error { return a.Put(ctx, "key", []byte("new"), nil) },
		"Put large": func() error { return a.Put(ctx, "key", make([]byte, largeFrom), nil) },
		"PutReader": func() error { return a.PutReader(ctx, "key", strings.NewReader("new"), nil) },
		"Delete":    func() error { return a.Delete(ctx, "key") },
		"Write":     func() error { return a.Write(ctx, &b) },
		"Get":       func() error { _, err := a.Get(ctx, "key"); return err },
		"GetPair":   func() error { _, err := a.GetPair(ctx, "key"); return err },
		"GetReader": func() error { _, err := a.GetReader(ctx, "key"); return err },
		"List":      func() error { _, err := a.List(ctx, ListOptions{}); return err },
		"Sync":      func() error { return a.Sync(ctx) },
		"Verify":    func() error { _, err := a.Verify(ctx, nil); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := a.contents(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
