package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

const salvageDest = "/salvaged"

// salvage salvages the victim on a copy of its disk, and returns what is in the
// new store.
func (v *victim) salvage(disk *vfs.Mem) (*SalvageReport, map[string]*Pair, error) {
	ctx := context.Background()
	opts := v.opts
	opts.fs = disk
	before, err := diskContents(disk, v.path)
	if err != nil {
		return nil, nil, err
	}
	report, err := Salvage(ctx, v.path, salvageDest, &SalvageOptions{Options: opts})
	if err != nil {
		return nil, nil, err
	}
	after, err := diskContents(disk, v.path)
	if err != nil || before != after {
		return nil, nil, fmt.Errorf("salvaging changed the store: %s, before %s: %w", after, before, err)
	}
	opts.ReadOnly = true
	s, err := Open(salvageDest, &opts)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	if err := checkVerify(ctx, s); err != nil {
		return nil, nil, err
	}
	got := map[string]*Pair{}
	bytes := int64(0)
	for info, err := range s.Keys(ctx, "") {
		if err != nil {
			return nil, nil, err
		}
		if got[info.Name], err = s.GetPair(ctx, info.Name); err != nil {
			return nil, nil, err
		}
		bytes += int64(len(info.Name) + len(info.Metadata) + len(got[info.Name].Value))
	}
	if report.Pairs != int64(len(got)) || report.Bytes != bytes {
		return nil, nil, fmt.Errorf("%d pairs of %d bytes reported, there are %d of %d", report.Pairs, report.Bytes, len(got), bytes)
	}
	return report, got, nil
}

// diskContents describes every byte in a directory.
func diskContents(disk *vfs.Mem, dir string) (string, error) {
	names, err := disk.List(dir)
	sum := ""
	for _, name := range names {
		f, openErr := disk.Open(filepath.Join(dir, name))
		if openErr != nil {
			return "", openErr
		}
		size, sizeErr := f.Size()
		b := make([]byte, size)
		_, readErr := f.ReadAt(b, 0)
		sum += fmt.Sprintf("%s %d %x; ", name, size, pairSum("", b, "", 0))
		err = errors.Join(err, sizeErr, readErr, f.Close())
	}
	return sum, err
}

func samePair(a, b *Pair) bool {
	return a != nil && b != nil && bytes.Equal(a.Value, b.Value) && bytes.Equal(a.Metadata, b.Metadata) && a.Expiration == b.Expiration
}

// checkSalvaged makes sure that every pair was copied as it was, or is reported:
// by its key, or by a damaged range of which nobody knows what was in it.
func (v *victim) checkSalvaged(report *SalvageReport, got map[string]*Pair) error {
	lost := map[string]bool{}
	for _, l := range report.Lost {
		if l.File == "" || l.Reason == "" || v.pairs[l.Key] == nil && !report.Unknown {
			return fmt.Errorf("reported as lost: %+v", l)
		}
		lost[l.Key] = true
	}
	if len(lost) > 0 && len(report.Damage) == 0 && !slices.ContainsFunc(report.Lost, func(l LostPair) bool { return l.File != "" }) {
		return errors.New("pairs are lost, but nothing is damaged")
	}
	for key, want := range v.pairs {
		pair := got[key]
		switch {
		case samePair(pair, want) && !lost[key]:
		case pair == nil && (lost[key] || report.Unknown):
		case report.Unknown && v.was(key, pair):
		default:
			return fmt.Errorf("%q: copied %v, lost %v, unknown %v", key, pair != nil, lost[key], report.Unknown)
		}
	}
	for key, pair := range got {
		if v.pairs[key] == nil && !(report.Unknown && v.was(key, pair)) {
			return fmt.Errorf("%q is back", key)
		}
	}
	return nil
}

// checkLostIsDamaged makes sure that only those pairs are not what they were that
// are in a damaged frame, have a part of their value there, or belong to a commit
// that loses a frame: it never counted if it is the last one.
func (v *victim) checkLostIsDamaged(d damage, frames []keysFrame, got map[string]*Pair) error {
	to := d.off + 1
	switch d.kind {
	case zeroRun:
		to = d.off + zeroRunBytes
	case cutFile:
		to = math.MaxInt64
	}
	hit := map[string]bool{}
	for _, f := range frames {
		if f.from < to && d.off < f.to {
			for _, key := range f.keys {
				hit[key] = true
			}
		}
	}
	for key, want := range v.pairs {
		if !samePair(got[key], want) && !hit[key] {
			return fmt.Errorf("%q is lost, though it was not damaged", key)
		}
	}
	return nil
}

// keysFrame is a frame, and the keys of pairs that cannot be read without it.
type keysFrame struct {
	from, to int64
	keys     []string
}

// frames returns the frames of a segment with keys, none for another file.
func (v *victim) frames(file string) []keysFrame {
	r, err := segment.NewReader(bytes.NewReader(v.files[file]))
	if err != nil {
		return nil // no segment
	}
	var frames []keysFrame
	var all []string
	unit := 0 // the first frame of the value, or of the commit, that ends next
	for s := r.Scan(segment.HeaderSize, int64(len(v.files[file]))); s.Next(); {
		f := keysFrame{from: s.Offset(), to: s.End()}
		if s.Frame().Type == segment.FrameRecords {
			payload, err := s.Payload()
			for rec := (segment.Record{}); err == nil && len(payload) > 0; {
				n, ok := segment.DecodeRecord(payload, &rec)
				if !ok {
					break
				}
				payload = payload[n:]
				f.keys = append(f.keys, string(rec.Key))
			}
			all = append(all, f.keys...)
		}
		frames = append(frames, f)
		if s.Frame().More || s.Frame().Type == segment.FrameChunk {
			continue
		}
		var keys []string
		for i := range frames[unit:] {
			keys = append(keys, frames[unit+i].keys...)
		}
		for ; unit < len(frames); unit++ {
			frames[unit].keys = keys
		}
	}
	if len(frames) > 0 && r.Header().Kind == segment.Packed {
		frames[0].keys = all // the dictionary, if there is one
	}
	return frames
}

// was reports whether the pair was there like that once.
func (v *victim) was(key string, pair *Pair) bool {
	return slices.ContainsFunc(v.states, func(state map[string]*Pair) bool { return samePair(state[key], pair) })
}

// newPackedVictim is a victim whose segments have been compacted, some of them
// twice, with large values that were moved.
func newPackedVictim(t *testing.T) *victim {
	v := newVictim(t, false)
	a := openAPIAt(t, v.path, v.opts)
	if err := a.Compact(a.ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		key, value := fmt.Sprintf("packed:%02d", i), fmt.Sprint("a value that was put after the compaction, ", i)
		a.put(key, value, nil)
		v.pairs[key] = &Pair{Key: key, Value: []byte(value)}
	}
	a.delete("large:0")
	delete(v.pairs, "large:0")
	a.close()
	v.files = map[string][]byte{}
	v.load(t)
	v.states = append(v.states, v.pairs)
	return v
}

func salvageVictims(t *testing.T, try func(t *testing.T, v *victim)) {
	t.Run("closed", func(t *testing.T) { try(t, newVictim(t, false)) })
	t.Run("killed", func(t *testing.T) { try(t, newVictim(t, true)) })
	t.Run("packed", func(t *testing.T) { try(t, newPackedVictim(t)) })
}

// All of a store that is not damaged is copied, and nothing is reported.
func TestSalvageUndamaged(t *testing.T) {
	salvageVictims(t, func(t *testing.T, v *victim) {
		report, got, err := v.salvage(v.disk.Kill())
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Lost) > 0 || len(report.Damage) > 0 || report.Unknown || len(got) != len(v.pairs) {
			t.Errorf("%d pairs of %d; %+v", len(got), len(v.pairs), report)
		}
		if err := v.checkSalvaged(report, got); err != nil {
			t.Error(err)
		}
	})
}

// Whatever is damaged, everything else is copied, and nothing is wrong.
func TestSalvageDamaged(t *testing.T) {
	salvageVictims(t, func(t *testing.T, v *victim) {
		every, some := 3989, 150
		if n := os.Getenv("FIRN_DAMAGE"); n != "" {
			var err error
			if every, err = strconv.Atoi(n); err != nil {
				t.Fatal(err)
			}
			some = math.MaxInt
		}
		if testing.Short() {
			some = 40
		}
		var all []damage
		frames := map[string][]keysFrame{}
		for _, file := range slices.Sorted(maps.Keys(v.files)) {
			frames[file] = v.frames(file)
			all = append(all, damages(file, v.files[file], 20, every)...)
		}
		newRand(t).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(some, len(all))]
		var lost, unknown atomic.Int64
		var group sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			group.Go(func() {
				for i := w; i < len(all) && !t.Failed(); i += workers {
					d := all[i]
					disk := v.disk.Kill()
					d.apply(t, disk, v.path, v.files[d.file])
					report, got, err := v.salvage(disk)
					if err == nil {
						err = v.checkSalvaged(report, got)
					}
					if err == nil {
						err = v.checkLostIsDamaged(d, frames[d.file], got)
					}
					if err != nil && !(errors.Is(err, ErrVersion) && d.kind == zeroRun) { // more than the version is zero
						t.Errorf("%v: %v", d, err)
						continue
					}
					if err == nil {
						lost.Add(int64(len(report.Lost)))
					}
					if err == nil && report.Unknown {
						unknown.Add(1)
					}
				}
			})
		}
		group.Wait()
		t.Logf("%d damages, %d pairs reported as lost, %d times not all could be known", len(all), lost.Load(), unknown.Load())
		if lost.Load() == 0 || unknown.Load() == 0 {
			t.Error("nothing was ever lost: this is no test")
		}
	})
}

// Damage to the bytes that say the version does not pass for a newer one.
func TestSalvageDamagedVersion(t *testing.T) {
	salvageVictims(t, func(t *testing.T, v *victim) {
		for file, content := range v.files {
			if _, isSegment := segmentID(file); !isSegment && file != manifestName {
				continue
			}
			for off := int64(8); off < 12; off++ {
				disk := v.disk.Kill()
				d := damage{file, off, flipBit}
				d.apply(t, disk, v.path, content)
				report, got, err := v.salvage(disk)
				if err != nil {
					t.Fatalf("%v: %v", d, err)
				}
				if err := v.checkSalvaged(report, got); err != nil || len(report.Damage) == 0 || len(got) != len(v.pairs) {
					t.Errorf("%v: %v, %d pairs of %d", d, err, len(got), len(v.pairs))
				}
			}
		}
	})
}

// A file that was cut where a frame ends has that frame, and all before it.
func TestSalvageCutBehindFrame(t *testing.T) {
	salvageVictims(t, func(t *testing.T, v *victim) {
		cuts := 0
		for file := range v.files {
			frames := v.frames(file)
			for _, f := range frames {
				if f.to >= int64(len(v.files[file])) {
					continue
				}
				d := damage{file, f.to, cutFile}
				disk := v.disk.Kill()
				d.apply(t, disk, v.path, v.files[file])
				report, got, err := v.salvage(disk)
				if err == nil {
					err = v.checkLostIsDamaged(d, frames, got)
				}
				if err == nil && v.log != file { // where the end may be anywhere
					err = v.checkSalvaged(report, got)
				}
				if err != nil {
					t.Fatalf("%v: %v", d, err)
				}
				cuts++
			}
		}
		if cuts < 10 {
			t.Errorf("only %d cuts", cuts)
		}
	})
}

// The frames are enough: without manifest, checkpoint and footers, all pairs come
// back.
func TestSalvageFromFramesAlone(t *testing.T) {
	salvageVictims(t, func(t *testing.T, v *victim) {
		disk := v.disk.Kill()
		m, err := openManifest(disk, v.path, true)
		if err != nil {
			t.Fatal(err)
		}
		footers := 0
		for _, info := range m.state.sorted() {
			if info.state != stateSealed || info.kind == segment.Value {
				continue
			}
			footers++
			if err := v.overwrite(disk, segmentName(info.id), info.end-segment.TrailerSize, make([]byte, segment.TrailerSize)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{manifestName, checkpointName} {
			if err := disk.Remove(filepath.Join(v.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		report, got, err := v.salvage(disk)
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range v.pairs {
			if !samePair(got[key], want) {
				t.Errorf("%q is not as it was", key)
			}
		}
		if !report.Unknown || len(got) != len(v.pairs) || footers < 1 {
			t.Errorf("%d pairs of %d, unknown %v, without %d footers", len(got), len(v.pairs), report.Unknown, footers)
		}
	})
}

// Where the edit of a compaction is lost, the new segments are not listed, and
// those that are have been removed: what is in the new ones is copied.
func TestSalvageWithoutLastEdit(t *testing.T) {
	mem := vfs.NewMem()
	sc := openScript(t, mem, SyncAlways, rand.New(rand.NewPCG(1, 1)))
	sc.h.compacted = true
	sc.must(t, sc.churn(30))
	sc.must(t, sc.s.Compact(sc.ctx))
	want, err := readContents(sc.ctx, sc.s)
	sc.must(t, err)
	mem = mem.Kill()
	last := sc.s.manifest.off - 12 // before its padding
	writeFile(t, mem, manifestName, []byte{readFile(t, mem, manifestName)[last] ^ 1}, last)
	opts := memOptions(mem, SyncAlways, sc.clock)
	report, err := Salvage(sc.ctx, memDir, salvageDest, &SalvageOptions{Options: *opts})
	sc.must(t, err)
	s, err := Open(salvageDest, opts)
	sc.must(t, err)
	defer s.Close()
	got, err := readContents(sc.ctx, s)
	sc.must(t, err)
	if len(want.sums) == 0 || !maps.Equal(got.sums, want.sums) || !report.Unknown {
		t.Errorf("%d pairs of %d; %+v", len(got.sums), len(want.sums), report)
	}
}

// A segment of another store is not taken for one of this, even without the
// manifest.
func TestSalvageLeavesForeignSegments(t *testing.T) {
	v := newVictim(t, false)
	other := openAPI(t, Options{})
	other.put("foreign", "value", nil)
	foreign, err := os.ReadFile(other.file("000001.seg"))
	if err != nil {
		t.Fatal(err)
	}
	disk := v.disk.Kill()
	for _, name := range []string{"000001.seg", "000900.seg"} {
		f, err := disk.Create(filepath.Join(v.path, "foreign"))
		if err == nil {
			_, err = f.WriteAt(foreign, 0)
			err = errors.Join(err, f.Close(), disk.Rename(filepath.Join(v.path, "foreign"), filepath.Join(v.path, name)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := disk.Remove(filepath.Join(v.path, manifestName)); err != nil {
		t.Fatal(err)
	}
	report, got, err := v.salvage(disk)
	if err != nil {
		t.Fatal(err)
	}
	if got["foreign"] != nil || len(got) == 0 || len(report.Damage) < 3 {
		t.Errorf("%d pairs, %v; %+v", len(got), got["foreign"], report.Damage)
	}
	if err := v.checkSalvaged(report, got); err != nil {
		t.Error(err)
	}
}

// overwrite writes b to a file of the victim.
func (v *victim) overwrite(disk *vfs.Mem, name string, off int64, b []byte) error {
	f, err := disk.OpenReadWrite(filepath.Join(v.path, name))
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, off)
	return errors.Join(err, f.Close())
}

func TestSalvageRefuses(t *testing.T) {
	ctx := context.Background()
	a := openAPI(t, Options{})
	a.put("key", "value", nil)
	dest := t.TempDir()
	if _, err := Salvage(ctx, a.path, dest, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("a store in use: %v", err)
	}
	a.close()
	if _, err := Salvage(ctx, a.path, a.path, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("to itself: %v", err)
	}
	inside := filepath.Join(a.path, "deep", "inside")
	if _, err := Salvage(ctx, a.path, inside, nil); err == nil {
		t.Error("inside of itself")
	}
	if _, err := os.Stat(filepath.Dir(inside)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("inside of itself, something was made: %v", err)
	}
	if _, err := Salvage(ctx, t.TempDir(), dest, nil); !errors.Is(err, ErrNotStore) {
		t.Errorf("an empty directory: %v", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Salvage(canceled, a.path, dest, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	dest = filepath.Join(t.TempDir(), "new")
	if report, err := Salvage(ctx, a.path, dest, nil); err != nil || report.Pairs != 1 {
		t.Errorf("%+v %v", report, err)
	}
}

// What is in the place of a segment but is no file is reported, and the others are
// read.
func TestSalvageNotAFile(t *testing.T) {
	ctx := context.Background()
	a := openAPI(t, Options{})
	a.put("key", "value", nil)
	a.close()
	if err := os.Mkdir(filepath.Join(a.path, segmentName(9)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(a.path, manifestName)); err != nil {
		t.Fatal(err)
	}
	report, err := Salvage(ctx, a.path, filepath.Join(t.TempDir(), "new"), nil)
	if err != nil || report.Pairs != 1 || !report.Unknown {
		t.Fatalf("%+v %v", report, err)
	}
	if !slices.ContainsFunc(report.Damage, func(d DamagedRange) bool { return d.File == segmentName(9) }) {
		t.Errorf("not reported: %+v", report.Damage)
	}
}

// A disk that fails is no damage: the salvage ends, and nothing passes for lost.
func TestSalvageFault(t *testing.T) {
	v := newVictim(t, false)
	for _, kind := range []vfs.Kind{vfs.KindRead, vfs.KindOpen, vfs.KindWrite, vfs.KindList} {
		var n atomic.Int64
		for at := int64(1); ; at = at*2 + 1 {
			fault := vfs.NewFault(v.disk.Kill())
			n.Store(0)
			fault.SetHook(func(op vfs.Op) error {
				if op.Kind == kind && n.Add(1) == at {
					return syscall.EIO
				}
				return nil
			})
			opts := v.opts
			opts.fs = fault
			_, err := Salvage(context.Background(), v.path, salvageDest, &SalvageOptions{Options: opts})
			if n.Load() < at {
				break
			}
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("%s %d failed: %v", kind, at, err)
			}
		}
		if n.Load() == 0 {
			t.Errorf("there was no %s", kind)
		}
	}
}
