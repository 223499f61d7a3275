package engine

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// Files of earlier versions have to stay readable: change a golden file only
// together with a format version.
var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	if strings.HasSuffix(name, ".txt") {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		return
	}
	n := 0
	for n < min(len(got), len(want)) && got[n] == want[n] {
		n++
	}
	t.Errorf("%s: %d bytes, want %d; the first difference is at %d", name, len(got), len(want), n)
}

// dumpManifest describes a manifest edit by edit.
func dumpManifest(t *testing.T, b []byte) string {
	t.Helper()
	var out strings.Builder
	m := &manifest{}
	if err := m.decodeHeader(b); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&out, "store %x, index key %x, salt %x\n", m.state.storeID, m.state.indexKey, m.salt)
	off := manifestHeader
	for {
		payload, n := m.edit(b, off)
		if payload == nil {
			break
		}
		fmt.Fprintf(&out, "%d: %s\n", off, strings.Join(describeEdit(t, payload), ", "))
		off += n
	}
	fmt.Fprintf(&out, "%d: end of %d bytes\n", off, len(b))
	return out.String()
}

// describeEdit decodes items on its own: by the table of the format.
func describeEdit(t *testing.T, payload []byte) []string {
	t.Helper()
	names := [...]string{1: "next", 2: "add", 3: "freeze", 4: "seal", 5: "cut", 6: "remove", 7: "closed", 8: "reached", 10: "lost"}
	fields := [...]int{1: 1, 2: 2, 3: 2, 4: 2, 5: 3, 6: 1, 7: 2, 8: 2, 10: 3}
	var items []string
	for len(payload) > 0 {
		tag := payload[0]
		payload = payload[1:]
		item := names[tag]
		for range fields[tag] {
			v, n := binary.Uvarint(payload)
			item += fmt.Sprint(" ", v)
			payload = payload[n:]
		}
		if tag == 2 {
			item += fmt.Sprintf(" %x", binary.LittleEndian.Uint64(payload))
			payload = payload[8:]
		}
		items = append(items, item)
	}
	return items
}

func TestGoldenManifest(t *testing.T) {
	m, edits := sampleManifest()
	b := manifestFile(m, edits)
	golden(t, "manifest", b)
	golden(t, "manifest.txt", []byte(dumpManifest(t, b)))
}

// goldenStore is a store that was made once. Its files hold random ids, so each
// -update makes another one.
const goldenStore = "store"

func makeGoldenStore(t *testing.T) {
	a := openAPI(t, Options{SegmentBytes: minSegmentBytes})
	rng := newRand(t)
	for i := range 45 { // two segments
		a.put(fmt.Sprintf("noise:%03d", i), string(incompressible(rng, 2000)), nil)
	}
	a.awaitSealed()
	a.put("text", strings.Repeat("some text ", 1000), &PutOptions{Metadata: json.RawMessage(`{"lang":"en"}`)})
	a.put("expires", "soon", &PutOptions{Expiration: epoch + 3600})
	a.put("large", strings.Repeat("large ", 30_000), &PutOptions{Metadata: json.RawMessage(`[1,2]`), Expiration: epoch + 1e9})
	a.put("empty", "", nil)
	for i := range 10 {
		a.delete(fmt.Sprintf("noise:%03d", i*4))
	}
	a.put("noise:001", "overwritten", nil)
	a.writesCheckpoint()
	a.reopen()
	a.put("after the checkpoint", "value", nil)
	a.delete("noise:002")
	a.close()
	to := filepath.Join("testdata", goldenStore)
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	copyStore(t, a.path, to)
}

// openGolden opens a copy of the golden store.
func openGolden(t *testing.T, opts Options) *apiTest {
	t.Helper()
	dir := t.TempDir()
	copyStore(t, filepath.Join("testdata", goldenStore), dir)
	return openAPIAt(t, dir, opts)
}

// dumpStore describes all that a store says of itself and its pairs.
func dumpStore(a *apiTest) string {
	var out strings.Builder
	out.WriteString(a.contents())
	for _, sg := range a.Stats().Segments {
		fmt.Fprintf(&out, "segment %d %s %s, %d bytes: %+v, %d tombstones, %+v\n",
			sg.ID, sg.Kind, sg.State, sg.FileBytes, sg.Puts, sg.Tombstones, sg.Garbage)
	}
	fmt.Fprintf(&out, "sequence %d, second %d, checkpoint %+v\n", a.recovered.maxSeq, a.recovered.maxTime, a.checkpointed)
	return out.String()
}

func TestGoldenStore(t *testing.T) {
	if *update {
		makeGoldenStore(t)
	}
	// Read-only, a store is as it was: the background does not go on with it.
	a := openGolden(t, Options{ReadOnly: true, SegmentBytes: minSegmentBytes})
	if !a.recovered.checkpoint {
		t.Fatal("the checkpoint was not used")
	}
	golden(t, "store.txt", []byte(dumpStore(a)))
	if report, err := a.Verify(a.ctx, nil); err != nil || len(report.Damage) > 0 {
		t.Fatal(report, err)
	}
	manifest, err := os.ReadFile(filepath.Join("testdata", goldenStore, manifestName))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "store.manifest.txt", []byte(dumpManifest(t, manifest)))

	// From the segments alone comes the same, and so it does to who writes.
	want := a.contents()
	a.close()
	if err := os.Remove(a.file(checkpointName)); err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{true, false} {
		a.opts.ReadOnly = readOnly
		a.reopen()
		if got := a.contents(); got != want {
			t.Errorf("without the checkpoint, read-only %v:\n%s\nwith it:\n%s", readOnly, got, want)
		}
	}
}

// The checkpoint of the golden store at this time, written anew by this program.
func TestGoldenCheckpoint(t *testing.T) {
	a := openGolden(t, Options{ReadOnly: true})
	var at position
	for _, sg := range a.segs.all() {
		if sg.kind == segment.Log && sg.end.Load() > segment.HeaderSize {
			at = position{sg.id, sg.end.Load()}
		}
	}
	disk := vfs.NewMem()
	file, err := disk.Create("/" + checkpointName)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := checkpointWriter{s: a.Store, at: at, seq: a.recovered.maxSeq, end: at, file: file}
	if err := w.fill(); err != nil {
		t.Fatal(err)
	}
	b := readMem(t, disk, "/"+checkpointName)
	golden(t, "checkpoint", b)
	golden(t, "checkpoint.txt", []byte(dumpCheckpoint(t, b)))
}

func dumpCheckpoint(t *testing.T, b []byte) string {
	t.Helper()
	var out strings.Builder
	head, parts := splitCheckpoint(t, b)
	uvarint := func() uint64 {
		v, n := binary.Uvarint(head)
		head = head[n:]
		return v
	}
	fmt.Fprintf(&out, "log segment %d, offset %d\n", uvarint(), uvarint())
	fmt.Fprintf(&out, "sequence %d\n", uvarint())
	fmt.Fprintf(&out, "finished at log segment %d, offset %d\n", uvarint(), uvarint())
	fmt.Fprintf(&out, "manifest: next %d, sequence %d, second %d\n", uvarint(), uvarint(), uvarint())
	fmt.Fprintf(&out, "lost: %d of %d bytes\n", uvarint(), uvarint())
	fmt.Fprintf(&out, "branch: %x\n", uvarint())
	fmt.Fprintf(&out, "quiet: %d\n", uvarint())
	for range uvarint() {
		fmt.Fprintf(&out, "segment %d, salt %x, in slot %d: puts %d of %d bytes, tombstones %d, overwritten %d of %d bytes, deleted %d of %d bytes, expired %d of %d bytes\n",
			uvarint(), uvarint(), uvarint(), uvarint(), uvarint(), uvarint(), uvarint(), uvarint(), uvarint(), uvarint(), uvarint(), uvarint())
	}
	for i, part := range parts {
		if len(part) > 1 {
			fmt.Fprintf(&out, "shard %d: %x\n", i, part)
		}
	}
	return out.String()
}
