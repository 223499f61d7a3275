package index

import "golang.org/x/sys/unix"

// reserve returns n bytes of address space, a multiple of the page size, whose pages take memory only when written. It
// returns nil if the system has none to give.
func reserve(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	// A huge page would make present whole regions of which only some pages are used. Kernels built without them
	// refuse the advice and need none.
	_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE)
	return b
}

func unreserve(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic("index: munmap: " + err.Error()) // The argument is wrong: memory in use might be next.
	}
}

// discard gives the memory of whole pages back and keeps the address space. Their content is then undefined.
func discard(b []byte) {
	// Failing, the pages stay: a matter of memory, not of correctness.
	_ = unix.Madvise(b, unix.MADV_DONTNEED)
}

// populate makes whole pages present, for writing.
func populate(b []byte) {
	// Kernels before 5.14 do not know the advice: the pages then come when they are written.
	_ = unix.Madvise(b, unix.MADV_POPULATE_WRITE)
}
