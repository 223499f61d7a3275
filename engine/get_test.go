package engine

import (
	"testing"

	"github.com/firnkv/firn/index"
)

// TestHitTakesNoReference reads cached records while their segments are counted.
func TestHitTakesNoReference(t *testing.T) {
	a, keys := packedStore(t, 16<<20)
	for _, key := range keys {
		if _, err := a.Get(a.ctx, key); err != nil {
			t.Fatal(err)
		}
	}
	for _, sg := range a.segs.all() {
		for sg.refs.Load() > 0 {
			sg.refs.Add(-1) // as if it was removed, but with its file open
		}
	}
	defer func() {
		for _, sg := range a.segs.all() {
			sg.refs.Store(1)
		}
	}()
	misses := a.Stats().CacheMisses
	for _, key := range keys {
		if _, err := a.Get(a.ctx, key); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	if got := a.Stats().CacheMisses; got != misses {
		t.Errorf("%d records were not in the cache", got-misses)
	}
}

// TestCachedKeyIsCompared asks the cache with places where other keys are, as a get
// does whose segment was replaced by another in the same slot.
func TestCachedKeyIsCompared(t *testing.T) {
	a, keys := packedStore(t, 16<<20)
	var places []index.Location
	for _, key := range keys[:100] {
		if _, err := a.Get(a.ctx, key); err != nil {
			t.Fatal(err)
		}
		e, err := a.lookup(a.hasher.Sum(key))
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, e.Location)
	}
	for i, key := range keys[:100] {
		if r, ok := a.cached(key, places[i]); !ok || string(r.Key) != key {
			t.Fatalf("%s is found as %q, %v", key, r.Key, ok)
		}
		if r, ok := a.cached(key, places[(i+1)%100]); ok {
			t.Errorf("%s is found as %q", key, r.Key)
		}
		if _, ok := a.cached(key, index.MakeLocation(maxSegments, places[i].Unit(), places[i].Ordinal())); ok {
			t.Errorf("%s is found in a slot that is free", key)
		}
	}
}

// TestPendingIsNoMiss reads what stands in a frame that is not written yet: the
// cache is not asked.
func TestPendingIsNoMiss(t *testing.T) {
	a := openAPI(t, Options{Sync: SyncNever, CacheBytes: 1 << 20, ManualCompaction: true})
	if err := a.Put(a.ctx, "key", []byte("value"), nil); err != nil {
		t.Fatal(err)
	}
	e, err := a.lookup(a.hasher.Sum("key"))
	if err != nil {
		t.Fatal(err)
	}
	if e.Location.Unit()&pendingUnit == 0 {
		t.Skip("it was written already")
	}
	misses := a.Stats().CacheMisses
	if _, ok := a.cached("key", e.Location); ok {
		t.Error("it is in the cache")
	}
	if got := a.Stats().CacheMisses; got != misses {
		t.Error("the cache was asked")
	}
}
