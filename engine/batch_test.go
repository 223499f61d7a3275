package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestBatchOrder(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openMemory(t, Options{Sync: mode})
		a.put("before", "old", nil)
		var b Batch
		b.Put("put delete put", []byte("one"), nil)
		b.Delete("put delete put")
		b.Put("put delete put", []byte("two"), &PutOptions{Metadata: json.RawMessage("2")})
		b.Put("put delete", []byte("one"), nil)
		b.Delete("put delete")
		b.Delete("absent")
		b.Delete("before")
		b.Put("before", []byte("new"), nil)
		b.Put("large", make([]byte, 100_000), nil)
		b.Put("large", []byte("small"), nil)
		b.Put("small", []byte("small"), nil)
		b.Put("small", make([]byte, 100_000), nil)
		if b.Len() != 12 {
			t.Fatal(b.Len())
		}
		a.write(&b)
		check := func() {
			t.Helper()
			a.wantValue("put delete put", "two")
			a.wantMeta("put delete put", "2", 0)
			a.wantAbsent("put delete")
			a.wantAbsent("absent")
			a.wantValue("before", "new")
			a.wantValue("large", "small")
			a.wantValue("small", string(make([]byte, 100_000)))
			u := a.Usage()
			if u.Keys != 4 || u.Bytes != 14+3+1+6+3+5+5+5+100_000 ||
				u.Garbage.Overwritten != (Count{2, 5 + 100_000 + 10}) || u.Garbage.Deleted != (Count{3, 17 + 13 + 9}) {
				t.Fatalf("%+v", u)
			}
		}
		check()
		a.reopen()
		check()
	})
}

// After a kill, each batch is there as a whole or not at all, and those before
// it are too.
func TestBatchIsAtomicAfterKill(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		rng := newRand(t)
		a := openMemory(t, Options{Sync: mode, SegmentBytes: minSegmentBytes})
		const keys = 60 // several frames
		round := 0
		for range 5 {
			for range 4 {
				var b Batch
				for i := range keys {
					value := fmt.Sprintf("%d %s", round, incompressible(rng, 1000))
					b.Put(fmt.Sprint("key", i), []byte(value), nil)
				}
				a.write(&b)
				round++
			}
			a.kill()
			seen := ""
			for i := range keys {
				v, err := a.Get(a.ctx, fmt.Sprint("key", i))
				if mode != SyncAlways && errors.Is(err, ErrNotFound) {
					v = []byte("none ")
				} else if err != nil {
					t.Fatal(err)
				}
				number, _, _ := strings.Cut(string(v), " ")
				if i == 0 {
					seen = number
				}
				if number != seen {
					t.Fatalf("after %d batches: key0 is of batch %s, key%d of %s", round, seen, i, number)
				}
			}
			if mode == SyncAlways && seen != fmt.Sprint(round-1) {
				t.Fatalf("%d batches were acknowledged, but the last is %s", round, seen)
			}
		}
	})
}

func TestBatchRefused(t *testing.T) {
	a := openAPI(t, Options{})
	a.put("old", "value", nil)
	before, writes := a.contents(), a.Stats().Writes
	fill := func(b *Batch, n int) {
		for i := range n {
			b.Put(fmt.Sprint("new", i), []byte("v"), nil)
		}
		b.Put("old", []byte("new"), nil)
	}
	for _, index := range []int{0, 3, 500} {
		var b Batch
		fill(&b, max(index-1, 0))
		if index == 0 {
			b.Reset()
		}
		b.Put("bad\xff", nil, nil)
		fill(&b, 10)
		err := a.Write(a.ctx, &b)
		var pair *PairError
		if !errors.As(err, &pair) || pair.Index != index || pair.Key != "bad\xff" || !errors.Is(err, ErrKeyNotUTF8) {
			t.Fatalf("%v; want pair %d to be named", err, index)
		}
		if text := err.Error(); !strings.Contains(text, fmt.Sprintf("pair %d", index)) || !strings.Contains(text, `"bad\xff"`) {
			t.Fatal(text)
		}
	}
	if after := a.contents(); after != before || a.Stats().Writes != writes {
		t.Fatal(after)
	}
}

// A large value is written ahead of the rest of its batch. It must not show if
// the batch fails.
func TestBatchLargeValues(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openMemory(t, Options{Sync: mode})
		value := func(seed uint64, n int) []byte { return incompressible(rand.New(rand.NewPCG(seed, 0)), n) }
		var b Batch
		for i := range 20 {
			b.Put(fmt.Sprint("key", i), value(uint64(i), i*20_000), &PutOptions{Metadata: json.RawMessage(fmt.Sprint(i))})
		}
		a.write(&b)
		check := func() {
			t.Helper()
			for i := range 20 {
				key := fmt.Sprint("key", i)
				a.wantSame(key, value(uint64(i), i*20_000))
				a.wantMeta(key, fmt.Sprint(i), 0)
			}
		}
		check()
		b.Put("..", nil, nil)
		if err := a.Write(a.ctx, &b); !errors.Is(err, ErrKeyReserved) {
			t.Fatal(err)
		}
		a.reopen()
		check()
	})
}

func TestBatchOfAbsentKeysWritesNothing(t *testing.T) {
	a := openAPI(t, Options{})
	var b Batch
	a.write(&b)
	for i := range 100 {
		b.Delete(fmt.Sprint("key", i))
	}
	a.write(&b)
	if st := a.Stats(); st.Writes != 0 || st.LogBytes != 0 {
		t.Fatalf("%+v", st)
	}
	a.put("key7", "v", nil)
	a.write(&b)
	if st := a.Stats(); st.Writes != 2 || st.Tombstones != 1 {
		t.Fatalf("%+v", st)
	}
	a.wantAbsent("key7")
}

func TestBatchAgain(t *testing.T) {
	a := openAPI(t, Options{})
	var b Batch
	b.Put("one", []byte("1"), nil)
	b.Put("large", make([]byte, 50_000), nil)
	for range 3 { // a batch that was written is as it was
		a.write(&b)
		a.wantValue("one", "1")
		a.wantValue("large", string(make([]byte, 50_000)))
		a.delete("one")
	}
	b.Reset()
	if b.Len() != 0 || b.Bytes() != 0 {
		t.Fatal(b.Len(), b.Bytes())
	}
	b.Put("two", []byte("22"), &PutOptions{Metadata: json.RawMessage("2")})
	if b.Len() != 1 || b.Bytes() != 6 {
		t.Fatal(b.Len(), b.Bytes())
	}
	a.write(&b)
	a.wantValue("two", "22")
	a.wantAbsent("one")
	if err := a.Put(a.ctx, "..", nil, nil); err == nil {
		t.Fatal("a reserved key was taken")
	}
	b.Put("..", nil, nil)
	if err := a.Write(a.ctx, &b); !errors.Is(err, ErrKeyReserved) {
		t.Fatal(err)
	}
	b.Reset()
	b.Delete("two")
	if b.Bytes() != 3 {
		t.Fatal(b.Bytes())
	}
	a.write(&b)
	a.wantAbsent("two")
}
