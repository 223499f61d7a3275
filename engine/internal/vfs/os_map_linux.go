package vfs

import (
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// mapping is a file in memory, for reading only.
//
// Copying some hundred bytes from it takes less than 1 µs where pread takes 3 µs. But a page that is not in memory has
// to be read from the disk, and meanwhile the goroutine keeps its processor, which Go gives to others when one waits in
// pread for more than about 20 µs. So it is copied from only while that is quick.
type mapping struct {
	data  []byte
	avoid atomic.Int32 // how many of the next reads are to be made without it
	alert atomic.Int32 // for how many more quick copies one that is slow is not the first
}

const (
	// maxMapped limits what is read from a mapping. Longer reads gain little, and those of a scan want the readahead of
	// the file.
	maxMapped = 16 << 10

	// slowCopy is how long a copy takes that waited for a disk, for most disks. Without one it takes 2 µs, or up to 30 µs
	// if the page is in memory but not yet mapped, on a virtual machine with slow faults.
	slowCopy = 50 * time.Microsecond

	// avoidReads is how many reads go without the mapping after two slow copies. The next one is a probe, so that one in
	// 65 reads of a file that is not in memory keeps a processor waiting.
	avoidReads = 64

	// alertCopies is how many quick copies have to follow a slow one for the next slow one to be the first again. On a
	// machine that is busy a copy also looks slow when another process had its processor meanwhile. When one was enough,
	// 4 to 6 % of the reads there went without the mapping; now it is 1 %.
	alertCopies = 64

	// maxMappings leaves others of the 65,530 mappings that Linux grants to a process (vm.max_map_count).
	maxMappings = 16 << 10
)

var mappings atomic.Int32

// newMapping returns nil if the file cannot be mapped, or should not.
func newMapping(f *os.File, size int64) *mapping {
	if strconv.IntSize < 64 || size <= 0 { // there are more bytes than addresses
		return nil
	}
	if mappings.Add(1) <= maxMappings {
		if data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED); err == nil {
			// Without this, a fault reads ahead by what the disk is set to, up to megabytes of others' data for one
			// page; refused, it makes reads slower.
			_ = unix.Madvise(data, unix.MADV_RANDOM)
			return &mapping{data: data}
		}
	}
	mappings.Add(-1)
	return nil
}

// readAt fills p, or returns false: the caller has to read otherwise.
func (m *mapping) readAt(p []byte, off int64) bool {
	if len(p) > maxMapped || off < 0 || off > int64(len(m.data)-len(p)) {
		return false
	}
	if m.avoid.Load() > 0 {
		m.avoid.Add(-1)
		return false
	}
	start := time.Now()
	if !copyMapped(p, m.data[off:]) {
		m.avoid.Store(avoidReads)
		return false
	}
	m.took(time.Since(start))
	return true
}

// took decides by how long a copy took whether the next ones are to be avoided. Of simultaneous copies, some may not
// count.
func (m *mapping) took(d time.Duration) {
	alert := m.alert.Load()
	switch {
	case d > slowCopy:
		if alert > 0 {
			m.avoid.Store(avoidReads)
		}
		m.alert.Store(alertCopies)
	case alert > 0:
		m.alert.Store(alert - 1)
	}
}

// copyMapped copies from a mapping, which faults if the disk fails or somebody made the file shorter. Reading the file
// tells then what is wrong.
func copyMapped(dst, src []byte) (ok bool) {
	defer func(was bool) {
		debug.SetPanicOnFault(was)
		if r := recover(); r != nil {
			if _, fault := r.(interface{ Addr() uintptr }); !fault {
				panic(r)
			}
		}
	}(debug.SetPanicOnFault(true))
	copy(dst, src)
	return true
}

// close must not be called during readAt.
func (m *mapping) close() {
	_ = unix.Munmap(m.data) // it fails only for what is not a mapping
	mappings.Add(-1)
}
