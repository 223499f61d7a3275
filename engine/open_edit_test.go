package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// lastEdit returns the place of the last edit of a manifest.
func lastEdit(t *testing.T, mem *vfs.Mem) (off, end int64) {
	t.Helper()
	m, err := openManifest(mem, memDir, true)
	if err != nil {
		t.Fatal(err)
	}
	b := readFile(t, mem, manifestName)
	for at := manifestHeader; int64(at) < m.off; {
		payload, n := m.edit(b, at)
		if payload == nil {
			t.Fatal("no edit")
		}
		off, at = int64(at), at+n
	}
	return off, m.off
}

// withoutLastAdd makes stores of which the edit is damaged that listed the segment
// which is written to, as the last one, and calls try with what was in them.
func withoutLastAdd(t *testing.T, try func(t *testing.T, mem *vfs.Mem, opts *Options, want *contents)) {
	for name, damage := range map[string]func(b []byte){
		"flipped": func(b []byte) { b[0] ^= 1 },
		"zeroed":  func(b []byte) { clear(b) },
	} {
		for _, large := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, large %v", name, large), func(t *testing.T) {
				mem := vfs.NewMem()
				sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
				sc.must(t, sc.step(sc.put("small", 1000)))
				if large {
					sc.must(t, sc.step(sc.put("large", largeFrom)))
				}
				want, err := readContents(sc.ctx, sc.s)
				sc.must(t, err)
				mem = mem.Kill()
				from, to := lastEdit(t, mem)
				b := readFile(t, mem, manifestName)[from:to]
				damage(b)
				writeFile(t, mem, manifestName, b, from)
				try(t, mem, memOptions(mem, SyncAlways, sc.clock), want)
			})
		}
	}
}

// Nothing of an edit may be left, and it was on disk all the same: the segment that
// it listed is not taken for one that a crash left, nor removed.
func TestOpenWithoutLastAdd(t *testing.T) {
	withoutLastAdd(t, func(t *testing.T, mem *vfs.Mem, opts *Options, want *contents) {
		before := files(t, mem, memDir)
		if s, err := Open(memDir, opts); !errors.Is(err, ErrCorrupt) {
			t.Errorf("Open: %v", err)
			if err == nil {
				_ = s.Close()
			}
		}
		wantSameFiles(t, files(t, mem, memDir), before, "Open changed the store")
	})
}

// A crash while a log segment is made may leave its header and, in the space that was
// set aside for it, what was on the disk before. Nothing was ever written there.
func TestOpenAfterCrashInNewLog(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(3, 3)))
	sc.must(t, sc.step(sc.put("key", 100)))
	n := sc.h.len()
	sc.s.state.Lock()
	m := sc.s.manifest
	info := &segmentInfo{id: m.state.nextID, kind: segment.Log, salt: 5}
	sc.must(t, m.commit(edit(nil).next(info.id+1)))
	header := m.state.header(info).Append(nil)
	sc.s.state.Unlock()
	disk := mem.Kill()
	writeFile(t, disk, segmentName(info.id), append(header, incompressible(sc.rng, 5000)...), 0)
	after, err := recovered(disk, &crashPoint{least: n, most: n}, SyncAlways, sc.h.clone(), sc.rng)
	sc.must(t, err)
	sc.must(t, after.close())
	if _, err := disk.Stat(memDir + "/" + segmentName(info.id)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the segment is still there: %v", err)
	}
	sc.must(t, sc.close())
}
