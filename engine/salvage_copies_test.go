package engine

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// copiedBy salvages a store and returns what is in the new one.
func copiedBy(t *testing.T, mem *vfs.Mem, opts *Options) (*SalvageReport, *contents) {
	t.Helper()
	ctx := context.Background()
	report, err := Salvage(ctx, memDir, salvageDest, &SalvageOptions{Options: *opts})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(salvageDest, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := readContents(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return report, got
}

// salvaged is copiedBy with the options of the script.
func (sc *script) salvaged(t *testing.T, mem *vfs.Mem) (*SalvageReport, *contents) {
	t.Helper()
	return copiedBy(t, mem, memOptions(mem, SyncAlways, sc.clock))
}

// What is in the segment that a lost edit listed is copied.
func TestSalvageWithoutLastAdd(t *testing.T) {
	withoutLastAdd(t, func(t *testing.T, mem *vfs.Mem, opts *Options, want *contents) {
		report, got := copiedBy(t, mem, opts)
		if !maps.Equal(got.sums, want.sums) || !report.Unknown {
			t.Errorf("%d pairs of %d; %+v", len(got.sums), len(want.sums), report)
		}
	})
}

// A crash may leave the records that point to large values, and not the values, when
// compaction has moved these and removes what it moved. Without the manifest, they
// are found where they were moved to.
func TestSalvageMovedValues(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	for i := range 5 {
		sc.must(t, sc.step(sc.put(fmt.Sprint("large", i), largeFrom+i)))
	}
	log := segmentName(sc.sealLog(t))
	sc.must(t, sc.s.sealAllValues())
	id := sc.valueSegment(t)
	values := segmentName(id)
	pointers, valueBytes := readFile(t, mem, log), readFile(t, mem, values)
	sc.must(t, sc.s.rewrite(sc.ctx, compaction.Job{Reason: compaction.Space, Form: compaction.Values, Victims: []uint64{id}}, false))
	moved := segmentName(sc.valueSegment(t))
	want, err := readContents(sc.ctx, sc.s)
	sc.must(t, err)
	mem = mem.Kill()
	if after := files(t, mem, memDir); after[log] != nil || after[values] != nil {
		t.Fatal("the victims are still there")
	}
	for name, back := range map[string]map[string][]byte{
		"values gone":    {log: pointers},
		"values damaged": {log: pointers, values: valueBytes, moved: nil},
	} {
		mem := mem.Kill()
		for file, b := range back {
			if b == nil {
				b = bytes.Repeat([]byte{0xff}, len(readFile(t, mem, file))-segment.HeaderSize)
				writeFile(t, mem, file, b, segment.HeaderSize)
				continue
			}
			writeFile(t, mem, file, b, 0)
		}
		sc.must(t, mem.Remove(filepath.Join(memDir, manifestName)))
		report, got := sc.salvaged(t, mem)
		if !maps.Equal(got.sums, want.sums) || len(report.Lost) > 0 {
			t.Errorf("%s: %d pairs of %d; %+v", name, len(got.sums), len(want.sums), report)
		}
	}
}

// valueSegment returns the id of the only value segment.
func (sc *script) valueSegment(t *testing.T) (id uint64) {
	t.Helper()
	for _, sg := range sc.s.segs.all() {
		if sg.kind == segment.Value {
			if id != 0 {
				t.Fatal("there are two value segments")
			}
			id = sg.id
		}
	}
	return id
}

// The manifest says which store it is, however many segments of another one there
// are.
func TestSalvageManyForeignSegments(t *testing.T) {
	mem, other := vfs.NewMem(), vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	sc.must(t, sc.step(sc.put("small", 1000)))
	want, err := readContents(sc.ctx, sc.s)
	sc.must(t, err)
	sc.must(t, sc.step(sc.put("large", largeFrom)))
	foreign := openScript(t, other, SyncAlways, rand.New(rand.NewPCG(2, 2)))
	foreign.must(t, foreign.fill(60))
	mem = mem.Kill()
	sc.must(t, mem.Remove(filepath.Join(memDir, segmentName(2))))
	n := 0
	for name, b := range files(t, other, memDir) {
		if id, ok := segmentID(name); ok && id > 2 {
			writeFile(t, mem, name, b, 0)
			n++
		}
	}
	report, got := sc.salvaged(t, mem)
	if !maps.Equal(got.sums, want.sums) || n < 3 {
		t.Errorf("%d pairs of %d, %d foreign segments; %+v", len(got.sums), len(want.sums), n, report)
	}
}

// The store's time never runs backwards: what had expired does not come back when
// the clock was set back.
func TestSalvageClockBehind(t *testing.T) {
	for _, closed := range []bool{true, false} {
		t.Run(fmt.Sprint("closed ", closed), func(t *testing.T) {
			mem := vfs.NewMem()
			sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
			now := sc.clock.second.Load()
			sc.must(t, sc.step(modelWrite{"expires", newModelPair("expires", []byte("value"), "", now+10)}))
			sc.clock.advance(20)
			sc.must(t, sc.step(sc.put("small", 1000)))
			if closed {
				sc.must(t, sc.s.Close())
			}
			mem = mem.Kill()
			sc.clock.second.Store(now)
			report, got := sc.salvaged(t, mem)
			if len(got.sums) != 1 {
				t.Errorf("%d pairs; %+v", len(got.sums), report)
			}
		})
	}
}
