package index

import "testing"

// TestScanChunks scans as many entries as fit one or two chunks, with the extremes of the fingerprint at the seams.
func TestScanChunks(t *testing.T) {
	for _, n := range []int{scanChunk - 1, scanChunk, scanChunk + 1, 2 * scanChunk} {
		for _, last := range []Hash{{7, loMask << 16}, {7, 0}, {emptyHi - 1, loMask << 16}} {
			x := newSmall(t, 64)
			for i := range scanChunk - 1 {
				x.Put(Hash{6, uint64(i) << 16}, Entry{})
			}
			for i := scanChunk - 1; i < n; i++ {
				x.Put(Hash{last.Hi, last.Lo + uint64(i-scanChunk+1)<<16&(loMask<<16)}, Entry{})
			}
			seen := make(map[Hash]int)
			x.Scan(0, func(h Hash, _ Entry) bool {
				seen[h]++
				return seen[h] == 1
			})
			if len(seen) != n || len(seen) != x.Len() {
				t.Errorf("last %x: %d of %d entries", last, len(seen), n)
			}
			for h, times := range seen {
				if times != 1 {
					t.Errorf("last %x: saw %x twice", last, h)
				}
			}
		}
	}
}

// TestScanChanges changes the shard from inside a scan.
func TestScanChanges(t *testing.T) {
	x := newSmall(t, 64)
	for i := range 5000 {
		h := numbered(i)
		h.Lo &^= 0xff
		x.Put(h, Entry{Location: Location(i)})
	}
	seen := 0
	x.Scan(0, func(h Hash, e Entry) bool {
		if got, ok := x.DeleteAt(h, e.Location); !ok || got != e {
			t.Fatalf("%x: %+v, %v", h, got, ok)
		}
		seen++
		return true
	})
	if seen != 5000 || x.Len() != 0 {
		t.Fatalf("saw %d, %d left", seen, x.Len())
	}
	check(t, x)
}
