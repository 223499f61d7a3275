package index

import (
	"os"
	"sync"
	"unsafe"
)

const (
	// pageBytes is the step in which tables grow. Where the system's pages are larger, so are the steps in fact.
	pageBytes = 4096
	// slotBytes is what a slot takes with its tag.
	slotBytes = 22

	// regionSlots is the capacity of a table: 22 pages, of slots as of the multiple of 4,096 that they are.
	regionSlots = 4096
	pageSlots   = pageBytes / slotBytes
)

// arena hands out regions for tables that have outgrown the Go heap. The zero value is ready. It is safe for
// concurrent use.
type arena struct {
	mu    sync.Mutex
	slots regions
	times regions
}

// takeSlots returns the first n slots of a region and the tags that belong to them.
func (a *arena) takeSlots(n int) ([]slot, []byte) {
	b := a.take(&a.slots, regionSlots*slotBytes)
	prepare(b, 0, n*slotBytes)
	return splitSlots(b, n)
}

// splitSlots parts memory into n slots and their tags, which stand behind them: one place for both grows in the steps of
// one.
func splitSlots(b []byte, n int) ([]slot, []byte) {
	const size = int(unsafe.Sizeof(slot{}))
	return unsafe.Slice((*slot)(unsafe.Pointer(unsafe.SliceData(b))), n), b[n*size : n*slotBytes : n*slotBytes]
}

// slotRegion returns the whole region that begins with the slots.
func slotRegion(s []slot) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), regionSlots*slotBytes)
}

// takeTimes returns the first n times of a region.
func (a *arena) takeTimes(n int) []uint32 {
	b := a.take(&a.times, regionSlots*4)
	prepare(b, 0, n*4)
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), regionSlots)[:n]
}

// giveSlots takes a region back of which no more than the first used slots were ever written.
func (a *arena) giveSlots(s []slot, used int) {
	b := slotRegion(s)
	trim(b, 0, used*slotBytes)
	a.give(&a.slots, b)
}

func (a *arena) giveTimes(t []uint32, used int) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(t))), regionSlots*4)
	trim(b, 0, used*4)
	a.give(&a.times, b)
}

// resizeSlots is takeSlots in a region of which was slots are in use. It gives back the pages that are not any more.
func resizeSlots(s []slot, was, n int) ([]slot, []byte) {
	b := slotRegion(s)
	trim(b, n*slotBytes, was*slotBytes)
	prepare(b, was*slotBytes, n*slotBytes)
	return splitSlots(b, n)
}

// resizeTimes is resizeSlots for times.
func resizeTimes(t []uint32, was, n int) []uint32 {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(t))), regionSlots*4)
	trim(b, n*4, was*4)
	prepare(b, was*4, n*4)
	return t[:n]
}

// prepare has the system give the pages of a region from what was used on to what will be, all at once: while they are
// written, each would interrupt. In a virtual machine where that takes 15 µs a page, it takes 5 so.
func prepare(region []byte, was, used int) {
	page := os.Getpagesize()
	was, used = roundUp(was, page), min(roundUp(used, page), len(region)/page*page)
	if was < used {
		populate(region[was:used])
	}
}

func trim(region []byte, from, to int) {
	page := os.Getpagesize()
	from, to = roundUp(from, page), min(roundUp(to, page), len(region)/page*page)
	if from < to {
		discard(region[from:to])
	}
}

func roundUp(n, step int) int { return (n + step - 1) / step * step }

// regions is the supply of regions of one size.
type regions struct {
	free   [][]byte
	rest   []byte   // of the newest chunk
	mapped [][]byte // chunks to unmap at the end
	next   int      // regions in the next chunk
}

// Chunks double from 64 regions (5.5 MiB of address space) to 1,024, so that the number of mappings stays far below
// what a process may have (65,530 on Linux).
const (
	minChunk = 64
	maxChunk = 1024
)

func (a *arena) take(r *regions, size int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(r.free); n > 0 {
		b := r.free[n-1]
		r.free = r.free[:n-1]
		return b
	}
	stride := roundUp(size, os.Getpagesize())
	if len(r.rest) < stride {
		r.next = min(max(2*r.next, minChunk), maxChunk)
		r.rest = reserve(r.next * stride)
		if r.rest != nil {
			r.mapped = append(r.mapped, r.rest)
		} else {
			r.rest = make([]byte, minChunk*stride)
		}
	}
	b := r.rest[:size:size]
	r.rest = r.rest[stride:]
	return b
}

func (a *arena) give(r *regions, b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.free = append(r.free, b)
}

// close unmaps everything. Nobody may hold a region any more.
func (a *arena) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range []*regions{&a.slots, &a.times} {
		for _, b := range r.mapped {
			unreserve(b)
		}
		*r = regions{}
	}
}
