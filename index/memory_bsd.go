//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package index

import "golang.org/x/sys/unix"

// reserve returns n bytes of address space, a multiple of the page size, whose pages take memory only when written. It
// returns nil if the system has none to give.
func reserve(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return b
}

func unreserve(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic("index: munmap: " + err.Error()) // The argument is wrong: memory in use might be next.
	}
}

// discard lets the system take the memory of whole pages when it needs some, and keeps the address space. Their content
// is then undefined. On these systems MADV_DONTNEED would only be a hint about paging.
func discard(b []byte) {
	// Failing, the pages stay: a matter of memory, not of correctness.
	_ = unix.Madvise(b, unix.MADV_FREE)
}

// populate does nothing: pages become present when they are written.
func populate([]byte) {}
