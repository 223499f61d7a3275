package index

import (
	"bytes"
	"testing"
)

// TestDirtyRegions starts with regions full of something. On some systems regions come back as they were given.
func TestDirtyRegions(t *testing.T) {
	x := newSmall(t, regionSlots)
	for range 4 {
		x.arena.slots.free = append(x.arena.slots.free, bytes.Repeat([]byte{0xa5}, regionSlots*slotBytes))
		x.arena.times.free = append(x.arena.times.free, bytes.Repeat([]byte{0xa5}, regionSlots*4))
	}
	for i := range 6000 {
		x.Put(Hash{mix(uint64(i)), 0}, Entry{Location: Location(i)})
	}
	for i := range 6000 {
		x.Put(Hash{mix(uint64(i)), 0}, Entry{Location: Location(i), Expiration: uint32(i % 100)})
		if i%1000 == 1 {
			check(t, x)
		}
	}
	check(t, x)
	if x.arena.slots.mapped != nil || x.arena.times.mapped != nil {
		t.Fatal("the prepared regions were not used")
	}
}

// TestGiveBack writes regions, frees them, and expects the process to shrink.
func TestGiveBack(t *testing.T) {
	skipUnderRace(t)
	const n = 500
	var a arena
	defer a.close()
	before := resident(t)
	slots, tags, times := make([][]slot, n), make([][]byte, n), make([][]uint32, n)
	for i := range n {
		slots[i], tags[i] = a.takeSlots(regionSlots)
		times[i] = a.takeTimes(regionSlots)
		for at := range slots[i] {
			slots[i][at].setFree()
			tags[i][at] = 1
			times[i][at] = 1
		}
	}
	full := resident(t) - before
	for i := range n {
		a.giveSlots(slots[i], len(slots[i]))
		a.giveTimes(times[i], len(times[i]))
	}
	left := resident(t) - before
	if want := int64(n * regionSlots * (slotBytes + 4)); full < want*9/10 || left > want/10 {
		t.Errorf("grown by %d bytes with %d in use and by %d with none", full, want, left)
	}
}

// TestResident compares the pages that the process has with those the index says it holds, when full, when most
// entries are gone and tables have shrunk, and when all are gone and the regions are free.
func TestResident(t *testing.T) {
	skipUnderRace(t)
	const n, slack = 1_500_000, 8 << 20
	before := resident(t)
	x := New()
	defer x.Close()
	for i := range n {
		x.Put(numbered(i), Entry{Expiration: 1})
	}
	for _, left := range []int{n, n * 6 / 10, n / 4, 0} {
		for i := n; i > left; i-- {
			x.Delete(numbered(i - 1))
		}
		got, want := resident(t)-before, x.Memory()
		if got > want+slack || want > got+slack {
			t.Errorf("%d entries: grown by %d bytes, should be %d", left, got, want)
		}
	}
}
