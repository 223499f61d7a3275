package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

const fuzzDir = "/store"

// writeMem puts a file on a disk in memory.
func writeMem(t testing.TB, disk *vfs.Mem, name string, content []byte) {
	t.Helper()
	if err := disk.MkdirAll(fuzzDir); err != nil {
		t.Fatal(err)
	}
	f, err := disk.Create(filepath.Join(fuzzDir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
}

func readMem(t testing.TB, disk vfs.FS, name string) []byte {
	t.Helper()
	f, err := disk.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sampleManifest has an edit for each item.
func sampleManifest() (m *manifest, edits []edit) {
	m = &manifest{salt: 0x0102030405060708}
	for i := range 16 {
		m.state.storeID[i], m.state.indexKey[i] = byte(i), byte(0xf0+i)
	}
	edits = []edit{
		edit(nil).next(7).reached(epoch, 1000).add(1, segment.Log, 11).seal(1, 4096).add(2, segment.Log, 22).freeze(2, 72),
		edit(nil).next(8),
		edit(nil).add(7, segment.Value, 1<<63),
		edit(nil).add(8, segment.Log, 88),
		edit(nil).cut(8, cut{incarnation: 2, from: 4096}),
		edit(nil).cut(8, cut{incarnation: 3, from: 8192}),
		edit(nil).seal(2, 1<<20),
		edit(nil).add(9, segment.Packed, 99).seal(9, 512).remove(1),
		edit(nil).closed(8, 16384).reached(epoch+1, 1<<40),
	}
	return m, edits
}

// manifestFile returns a manifest with the edits.
func manifestFile(m *manifest, edits []edit) []byte {
	b := m.appendHeader(nil, m.salt)
	for _, e := range edits {
		b = appendEdit(b, m.salt, int64(len(b)), e)
	}
	return append(b, make([]byte, max(0, manifestSize(len(b))-int64(len(b))))...)
}

// parseManifest opens a manifest of these bytes. One that is accepted has to say
// the same when it is written anew, and nothing else may come out of it.
func parseManifest(t *testing.T, content []byte) {
	disk := vfs.NewMem()
	writeMem(t, disk, manifestName, content)
	m, err := openManifest(disk, fuzzDir, true)
	if err != nil {
		return
	}
	again := manifestState{storeID: m.state.storeID, indexKey: m.state.indexKey, segments: map[uint64]*segmentInfo{}}
	if err := again.apply(m.state.snapshot()); err != nil {
		t.Fatalf("the snapshot is not accepted: %v", err)
	}
	if !reflect.DeepEqual(again, m.state) {
		t.Fatalf("the snapshot says %+v, want %+v", again, m.state)
	}
	for _, readOnly := range []bool{true, false} {
		opts := &Options{Logger: quiet, ReadOnly: readOnly, AllowClockBehind: true, fs: disk}
		if s, err := Open(fuzzDir, opts); err == nil {
			useStore(t, s)
		}
	}
}

// useStore calls what reads, and closes the store. Anything but a panic goes.
func useStore(t *testing.T, s *Store) {
	ctx := context.Background()
	for info, err := range s.Keys(ctx, "") {
		if err != nil {
			break
		}
		_, _ = s.GetPair(ctx, info.Name)
	}
	for _, key := range []string{"small", "large", "gone", "key:7"} {
		_, _ = s.Get(ctx, key)
	}
	_ = s.Stats()
	_, _ = s.Verify(ctx, nil)
	_ = s.Delete(ctx, "small")
	_ = s.Put(ctx, "key:7", []byte("new"), nil)
	_ = s.Close()
}

func FuzzManifest(f *testing.F) {
	m, edits := sampleManifest()
	whole := manifestFile(m, edits)
	f.Add(bytes.TrimRight(whole, "\x00"))
	f.Add(whole[:200])
	f.Add(whole[:100])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 1<<20 {
			t.Skip()
		}
		parseManifest(t, content)
		if len(content) < manifestSpace { // the rest is zeros
			parseManifest(t, append(content[:len(content):len(content)], make([]byte, manifestSpace-len(content))...))
		}
	})
}

// FuzzManifestEdits puts checksums that fit on arbitrary edits.
func FuzzManifestEdits(f *testing.F) {
	_, edits := sampleManifest()
	for i := range edits {
		f.Add([]byte(edits[0]), []byte(edits[i]))
	}
	f.Add([]byte(edit(nil).next(2).add(1, segment.Log, 1)), []byte(edit(nil).closed(1, 64)))
	f.Add([]byte(edit(nil).next(1<<64-1)), []byte(edit(nil).add(1<<64-1, segment.Log, 1)))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		if len(one)+len(two) > 1<<16 {
			t.Skip()
		}
		m, _ := sampleManifest()
		parseManifest(t, manifestFile(m, []edit{one, two}))
	})
}

// sampleStore returns the files of a small store with a checkpoint.
func sampleStore(t testing.TB) (disk *vfs.Mem, storeID [16]byte) {
	disk = vfs.NewMem()
	clock := newSetClock()
	opts := &Options{Logger: quiet, Clock: clock.now, SegmentBytes: minSegmentBytes, fs: disk}
	s, err := Open(fuzzDir, opts)
	if err != nil {
		t.Fatal(err)
	}
	a := &apiTest{TB: t, Store: s, ctx: context.Background(), clock: clock}
	a.put("small", "value", &PutOptions{Metadata: []byte(`"m"`), Expiration: epoch + 60})
	a.put("large", string(make([]byte, largeFrom)), nil)
	a.put("gone", "value", nil)
	a.delete("gone")
	for i := range 20 {
		a.put("key:"+string(rune('a'+i)), "value", nil)
	}
	a.writesCheckpoint()
	a.close()
	return disk, s.manifest.state.storeID
}

// FuzzCheckpoint puts checksums that fit on an arbitrary head, and on an
// arbitrary part of a shard.
func FuzzCheckpoint(f *testing.F) {
	disk, storeID := sampleStore(f)
	seed := binary.LittleEndian.Uint64(storeID[:])
	head, parts := splitCheckpoint(f, readMem(f, disk, filepath.Join(fuzzDir, checkpointName)))
	f.Add(head, byte(0), []byte{0})
	for i, part := range parts {
		if len(part) > 1 {
			f.Add(head, byte(i), part)
		}
	}
	f.Fuzz(func(t *testing.T, head []byte, shard byte, part []byte) {
		if len(head)+len(part) > 1<<16 {
			t.Skip()
		}
		all := parts
		if front, own, ok := cutLengths(head); ok && bytes.Equal(own, lengthsOf(parts)) {
			// The head is that of the sample, so far: make the lengths fit.
			all = append([][]byte(nil), parts...)
			all[shard] = part
			head = append(front, lengthsOf(all)...)
		}
		damaged := disk.Kill()
		if err := damaged.Remove(filepath.Join(fuzzDir, checkpointName)); err != nil {
			t.Fatal(err)
		}
		writeMem(t, damaged, checkpointName, joinCheckpoint(seed, head, all))
		for _, readOnly := range []bool{true, false} {
			opts := &Options{Logger: quiet, ReadOnly: readOnly, AllowClockBehind: true, fs: damaged}
			if s, err := Open(fuzzDir, opts); err == nil {
				useStore(t, s)
			}
		}
	})
}

func lengthsOf(parts [][]byte) []byte {
	var b []byte
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
	}
	return b
}

// cutLengths parts a head from the lengths of the shards at its end, provided
// that these are below 128.
func cutLengths(head []byte) (front, lengths []byte, ok bool) {
	if len(head) < index.Shards {
		return nil, nil, false
	}
	n := len(head) - index.Shards
	return head[:n:n], head[n:], true
}

// splitCheckpoint takes a checkpoint file apart.
func splitCheckpoint(t testing.TB, file []byte) (head []byte, parts [][]byte) {
	t.Helper()
	length := binary.LittleEndian.Uint32(file[12:])
	off := binary.LittleEndian.Uint64(file[16:])
	head = file[off : off+uint64(length)]
	_, lengths, _ := cutLengths(head)
	at := checkpointHeader
	for _, n := range lengths {
		parts = append(parts, file[at:at+int(n)])
		at += int(n) + 8
	}
	if at != int(off) {
		t.Fatalf("the parts end at %d, the head starts at %d", at, off)
	}
	return head, parts
}

// joinCheckpoint makes a checkpoint file, with all checksums.
func joinCheckpoint(seed uint64, head []byte, parts [][]byte) []byte {
	file := make([]byte, checkpointHeader)
	for i, part := range parts {
		file = append(file, part...)
		file = binary.LittleEndian.AppendUint64(file, checkpointSum(seed+uint64(i)+1, part))
	}
	copy(file, checkpointMagic)
	binary.LittleEndian.PutUint32(file[8:], checkpointVersion)
	binary.LittleEndian.PutUint32(file[12:], uint32(len(head)))
	binary.LittleEndian.PutUint64(file[16:], uint64(len(file)))
	binary.LittleEndian.PutUint64(file[24:], checkpointSum(seed, file[:24], head))
	return append(file, head...)
}

// The fuzz target writes checkpoints that are taken for real ones.
func TestJoinCheckpoint(t *testing.T) {
	disk, storeID := sampleStore(t)
	file := readMem(t, disk, filepath.Join(fuzzDir, checkpointName))
	head, parts := splitCheckpoint(t, file)
	if got := joinCheckpoint(binary.LittleEndian.Uint64(storeID[:]), head, parts); !bytes.Equal(got, file) {
		t.Fatal("taking a checkpoint apart and joining it changed it")
	}
}

// FuzzKeyLog adds the records that the input describes.
func FuzzKeyLog(f *testing.F) {
	f.Add([]byte("some keys, one of eight bytes each"))
	f.Add(bytes.Repeat([]byte{0}, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		k := &keyLog{}
		var want []*loggedKey
		seqs := map[uint64]bool{}
		for len(data) > 8 {
			b := data[:8]
			data = data[8:]
			n := min(int(b[0]), len(data)-1) + 1
			l := &loggedKey{off: int64(binary.LittleEndian.Uint16(b[1:])) * 8, ordinal: int(b[3])}
			l.rec = segment.Record{Key: data[:n], Seq: uint64(binary.LittleEndian.Uint16(b[4:])) << (b[6] % 40)}
			if seqs[l.rec.Seq] {
				continue // two records never have the same
			}
			seqs[l.rec.Seq] = true
			switch b[6] >> 6 {
			case 0:
				l.rec.Tombstone = true
			case 1:
				l.rec.Length, l.rec.Expiration = int64(b[7])<<b[6], int64(b[7])
			case 2:
				l.rec.Metadata = data[n:min(n+int(b[7]), len(data))]
			default:
				l.rec.Pointer = &segment.Pointer{Segment: uint64(b[7]) << 50, Offset: int64(b[6]) * 8}
			}
			k.add(&l.rec, l.off, l.ordinal)
			want = append(want, l)
			data = data[n:]
			if b[7]%16 == 0 {
				k.sorted()
			}
		}
		wantEntries(t, k, want)
	})
}

// Edits that came in several files say the same as in one.
func TestManifestEdits(t *testing.T) {
	m, edits := sampleManifest()
	whole := manifestState{segments: map[uint64]*segmentInfo{}}
	for _, e := range edits {
		if err := whole.apply(e); err != nil {
			t.Fatal(err)
		}
	}
	want := map[uint64]*segmentInfo{
		2: {id: 2, kind: segment.Log, salt: 22, state: stateSealed, end: 1 << 20},
		7: {id: 7, kind: segment.Value, salt: 1 << 63},
		8: {id: 8, kind: segment.Log, salt: 88, end: 16384, cuts: []cut{{2, 4096}, {3, 8192}}},
		9: {id: 9, kind: segment.Packed, salt: 99, state: stateSealed, end: 512},
	}
	if whole.nextID != 10 || whole.maxTime != epoch+1 || whole.lastSeq != 1<<40 || !maps.EqualFunc(whole.segments, want,
		func(a, b *segmentInfo) bool { return reflect.DeepEqual(a, b) }) {
		t.Fatalf("%+v", whole)
	}
	for off, incarnation := range map[int64]uint32{64: 1, 4095: 1, 4096: 2, 8191: 2, 8192: 3, 1 << 30: 3} {
		if got := whole.segments[8].incarnation(off); got != incarnation {
			t.Errorf("incarnation %d at %d, want %d", got, off, incarnation)
		}
	}
	parseManifest(t, manifestFile(m, edits))
	for _, bad := range []edit{
		{}, {99}, edit(nil).add(1, 0, 1), edit(nil).add(1, 4, 1), edit(nil).remove(1), edit(nil).freeze(1, 64),
		edit(nil).add(1, segment.Log, 1).add(1, segment.Log, 1), edit(nil).add(1, segment.Log, 1)[:5],
		edit(nil).add(1, segment.Log, 1).seal(1, segment.MaxSize+1), edit(nil).add(1, segment.Log, 1).freeze(1, -1),
		edit(nil).add(1, segment.Value, 1).lost(1, Count{-1, 1}), edit(nil).lost(1, Count{1, 1}),
	} {
		state := manifestState{segments: map[uint64]*segmentInfo{}}
		if err := state.apply(bad); err == nil && len(bad) > 0 {
			t.Errorf("edit %x was accepted", []byte(bad))
		}
	}
}

// An edit that is damaged is told from a torn one by those behind it.
func TestManifestDamagedEdit(t *testing.T) {
	m, edits := sampleManifest()
	off := int64(manifestHeader)
	for i, e := range edits {
		b := manifestFile(m, edits)
		b[off+editHeader]++
		disk := vfs.NewMem()
		writeMem(t, disk, manifestName, b)
		got, err := openManifest(disk, fuzzDir, true)
		var c *CorruptError
		switch {
		case i < len(edits)-1:
			if !errors.As(err, &c) || c.File != manifestName || c.Offset != off {
				t.Errorf("edit %d damaged: %v; want the error to be at %d", i, err, off)
			}
		case err != nil || !got.torn || got.off != off:
			t.Errorf("last edit damaged: %v", err)
		}
		off += int64(len(appendEdit(nil, m.salt, off, e)))
	}
}
