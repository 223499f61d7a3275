package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// hashTree describes everything in and below a directory. Nothing is followed.
func hashTree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprint(&b, strings.TrimPrefix(name, dir), " ", info.Mode())
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			fmt.Fprintln(&b, " to", target)
			return err
		case info.Size() > 1<<30 || !info.Mode().IsRegular():
			fmt.Fprintln(&b, " of", info.Size())
			return nil
		}
		content, err := os.ReadFile(name)
		fmt.Fprintf(&b, " of %d: %x\n", len(content), xxhash.Sum64(content))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Fatal(err)
	}
	return b.String()
}

// refused checks that the directory cannot be opened, for reading or writing, that
// the error matches want and says all texts, that nothing in root is other than it
// was, and that nothing stays open or locked.
func refused(t *testing.T, root, dir string, opts Options, want error, texts ...string) {
	t.Helper()
	before := hashTree(t, root)
	for _, readOnly := range []bool{false, true} {
		opts.ReadOnly = readOnly
		s, err := Open(dir, &opts)
		if s != nil || !errors.Is(err, want) {
			t.Fatalf("read-only %v: %v; want %v", readOnly, err, want)
		}
		for _, text := range append(texts, dir) {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("read-only %v: %q does not say %q", readOnly, err, text)
			}
		}
		if open := openFiles(t, root); len(open) > 0 {
			t.Errorf("read-only %v: %q stay open", readOnly, open)
		}
		lock, err := vfs.OS.LockShared(filepath.Join(dir, lockName))
		if errors.Is(err, ErrLocked) {
			t.Errorf("read-only %v: the lock is held", readOnly)
		} else if err == nil {
			_ = lock.Close()
		}
	}
	if after := hashTree(t, root); after != before {
		t.Errorf("a refused open left\n%s\nthere was\n%s", after, before)
	}
}

// hostile is a closed store that has segments of all kinds, for somebody to meddle
// with.
type hostile struct {
	*apiTest
	root string // everything of the test is in here
	seg  map[segment.Kind]string
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	root := t.TempDir()
	h := &hostile{root: root, seg: map[segment.Kind]string{}}
	h.apiTest = openAPIAt(t, filepath.Join(root, "store"), Options{ManualCompaction: true})
	h.put("large", strings.Repeat("large", largeFrom), nil)
	h.put("packed", "value", nil)
	if err := h.Compact(h.ctx); err != nil {
		t.Fatal(err)
	}
	h.put("large", strings.Repeat("newer", largeFrom), nil)
	h.put("key", "value", nil)
	for _, sg := range h.segs.all() {
		if h.seg[sg.kind] == "" {
			h.seg[sg.kind] = sg.name()
		}
	}
	if len(h.seg) != 3 {
		t.Fatal(h.seg)
	}
	h.writesCheckpoint()
	h.close()
	return h
}

func (h *hostile) refused(want error, texts ...string) {
	h.Helper()
	refused(h.TB.(*testing.T), h.root, h.path, h.opts, want, texts...)
}

func (h *hostile) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// names are those of the files that a store cannot do without.
func (h *hostile) needed() []string {
	return []string{lockName, manifestName, h.seg[segment.Log], h.seg[segment.Packed], h.seg[segment.Value]}
}

// intact checks that the store opens, and has what was put into it.
func (h *hostile) intact() {
	h.Helper()
	for _, readOnly := range []bool{true, false} {
		h.opts.ReadOnly = readOnly
		h.open()
		h.wantValue("key", "value")
		h.wantValue("packed", "value")
		h.wantValue("large", strings.Repeat("newer", largeFrom))
		h.close()
	}
}

// What is in the place of a file of the store is not followed, entered or waited
// for.
func TestHostileNotAFile(t *testing.T) {
	h := newHostile(t)
	away := filepath.Join(h.root, "away")
	for what, place := range map[string]func(name string) error{
		"symlink":           func(name string) error { return os.Symlink(away, name) },
		"symlink to none":   func(name string) error { return os.Symlink(filepath.Join(h.root, "none"), name) },
		"directory":         func(name string) error { return os.Mkdir(name, 0o700) },
		"symlink to itself": func(name string) error { return os.Symlink(name, name) },
	} {
		for _, name := range h.needed() {
			t.Run(what+" for "+name, func(t *testing.T) {
				h.must(os.Rename(h.file(name), away))
				h.must(place(h.file(name)))
				refused(t, h.root, h.path, h.opts, ErrNotRegular, name, "not a regular file")
				h.must(os.Remove(h.file(name)))
				h.must(os.Rename(away, h.file(name)))
			})
		}
	}
	h.intact()
}

// A checkpoint can be done without, whatever is in its place.
func TestHostileCheckpoint(t *testing.T) {
	for what, place := range map[string]func(name string) error{
		"symlink":   func(name string) error { return os.Symlink("/dev/zero", name) },
		"directory": func(name string) error { return os.MkdirAll(filepath.Join(name, "mine"), 0o700) },
		"other store's": func(name string) error {
			b, err := os.ReadFile(newHostile(t).file(checkpointName))
			if err != nil {
				return err
			}
			return os.WriteFile(name, b, 0o600)
		},
		"huge": func(name string) error { return os.WriteFile(name, make([]byte, 1<<20), 0o600) },
	} {
		t.Run(what, func(t *testing.T) {
			h := newHostile(t)
			h.must(os.Remove(h.file(checkpointName)))
			h.must(place(h.file(checkpointName)))
			h.intact()
			h.opts.ReadOnly = false
			h.open()
			h.put("more", "value", nil)
			h.reopen()
			h.wantValue("more", "value")
			if _, err := os.Stat(h.file(checkpointName + "/mine")); what == "directory" && err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHostileDirectory(t *testing.T) {
	h := newHostile(t)
	file := filepath.Join(h.root, "file")
	appendTo(t, file, "text")
	refused(t, h.root, file, h.opts, ErrNotStore, "not a directory")
	refused(t, h.root, filepath.Join(file, "store"), h.opts, ErrNotStore, "not a directory")

	// A link to the directory of a store is the store.
	link := filepath.Join(h.root, "link")
	h.must(os.Symlink(h.path, link))
	h.open()
	if s, err := Open(link, &h.opts); s != nil || !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), lockName) {
		t.Errorf("open by another path: %v", err)
	}
	h.close()
	other := *h
	other.apiTest = &apiTest{TB: t, path: link, opts: h.opts, ctx: h.ctx, clock: h.clock}
	other.intact()

	// A link to nothing is not taken for a directory to be made.
	dangling := filepath.Join(h.root, "dangling")
	h.must(os.Symlink(filepath.Join(h.root, "nowhere"), dangling))
	refused(t, h.root, dangling, h.opts, ErrNotStore)
	loop := filepath.Join(h.root, "loop")
	h.must(os.Symlink(loop, loop))
	refused(t, h.root, loop, h.opts, ErrNotStore)
}

// Files and directories that are not the store's stay as they are, whatever it
// does.
func TestHostileForeignFiles(t *testing.T) {
	h := newHostile(t)
	foreign := filepath.Join(h.root, "foreign")
	for _, name := range []string{
		"notes.txt", "1.seg", "0000001.seg", "000001.seg.bak", "000001.SEG", "000002.seg~", " 000001.seg", "MANIFEST.old", "manifest",
		".hidden", "lost+found/MANIFEST", "lost+found/000001.seg", "backup/LOCK", "CHECKPOINT.1",
	} {
		for _, dir := range []string{h.path, foreign} {
			name := filepath.Join(dir, name)
			h.must(os.MkdirAll(filepath.Dir(name), 0o700))
			h.must(os.WriteFile(name, []byte("mine: "+filepath.Base(name)), 0o640))
		}
	}
	for _, dir := range []string{h.path, foreign} {
		h.must(os.Symlink("/nowhere", filepath.Join(dir, "link")))
	}
	before := hashTree(t, foreign)
	h.intact()
	h.open()
	h.put("more", strings.Repeat("large", largeFrom), nil)
	h.must(h.Compact(h.ctx))
	backup := filepath.Join(h.root, "backup")
	if _, err := h.Backup(h.ctx, backup, nil); err != nil {
		t.Fatal(err)
	}
	if report, err := h.Verify(h.ctx, nil); err != nil || len(report.Damage) > 0 {
		t.Error(report, err)
	}
	h.close()
	h.intact()
	for _, dir := range []string{h.path, backup} {
		for _, pattern := range []string{"0?????.seg", manifestName, lockName, checkpointName, backupName} {
			ours, err := filepath.Glob(filepath.Join(dir, pattern))
			h.must(err)
			for _, name := range ours {
				h.must(os.Remove(name))
			}
		}
	}
	if after := hashTree(t, h.path); after != before {
		t.Errorf("the foreign files were\n%s\nand are\n%s", before, after)
	}
	if rest := hashTree(t, backup); strings.Count(rest, "\n") != 1 {
		t.Errorf("the backup has foreign files:\n%s", rest)
	}
}

func TestHostileManifest(t *testing.T) {
	h, other := newHostile(t), newHostile(t)
	manifest, err := os.ReadFile(h.file(manifestName))
	h.must(err)
	theirs, err := os.ReadFile(other.file(manifestName))
	h.must(err)
	for what, is := range map[string]struct {
		content []byte
		text    string
	}{
		"another store's": {theirs, "another store"},
		"empty":           {nil, manifestName + ": at 0: header cut short"},
		"cut short":       {manifest[:manifestHeader], manifestName + ": at 64: no edit"},
		"zeros":           {make([]byte, len(manifest)), manifestName + ": at 0: wrong magic"},
		"a segment":       {[]byte("FIRNSEG\n" + string(manifest[8:])), manifestName + ": at 0: wrong magic"},
	} {
		t.Run(what, func(t *testing.T) {
			h.must(os.WriteFile(h.file(manifestName), is.content, 0o600))
			refused(t, h.root, h.path, h.opts, ErrCorrupt, is.text)
		})
	}
	h.must(os.WriteFile(h.file(manifestName), manifest, 0o600))
	h.must(os.Truncate(h.file(manifestName), 1<<40))
	h.refused(ErrCorrupt, manifestName, "too many")
	h.must(os.Truncate(h.file(manifestName), int64(len(manifest))))
	h.intact()
}

// A segment that has become longer than any can be is not read to its end.
func TestHostileHugeSegment(t *testing.T) {
	h := newHostile(t)
	for _, name := range h.seg {
		info, err := os.Stat(h.file(name))
		h.must(err)
		h.must(os.Truncate(h.file(name), 1<<40))
		if name == h.seg[segment.Packed] || h.isSealedFile(name) {
			h.intact() // what is behind the end that is known does not matter
		} else {
			h.refused(ErrCorrupt, name, "longer")
		}
		h.must(os.Truncate(h.file(name), info.Size()))
	}
	h.intact()
}

func (h *hostile) isSealedFile(name string) bool {
	m, err := openManifest(vfs.OS, h.path, true)
	h.must(err)
	for id, info := range m.state.segments {
		if segmentName(id) == name {
			return info.state == stateSealed
		}
	}
	return false
}

// See TestOpenUnknownVersion for the manifest, the log and the checkpoint.
func TestHostileNewerVersion(t *testing.T) {
	h := newHostile(t)
	newer := func(name string) {
		b, err := os.ReadFile(name)
		h.must(err)
		binary.LittleEndian.PutUint32(b[8:], 7)
		binary.LittleEndian.PutUint64(b[56:], xxhash.Sum64(b[:56]))
		h.must(os.WriteFile(name, b, 0o600))
	}
	for _, kind := range []segment.Kind{segment.Packed, segment.Value} {
		name := h.seg[kind]
		old, err := os.ReadFile(h.file(name))
		h.must(err)
		newer(h.file(name))
		h.refused(ErrVersion, name, "format version 7", "knows 1")
		h.must(os.WriteFile(h.file(name), old, 0o600))
	}
	h.open()
	backup := filepath.Join(h.root, "backup")
	_, err := h.Backup(h.ctx, backup, nil)
	h.must(err)
	newer(filepath.Join(backup, manifestName))
	before := hashTree(t, backup)
	if _, err := h.Backup(h.ctx, backup, nil); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), manifestName) {
		t.Errorf("backup to one of a newer version: %v", err)
	}
	if after := hashTree(t, backup); after != before {
		t.Errorf("the refused backup left\n%s\nthere was\n%s", after, before)
	}
}

// readOnlyDisk is one that is mounted read-only.
type readOnlyDisk struct{ vfs.FS }

func readOnlyError(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: syscall.EROFS}
}

func (readOnlyDisk) OpenReadWrite(name string) (vfs.File, error) {
	return nil, readOnlyError("open", name)
}
func (readOnlyDisk) Create(name string) (vfs.File, error) { return nil, readOnlyError("open", name) }
func (readOnlyDisk) Rename(_, name string) error          { return readOnlyError("rename", name) }
func (readOnlyDisk) Remove(name string) error             { return readOnlyError("remove", name) }
func (readOnlyDisk) Link(_, name string) error            { return readOnlyError("link", name) }
func (readOnlyDisk) Lock(name string) (io.Closer, error)  { return nil, readOnlyError("open", name) }

func TestHostileReadOnlyDisk(t *testing.T) {
	h := newHostile(t)
	opts := h.opts
	opts.fs = readOnlyDisk{vfs.OS}
	before := hashTree(t, h.root)
	if s, err := Open(h.path, &opts); s != nil || !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), h.file(lockName)) {
		t.Errorf("for writing: %v", err)
	}
	ro := &hostile{apiTest: &apiTest{TB: t, path: h.path, opts: opts, ctx: h.ctx, clock: h.clock}, root: h.root}
	ro.opts.ReadOnly = true
	ro.open()
	ro.wantValue("large", strings.Repeat("newer", largeFrom))
	if report, err := ro.Verify(ro.ctx, nil); err != nil || len(report.Damage) > 0 {
		t.Error(report, err)
	}
	if _, err := ro.Backup(ro.ctx, filepath.Join(h.root, "backup"), nil); !errors.Is(err, syscall.EROFS) {
		t.Errorf("backup to a read-only disk: %v", err)
	}
	ro.close()
	if open := openFiles(t, h.root); len(open) > 0 {
		t.Errorf("%q stay open", open)
	}
	h.must(os.RemoveAll(filepath.Join(h.root, "backup"))) // the directory is not made through the disk
	if after := hashTree(t, h.root); after != before {
		t.Errorf("it left\n%s\nthere was\n%s", after, before)
	}
	h.intact()
}

// Without the right to do it, the store is not opened, and says which file it is.
func TestHostilePermissions(t *testing.T) {
	if os.Geteuid() <= 0 {
		t.Skip("root may do everything, and Windows has no modes")
	}
	h := newHostile(t)
	for _, name := range h.needed() {
		h.must(os.Chmod(h.file(name), 0))
		h.refused(fs.ErrPermission, name)
		h.must(os.Chmod(h.file(name), 0o600))
	}
	h.must(os.Chmod(h.path, 0))
	h.refused(fs.ErrPermission)
	h.must(os.Chmod(h.path, 0o500))
	for _, name := range h.needed() {
		h.must(os.Chmod(h.file(name), 0o400))
	}
	before := hashTree(t, h.root)
	if s, err := Open(h.path, &h.opts); s != nil || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), lockName) {
		t.Errorf("for writing: %v", err)
	}
	h.opts.ReadOnly = true
	h.open()
	h.wantValue("large", strings.Repeat("newer", largeFrom))
	h.close()
	if after := hashTree(t, h.root); after != before {
		t.Errorf("it left\n%s\nthere was\n%s", after, before)
	}
	for _, name := range h.needed() {
		h.must(os.Chmod(h.file(name), 0o600))
	}
	h.must(os.Chmod(h.path, 0o700))
	h.intact()
}

// A store on a disk that is full already can be opened and read. A new one cannot be
// made, and can be later.
func TestHostileFullDisk(t *testing.T) {
	full := vfs.NewFault(vfs.OS)
	full.SetHook(func(op vfs.Op) error {
		switch op.Kind {
		case vfs.KindCreate, vfs.KindPreallocate:
			return syscall.ENOSPC
		case vfs.KindWrite:
			if filepath.Base(op.Name) != manifestName { // of which it has some in advance
				return vfs.ShortWrite{}
			}
		}
		return nil
	})
	h := newHostile(t)
	h.opts.fs = full
	h.open()
	h.wantValue("large", strings.Repeat("newer", largeFrom))
	for _, n := range []int{10, largeFrom} {
		if err := h.Put(h.ctx, "new", make([]byte, n), nil); !errors.Is(err, ErrNoSpace) {
			t.Errorf("put of %d bytes: %v", n, err)
		}
	}
	h.wantAbsent("new")
	full.SetHook(nil)
	h.put("new", "value", nil)
	h.delete("new")
	h.close()
	h.opts.fs = nil
	h.intact()

	opts := h.opts
	dir := filepath.Join(h.root, "new")
	for _, kind := range []vfs.Kind{vfs.KindCreate, vfs.KindPreallocate, vfs.KindWrite} {
		full.SetHook(func(op vfs.Op) error {
			if op.Kind == kind {
				return syscall.ENOSPC
			}
			return nil
		})
		opts.fs, opts.ReadOnly = full, false
		if s, err := Open(dir, &opts); s != nil || !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), manifestTmpName) {
			t.Errorf("no room for %s: %v", kind, err)
		}
		if open := openFiles(t, h.root); len(open) > 0 {
			t.Errorf("no room for %s: %q stay open", kind, open)
		}
	}
	opts.fs = nil
	s, err := Open(dir, &opts)
	h.must(err)
	h.must(s.Close())
}
