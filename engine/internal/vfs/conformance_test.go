package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// system is a file system under test and a directory in it to work in.
type system struct {
	fs  FS
	dir string
}

func (s system) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// TestConformance runs each case on every implementation: code tested on Mem must find the same on a disk.
func TestConformance(t *testing.T) {
	systems := []struct {
		name string
		make func(t *testing.T) system
	}{
		{"os", func(t *testing.T) system { return system{OS, t.TempDir()} }},
		{"mem", func(t *testing.T) system { return system{newMemDir(t), "/db"} }},
		{"fault", func(t *testing.T) system { return system{NewFault(newMemDir(t)), "/db"} }},
	}
	cases := []struct {
		name string
		run  func(t *testing.T, s system)
	}{
		{"read and write", testReadWrite},
		{"holes", testHoles},
		{"truncate", testTruncate},
		{"preallocate", testPreallocate},
		{"write out", testWriteOut},
		{"map reads", testMapReads},
		{"create", testCreate},
		{"open", testOpen},
		{"read only", testReadOnly},
		{"closed", testClosed},
		{"rename", testRename},
		{"link", testLink},
		{"remove", testRemove},
		{"directories", testDirectories},
		{"stat", testStat},
		{"free", testFree},
		{"lock", testLock},
		{"concurrency", testConcurrency},
	}
	for _, sys := range systems {
		for _, c := range cases {
			t.Run(sys.name+"/"+c.name, func(t *testing.T) { c.run(t, sys.make(t)) })
		}
	}
}

func newMemDir(t *testing.T) *Mem {
	t.Helper()
	m := NewMem()
	must(t, m.MkdirAll("/db"))
	must(t, m.SyncDir("/"))
	return m
}

func testReadWrite(t *testing.T, s system) {
	f := create(t, s, "f", "")
	big := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	write(t, f, big, 0)
	write(t, f, []byte("XYZ"), 4095)
	copy(big[4095:], "XYZ")
	wantBytes(t, f, big)

	p := make([]byte, 10)
	if n, err := f.ReadAt(p, int64(len(big))-4); n != 4 || err != io.EOF {
		t.Errorf("read across the end: %d, %v", n, err)
	}
	if n, err := f.ReadAt(p, int64(len(big))+4); n != 0 || err != io.EOF {
		t.Errorf("read behind the end: %d, %v", n, err)
	}
	if n, err := f.ReadAt(p, int64(len(big))-10); n != 10 || err != nil {
		t.Errorf("read up to the end: %d, %v", n, err)
	}
	if _, err := f.ReadAt(p, -1); err == nil {
		t.Error("read at a negative offset")
	}
	if _, err := f.WriteAt(p, -1); err == nil {
		t.Error("write at a negative offset")
	}
	must(t, f.SyncData())
	must(t, f.Sync())
	wantBytes(t, f, big)
}

func testHoles(t *testing.T, s system) {
	f := create(t, s, "f", "")
	write(t, f, []byte("end"), 20_000)
	want := make([]byte, 20_003)
	copy(want[20_000:], "end")
	wantBytes(t, f, want)
}

func testTruncate(t *testing.T, s system) {
	f := create(t, s, "f", "0123456789")
	must(t, f.Truncate(4))
	wantBytes(t, f, []byte("0123"))
	must(t, f.Truncate(8))
	wantBytes(t, f, []byte("0123\x00\x00\x00\x00"))
	must(t, f.Truncate(10_000))
	must(t, f.Truncate(0))
	wantBytes(t, f, nil)
	if err := f.Truncate(-1); err == nil {
		t.Error("truncate to a negative size")
	}
}

func testPreallocate(t *testing.T, s system) {
	f := create(t, s, "f", "0123456789")
	must(t, f.Preallocate(4, 2))
	wantBytes(t, f, []byte("0123456789"))
	must(t, f.Preallocate(0, 100_000))
	want := make([]byte, 100_000)
	copy(want, "0123456789")
	wantBytes(t, f, want)
	must(t, f.Preallocate(100_000, 0))
	wantBytes(t, f, want)
	if err := f.Preallocate(-1, 10); err == nil {
		t.Error("preallocation at a negative offset")
	}
	if err := f.Preallocate(1<<62, 1<<62); err == nil {
		t.Error("preallocation past the largest offset")
	}
}

func testWriteOut(t *testing.T, s system) {
	f := create(t, s, "f", "0123456789")
	f.WriteOut(2, 4)
	f.WriteOut(0, 1<<40) // further than the file goes
	f.WriteOut(-1, 1)
	wantBytes(t, f, []byte("0123456789"))
	must(t, f.Sync())
	must(t, f.Close())
	f.WriteOut(0, 1)
}

func testMapReads(t *testing.T, s system) {
	want := make([]byte, 100_000)
	for i := range want {
		want[i] = byte(i * i >> 8)
	}
	for _, size := range []int64{-1, 0, 1, 4096, 4097, 99_999, 100_000} {
		f := create(t, s, fmt.Sprint("f", size), string(want))
		f.MapReads(size)
		f.MapReads(size + 1) // the first one counts
		for _, off := range []int{0, 1, 4095, 4096, 99_998, 99_999, 100_000, 100_001} {
			for _, n := range []int{0, 1, 2, 4096, 16 << 10, 16<<10 + 1} {
				p := make([]byte, n)
				got, err := f.ReadAt(p, int64(off))
				left := want[min(off, len(want)):]
				if wantN := min(n, len(left)); got != wantN || !bytes.Equal(p[:got], left[:wantN]) || n > len(left) != (err == io.EOF) && n > 0 {
					t.Fatalf("%d bytes mapped: %d of %d bytes at %d, %v", size, got, n, off, err)
				}
			}
		}
		if _, err := f.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("read at a negative offset")
		}
		wantBytes(t, f, want)
		must(t, f.Close())
		f.MapReads(size)
		if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("read of a closed file: %v", err)
		}
	}
}

func testCreate(t *testing.T, s system) {
	create(t, s, "f", "abc")
	must(t, s.fs.MkdirAll(s.path("d")))
	for _, name := range []string{"f", "d"} {
		_, err := s.fs.Create(s.path(name))
		wantErr(t, err, fs.ErrExist)
	}
	_, err := s.fs.Create(s.path("none", "f"))
	wantErr(t, err, fs.ErrNotExist)
	_, err = s.fs.Create(s.path("f", "g"))
	wantErr(t, err, syscall.ENOTDIR)
}

func testOpen(t *testing.T, s system) {
	create(t, s, "f", "abc")
	must(t, s.fs.MkdirAll(s.path("d")))
	for _, open := range []func(string) (File, error){s.fs.Open, s.fs.OpenReadWrite} {
		_, err := open(s.path("none"))
		wantErr(t, err, fs.ErrNotExist)
		_, err = open(s.path("d"))
		wantErr(t, err, ErrNotRegular)
		f, err := open(s.path("f"))
		must(t, err)
		wantBytes(t, f, []byte("abc"))
		must(t, f.Close())
	}
}

func testReadOnly(t *testing.T, s system) {
	create(t, s, "f", "abc")
	f, err := s.fs.Open(s.path("f"))
	must(t, err)
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("write")
	}
	if err := f.Truncate(0); err == nil {
		t.Error("truncate")
	}
	if err := f.Preallocate(0, 100); err == nil {
		t.Error("preallocate")
	}
	wantBytes(t, f, []byte("abc"))
}

func testClosed(t *testing.T, s system) {
	f, err := s.fs.Create(s.path("f"))
	must(t, err)
	must(t, f.Close())
	_, readErr := f.ReadAt(make([]byte, 1), 0)
	_, writeErr := f.WriteAt(make([]byte, 1), 0)
	_, sizeErr := f.Size()
	for _, err := range []error{
		readErr, writeErr, sizeErr, f.Truncate(1), f.Preallocate(0, 1), f.SyncData(), f.Sync(), f.Close(),
	} {
		wantErr(t, err, fs.ErrClosed)
	}
}

func testRename(t *testing.T, s system) {
	create(t, s, "a", "A")
	create(t, s, "b", "B")
	must(t, s.fs.MkdirAll(s.path("d")))
	must(t, s.fs.Rename(s.path("a"), s.path("b")))
	wantNames(t, s, "b", "d")
	wantContent(t, s, "b", "A")
	must(t, s.fs.Rename(s.path("b"), s.path("d", "c")))
	wantContent(t, s, filepath.Join("d", "c"), "A")
	wantErr(t, s.fs.Rename(s.path("none"), s.path("x")), fs.ErrNotExist)
	create(t, s, "f", "F")
	if err := s.fs.Rename(s.path("f"), s.path("d")); err == nil {
		t.Error("rename over a directory")
	}
	must(t, s.fs.Rename(s.path("d"), s.path("e")))
	wantContent(t, s, filepath.Join("e", "c"), "A")
	if err := s.fs.Rename(s.path("e"), s.path("e", "inside")); err == nil {
		t.Error("rename of a directory into itself")
	}
	must(t, s.fs.Rename(s.path("f"), s.path("f")))
	wantNames(t, s, "e", "f")
}

func testLink(t *testing.T, s system) {
	f := create(t, s, "a", "A")
	must(t, s.fs.MkdirAll(s.path("d")))
	must(t, s.fs.Link(s.path("a"), s.path("d", "b")))
	write(t, f, []byte("AA"), 0)
	must(t, s.fs.Remove(s.path("a")))
	wantContent(t, s, filepath.Join("d", "b"), "AA")
	wantErr(t, s.fs.Link(s.path("none"), s.path("x")), fs.ErrNotExist)
	create(t, s, "c", "C")
	wantErr(t, s.fs.Link(s.path("c"), s.path("d", "b")), fs.ErrExist)
	if err := s.fs.Link(s.path("d"), s.path("x")); err == nil {
		t.Error("link to a directory")
	}
}

func testRemove(t *testing.T, s system) {
	f := create(t, s, "f", "still here")
	must(t, s.fs.Remove(s.path("f")))
	wantBytes(t, f, []byte("still here"))
	write(t, f, []byte("S"), 0)
	wantErr(t, s.fs.Remove(s.path("f")), fs.ErrNotExist)
	must(t, s.fs.MkdirAll(s.path("d", "e")))
	wantErr(t, s.fs.Remove(s.path("d")), syscall.ENOTEMPTY)
	must(t, s.fs.Remove(s.path("d", "e")))
	must(t, s.fs.Remove(s.path("d")))
	wantNames(t, s)
}

func testDirectories(t *testing.T, s system) {
	must(t, s.fs.MkdirAll(s.path("x", "y", "z")))
	must(t, s.fs.MkdirAll(s.path("x", "y")))
	create(t, s, "b", "")
	create(t, s, "a", "")
	create(t, s, "B", "")
	wantNames(t, s, "B", "a", "b", "x")
	wantErr(t, s.fs.MkdirAll(s.path("a", "sub")), syscall.ENOTDIR)
	_, err := s.fs.List(s.path("none"))
	wantErr(t, err, fs.ErrNotExist)
	_, err = s.fs.List(s.path("a"))
	wantErr(t, err, syscall.ENOTDIR)
	must(t, s.fs.SyncDir(s.dir))
	must(t, s.fs.SyncDir(s.path("x", "y")))
}

func testStat(t *testing.T, s system) {
	f := create(t, s, "f", "abc")
	must(t, f.Sync())
	info, err := s.fs.Stat(s.path("f"))
	must(t, err)
	if info.Size != 3 || !info.Mode.IsRegular() {
		t.Errorf("file: %+v", info)
	}
	before := info.Allocated
	must(t, f.Preallocate(0, 1<<20))
	info, err = s.fs.Stat(s.path("f"))
	must(t, err)
	if info.Size != 1<<20 || info.Allocated < before {
		t.Errorf("preallocated: %+v, %d bytes allocated before", info, before)
	}
	must(t, s.fs.MkdirAll(s.path("d")))
	info, err = s.fs.Stat(s.path("d"))
	must(t, err)
	if !info.Mode.IsDir() {
		t.Errorf("directory: %+v", info)
	}
	_, err = s.fs.Stat(s.path("none"))
	wantErr(t, err, fs.ErrNotExist)
}

func testFree(t *testing.T, s system) {
	n, err := s.fs.Free(s.dir)
	must(t, err)
	if n < 1<<20 {
		t.Errorf("%d bytes free, too few for these tests", n)
	}
	_, err = s.fs.Free(s.path("none"))
	wantErr(t, err, fs.ErrNotExist)
}

func testLock(t *testing.T, s system) {
	lock, err := s.fs.Lock(s.path("LOCK"))
	must(t, err)
	wantNames(t, s, "LOCK")
	_, err = s.fs.Lock(s.path("LOCK"))
	wantErr(t, err, ErrLocked)
	other, err := s.fs.Lock(s.path("OTHER"))
	must(t, err)
	must(t, lock.Close())
	wantErr(t, lock.Close(), fs.ErrClosed)
	lock, err = s.fs.Lock(s.path("LOCK"))
	must(t, err)
	must(t, lock.Close())
	must(t, other.Close())
	must(t, s.fs.MkdirAll(s.path("d")))
	_, err = s.fs.Lock(s.path("d"))
	wantErr(t, err, ErrNotRegular)
}

func testConcurrency(t *testing.T, s system) {
	f := create(t, s, "f", "")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p := bytes.Repeat([]byte{byte('a' + i)}, 1000)
			off := int64(i * len(p))
			if n, err := f.WriteAt(p, off); n != len(p) || err != nil {
				t.Errorf("write at %d: %d, %v", off, n, err)
			}
			if err := f.SyncData(); err != nil {
				t.Error(err)
			}
			got := make([]byte, len(p))
			if _, err := f.ReadAt(got, off); err != nil || !bytes.Equal(got, p) {
				t.Errorf("read at %d: %v", off, err)
			}
		})
	}
	wg.Wait()
}

func create(t *testing.T, s system, name, content string) File {
	t.Helper()
	f, err := s.fs.Create(s.path(name))
	must(t, err)
	t.Cleanup(func() { f.Close() })
	write(t, f, []byte(content), 0)
	return f
}

func write(t *testing.T, f File, p []byte, off int64) {
	t.Helper()
	if n, err := f.WriteAt(p, off); n != len(p) || err != nil {
		t.Fatalf("write of %d at %d: %d, %v", len(p), off, n, err)
	}
}

func readAll(t *testing.T, f File) []byte {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	p := make([]byte, size)
	if n, err := f.ReadAt(p, 0); n != len(p) || err != nil && err != io.EOF {
		t.Fatalf("read of %d: %d, %v", len(p), n, err)
	}
	return p
}

func wantBytes(t *testing.T, f File, want []byte) {
	t.Helper()
	if got := readAll(t, f); !bytes.Equal(got, want) {
		t.Errorf("content: got %.40q (%d bytes), want %.40q (%d bytes)", got, len(got), want, len(want))
	}
}

func wantContent(t *testing.T, s system, name, want string) {
	t.Helper()
	f, err := s.fs.Open(s.path(name))
	must(t, err)
	defer f.Close()
	wantBytes(t, f, []byte(want))
}

func wantNames(t *testing.T, s system, want ...string) {
	t.Helper()
	got, err := s.fs.List(s.dir)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("names: got %q, want %q", got, want)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
