package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestOSFreeCountsDown allows for others that use the same disk.
func TestOSFreeCountsDown(t *testing.T) {
	const taken, slack = 64 << 20, 32 << 20
	s := system{OS, t.TempDir()}
	before, err := s.fs.Free(s.dir)
	must(t, err)
	if before < 4*taken {
		t.Skipf("only %d bytes free", before)
	}
	f := create(t, s, "f", "")
	must(t, f.Preallocate(0, taken))
	after, err := s.fs.Free(s.dir)
	must(t, err)
	if got := before - after; got < taken-slack || got > taken+slack {
		t.Errorf("preallocating %d bytes took %d", taken, got)
	}
}

func TestOSPreallocateTakesSpace(t *testing.T) {
	s := system{OS, t.TempDir()}
	f := create(t, s, "f", "abc")
	must(t, f.Preallocate(0, 1<<20))
	info, err := s.fs.Stat(s.path("f"))
	must(t, err)
	if info.Allocated < 1<<20 {
		t.Errorf("allocated %d bytes, want 1 MiB at least; does the file system have fallocate?", info.Allocated)
	}
	must(t, f.Truncate(3))
	must(t, f.Sync())
	info, err = s.fs.Stat(s.path("f"))
	must(t, err)
	if info.Allocated >= 1<<20 {
		t.Errorf("allocated %d bytes after truncation", info.Allocated)
	}
}

// mapFile returns a file of 64 KiB that is mapped, with byte i>>8 at i.
func mapFile(t *testing.T, name string) *osFile {
	t.Helper()
	s := system{OS, t.TempDir()}
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = byte(i >> 8)
	}
	f := create(t, s, name, string(b)).(*osFile)
	f.MapReads(int64(len(b)))
	if f.mapped.Load() == nil {
		t.Fatal("the file is not mapped")
	}
	return f
}

// A file that is cut short, or whose disk fails, makes an access to the mapping a fault. ReadAt reports what is wrong
// with the file, and the process goes on.
func TestOSMappedFileCutShort(t *testing.T) {
	f := mapFile(t, "f")
	p := make([]byte, 10)
	if n, err := f.ReadAt(p, 50_000); n != 10 || err != nil || p[0] != 50_000>>8 {
		t.Fatalf("read %d bytes, %v: %v", n, p, err)
	}
	must(t, f.Truncate(8192))
	for range 200 { // with the mapping and without
		if n, err := f.ReadAt(p, 50_000); n != 0 || err != io.EOF {
			t.Fatalf("read %d bytes behind the end: %v", n, err)
		}
		if n, err := f.ReadAt(p, 8190); n != 2 || err != io.EOF {
			t.Fatalf("read %d bytes at the end: %v", n, err)
		}
		if n, err := f.ReadAt(p, 4096); n != 10 || err != nil || p[0] != 4096>>8 {
			t.Fatalf("read %d bytes before the end, %v: %v", n, p, err)
		}
	}
	must(t, f.Close())
}

// After two copies that took long, or one that failed, so many reads avoid the mapping, and the next one tries it.
func TestOSMappingIsAvoided(t *testing.T) {
	f := mapFile(t, "f")
	m := f.mapped.Load()
	p := make([]byte, 10)
	m.avoid.Store(avoidReads)
	for i := range avoidReads {
		if m.readAt(p, 0) {
			t.Fatalf("read %d used the mapping", i)
		}
	}
	if !m.readAt(p, 0) {
		t.Error("the mapping is avoided for ever")
	}
	must(t, f.Truncate(0))
	m.avoid.Store(0) // reads before may have been slow
	if m.readAt(p, 0) || m.avoid.Load() != avoidReads {
		t.Errorf("after a fault, %d reads avoid the mapping", m.avoid.Load())
	}
	must(t, f.Close())
}

// A single copy that took long was interrupted; two of them, with few between, waited for the disk.
func TestOSMappingIsNotAvoidedForOneSlowCopy(t *testing.T) {
	var m mapping
	for range 2 {
		m.took(2 * slowCopy)
		for range alertCopies {
			m.took(slowCopy)
		}
		if n := m.avoid.Load(); n != 0 {
			t.Fatalf("after one slow copy, %d reads avoid the mapping", n)
		}
	}
	m.took(2 * slowCopy)
	for range alertCopies - 1 {
		m.took(slowCopy)
	}
	m.took(2 * slowCopy)
	if n := m.avoid.Load(); n != avoidReads {
		t.Errorf("after two slow copies, %d reads avoid the mapping", n)
	}
}

// A read through the mapping fetches the page it needs. By the usual readahead of a mapping, one in so many reads of
// values that are not in memory would fetch megabytes, and push others out.
func TestOSMappingDoesNotReadAhead(t *testing.T) {
	const size = 32 << 20
	f := create(t, system{OS, t.TempDir()}, "f", "").(*osFile)
	_, err := f.WriteAt(bytes.Repeat([]byte("firn"), size/4), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, unix.Fadvise(int(f.f.Fd()), 0, size, unix.FADV_DONTNEED))
	f.MapReads(size)
	m := f.mapped.Load()
	if n := inMemory(t, m.data); n > size/os.Getpagesize()/2 {
		t.Skipf("%d pages stay in memory: the file system has no others", n)
	}
	p := make([]byte, 500)
	const reads = 8
	for i := range int64(reads) {
		m.avoid.Store(0) // reads before may have been slow
		if !m.readAt(p, i*size/reads+size/reads/2) {
			t.Fatalf("read %d did not use the mapping", i)
		}
	}
	if n := inMemory(t, m.data); n < reads || n > 4*reads {
		t.Errorf("%d reads of %d bytes brought %d pages into memory", reads, len(p), n)
	}
	must(t, f.Close())
}

// inMemory returns how many pages of a mapped file are in the page cache.
func inMemory(t *testing.T, b []byte) (n int) {
	t.Helper()
	pages := make([]byte, (len(b)+os.Getpagesize()-1)/os.Getpagesize())
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		t.Skipf("mincore: %v", errno)
	}
	for _, p := range pages {
		n += int(p & 1)
	}
	return n
}

func TestOSMappingGoesWithTheFile(t *testing.T) {
	before := mappings.Load()
	f := mapFile(t, "f")
	if n := mappings.Load(); n != before+1 {
		t.Errorf("%d mappings, %d before", n, before)
	}
	start := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			p := make([]byte, 512)
			<-start
			for {
				_, err := f.ReadAt(p, 30_000)
				if errors.Is(err, fs.ErrClosed) {
					return
				}
				if err != nil || !bytes.Equal(p[:2], []byte{30_000 >> 8, 30_000 >> 8}) {
					t.Errorf("read %v: %v", p[:2], err)
					return
				}
			}
		})
	}
	close(start)
	must(t, f.Close())
	readers.Wait()
	if n := mappings.Load(); n != before {
		t.Errorf("%d mappings, %d before", n, before)
	}
}
