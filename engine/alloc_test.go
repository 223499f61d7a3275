package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
)

// allocations returns how many objects f allocates on average. A garbage
// collection empties the pools that reads take their buffers from, so it may find
// some: the least of a few rounds counts.
func allocations(t *testing.T, f func()) float64 {
	t.Helper()
	if underRace {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	least := testing.AllocsPerRun(1000, f)
	for range 4 {
		least = min(least, testing.AllocsPerRun(1000, f))
	}
	return least
}

// packedStore returns a store of which all pairs are in packed segments, with or
// without a cache.
func packedStore(t *testing.T, cacheBytes int64) (*apiTest, []string) {
	t.Helper()
	a := openAPI(t, Options{Sync: SyncNever, CacheBytes: cacheBytes})
	keys := make([]string, 2000)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%06d", i)
		value := fmt.Sprintf(`{"id":%d,"name":"user number %d","about":%q}`, i, i, strings.Repeat("some text ", 30+i%20))
		if err := a.Put(a.ctx, keys[i], []byte(value), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Compact(a.ctx); err != nil {
		t.Fatal(err)
	}
	return a, keys
}

func TestGetAllocations(t *testing.T) {
	for name, cacheBytes := range map[string]int64{"cached": 16 << 20, "packed": -1} {
		t.Run(name, func(t *testing.T) {
			a, keys := packedStore(t, cacheBytes)
			buf := make([]byte, 0, 4096)
			i := 0
			read := func() {
				var err error
				if buf, err = a.GetAppend(a.ctx, buf[:0], keys[i%len(keys)]); err != nil {
					t.Fatal(err)
				}
				i++
			}
			for range keys {
				read() // the cache takes them all
			}
			if n := allocations(t, read); n != 0 {
				t.Errorf("GetAppend: %v allocations", n)
			}
			get := func() {
				if _, err := a.Get(a.ctx, keys[i%len(keys)]); err != nil {
					t.Fatal(err)
				}
				i++
			}
			if n := allocations(t, get); n != 1 {
				t.Errorf("Get: %v allocations, want that of the value", n)
			}
			if n := allocations(t, func() { _, _ = a.Get(a.ctx, "no such key") }); n != 0 {
				t.Errorf("Get of an absent key: %v allocations", n)
			}
		})
	}
}

// TestPutAllocations bounds what a put allocates. Without a sync it takes part of a
// frame of 16 KiB, which some 8 objects come with, and nothing of its own. A sync
// that it does not share takes 6 objects, and some 100 µs.
func TestPutAllocations(t *testing.T) {
	if underRace {
		t.Skip("counts what the race detector adds")
	}
	value := bytes.Repeat([]byte("some text "), 40)
	for _, c := range []struct {
		name           string
		sync           SyncMode
		puts, rounds   int
		objects, bytes float64
	}{
		{"never", SyncNever, 5000, 30, 0.35, 2 * 411},
		{"always", SyncAlways, 500, 4, 6.5, 4 * 411},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := openAPI(t, Options{Sync: c.sync, ManualCompaction: true})
			keys := make([]string, c.puts)
			for i := range keys {
				keys[i] = fmt.Sprintf("user:%06d", i)
			}
			putAll := func() {
				for _, key := range keys {
					if err := a.Put(a.ctx, key, value, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			putAll() // the index grows
			// A compressor takes 1 MiB when frames first wait for one more, which
			// may be at any time; and where the writer waits for a processor, frames
			// are written before they are full. So the round that has least of
			// that counts.
			objects, size := math.Inf(1), math.Inf(1)
			for range c.rounds {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				putAll()
				runtime.ReadMemStats(&after)
				objects = min(objects, float64(after.Mallocs-before.Mallocs)/float64(c.puts))
				size = min(size, float64(after.TotalAlloc-before.TotalAlloc)/float64(c.puts))
			}
			t.Logf("%.2f objects of %.0f bytes a put", objects, size)
			if objects > c.objects || size > c.bytes {
				t.Errorf("%.2f objects of %.0f bytes a put, want at most %v of %v", objects, size, c.objects, c.bytes)
			}
		})
	}
}

// TestGetAppend checks what becomes of the slice, for values of every kind.
func TestGetAppend(t *testing.T) {
	a := openMemory(t, Options{CacheBytes: -1})
	values := map[string][]byte{
		"empty": {},
		"small": []byte("some text"),
		"large": bytes.Repeat([]byte("0123456789abcdef"), 50_000),
	}
	for key, value := range values {
		if err := a.Put(a.ctx, key, value, nil); err != nil {
			t.Fatal(err)
		}
		for _, room := range []int{0, 1 << 20} {
			b := append(make([]byte, 0, 4+room), "head"...)
			got, err := a.GetAppend(a.ctx, b, key)
			if err != nil || string(got) != "head"+string(value) {
				t.Errorf("%s: %d bytes, %v", key, len(got), err)
			}
			if room > 0 && &got[0] != &b[0] {
				t.Errorf("%s: not in the slice that has room", key)
			}
		}
		if got, err := a.GetAppend(a.ctx, nil, key); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%s: %d bytes, %v", key, len(got), err)
		}
		if got, err := a.Get(a.ctx, key); err != nil || got == nil || !bytes.Equal(got, value) {
			t.Errorf("Get %s: %d bytes, %v", key, len(got), err)
		}
	}
	b := []byte("head")
	if got, err := a.GetAppend(a.ctx, b, "absent"); !errors.Is(err, ErrNotFound) || !bytes.Equal(got, b) || &got[0] != &b[0] {
		t.Errorf("absent: %q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(a.ctx)
	cancel()
	if got, err := a.GetAppend(ctx, b, "large"); !errors.Is(err, context.Canceled) || !bytes.Equal(got, b) {
		t.Errorf("cancelled: %q, %v", got, err)
	}
}
