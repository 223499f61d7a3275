package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// place returns the segment that holds the value of a key.
func (a *apiTest) place(key string) *seg {
	a.Helper()
	e, ok := a.Store.index.Get(a.hasher.Sum(key))
	if !ok {
		a.Fatalf("no key %q", key)
	}
	return a.segs.at(e.Location.Slot())
}

// storedChunk is a chunk of a large value as the disk has it.
type storedChunk struct {
	codec segment.Codec
	bytes string
}

// chunks returns how the value of a key is stored.
func (a *apiTest) chunks(key string) (all []storedChunk) {
	a.Helper()
	e, _ := a.Store.index.Get(a.hasher.Sum(key))
	sg := a.place(key)
	var buf segment.Buffer
	var rec segment.Record
	if err := sg.reader.ReadRecord(int64(e.Location.Unit())*8, 0, largeHint, &buf, &rec); err != nil {
		a.Fatal(err)
	}
	var other segment.Buffer // rec is in the first
	for _, c := range rec.Chunks {
		f, stored, err := sg.reader.ReadStored(c.Offset, c.Stored+32, &other)
		if err != nil {
			a.Fatal(err)
		}
		all = append(all, storedChunk{f.Codec, string(stored)})
	}
	if len(all) == 0 {
		a.Fatalf("%q has no chunks", key)
	}
	return all
}

func (a *apiTest) onDisk(name string) bool {
	a.Helper()
	_, err := a.opts.fs.Stat(a.Store.path(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.Fatal(err)
	}
	return err == nil
}

// A reader gets its value, however often that is moved meanwhile. Its file goes
// when it is closed.
func TestStreamOverCompactions(t *testing.T) {
	a := openMemory(t, Options{ManualCompaction: true})
	rng := newRand(t)
	value := noise(rng, 1<<20-1)
	a.put("value", string(value), nil)
	for i := range 10 {
		a.put(fmt.Sprint("beside", i), string(noise(rng, 200<<10)), nil)
	}
	was := a.place("value").name()
	r, err := a.GetReader(a.ctx, "value")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, len(value))
	const step = 1 << 20 / 11
	for i := range 10 {
		if _, err := io.ReadFull(r, got[i*step:(i+1)*step]); err != nil {
			t.Fatal(err)
		}
		before := a.place("value").name()
		a.delete(fmt.Sprint("beside", i))
		if err := a.Compact(a.ctx); err != nil {
			t.Fatal(err)
		}
		after := a.place("value").name()
		if after == before {
			t.Fatalf("compaction %d did not move the value", i)
		}
		if before != was && a.onDisk(before) {
			t.Errorf("%s was left, which nobody reads", before)
		}
		if !a.onDisk(was) || a.segs.find(a.place("value").id) == nil {
			t.Fatalf("%s is not there, which is being read", was)
		}
	}
	if _, err := io.ReadFull(r, got[10*step:]); err != nil || !bytes.Equal(got, value) {
		t.Fatalf("another value than was asked for, %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if a.onDisk(was) {
		t.Errorf("%s was left", was)
	}
	a.wantSame("value", value)
}

// Verify and Backup see a whole store while its segments are rewritten and removed
// under them.
func TestVerifyAndBackupUnderCompaction(t *testing.T) {
	seed := testSeed(t)
	sc := openScript(t, vfs.NewMem(), SyncNever, rand.New(rand.NewPCG(seed, 0)))
	all := []*writerLog{{}, {}}
	var wg sync.WaitGroup
	var stop atomic.Bool
	defer wg.Wait()
	defer stop.Store(true)
	for g, w := range all {
		rng := rand.New(rand.NewPCG(seed, uint64(g)))
		wg.Go(func() {
			for !stop.Load() && w.begun.Load() < 3000 {
				if err := w.write(sc.ctx, sc.s, g, all, rng); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for !stop.Load() {
			if err := sc.s.Compact(sc.ctx); err != nil {
				t.Error(err)
				return
			}
		}
	})
	removed := func() int64 { return sc.s.CompactionStats().Removed }
	begin := removed()
	for round := 0; (round < 15 || removed() < begin+50) && !t.Failed(); round++ {
		sc.must(t, checkVerify(sc.ctx, sc.s))
		var floors, most []int64
		for _, w := range all {
			floors = append(floors, w.acked.Load())
		}
		sc.mustBackup(t, backupDir)
		for _, w := range all {
			most = append(most, w.begun.Load())
		}
		s, err := sc.opened(backupDir, true)
		sc.must(t, err)
		err = checkWriters(sc.ctx, s, floors, most)
		sc.must(t, errors.Join(err, s.Close()))
	}
	t.Logf("%d segments were removed meanwhile", removed()-begin)
}
