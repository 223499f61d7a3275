package index

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"math"
	"testing"
)

// sampleShard is a saved shard with everything in it.
func sampleShard(t testing.TB, n int) []byte {
	x := newSmall(t, 64)
	for i := range n {
		h := numbered(i)
		h.Lo &^= 0xff
		e := benchEntry(i)
		switch i % 7 {
		case 0:
			e.Size = wideSize + int64(i)
		case 1:
			e.Expiration = 1_700_000_000 + uint32(i)
		}
		x.Put(h, e)
	}
	return x.AppendShard(nil, 0)
}

// TestFormatGolden holds the format still: checkpoints on disk have it.
func TestFormatGolden(t *testing.T) {
	x := newSmall(t, 64)
	x.Put(Hash{0x1000000000000000, 0x0123456789ab0007}, Entry{MakeLocation(3, 1000, 2), 77, 0})
	x.Put(Hash{0x1000000000000000, 0x0123456789aa0007}, Entry{MakeLocation(1, 5, 0), 1 << 20, 1_700_000_000})
	x.Put(Hash{0xf00000000000000f, 0xffffffffffff0007}, Entry{MakeLocation(0, 1<<26-1, 255), 0, 1_700_000_009})
	const want = "0300021a080e0480e2cfaa0603" + // header and the one group
		"aa8967452301000000000000001000050000f4ffc76ae259d148000000000000000" +
		"08400fa00003701f0ffffffffffff00000000000000ffffffff3f0080020" + // entries
		"00000000000000081803f"
	got := x.AppendShard(nil, 7)
	if hex.EncodeToString(got) != want {
		t.Errorf("format has changed: %x", got)
	}
}

// TestDamage flips every bit of a saved shard and cuts it everywhere. What is loaded nevertheless must be sound.
func TestDamage(t *testing.T) {
	for _, n := range []int{1, 3, 40, effort(100)} {
		data := sampleShard(t, n)
		for cut := range data {
			if tryLoad(t, data[:cut]) {
				t.Errorf("%d entries: cut at %d of %d and loaded", n, cut, len(data))
			}
		}
		for i := range data {
			for bit := range 8 {
				bad := bytes.Clone(data)
				bad[i] ^= 1 << bit
				tryLoad(t, bad)
			}
		}
		if tryLoad(t, append(bytes.Clone(data), 0)) {
			t.Errorf("%d entries: loaded with a byte too many", n)
		}
	}
}

// tryLoad loads a shard from any data and tells whether that was possible.
func tryLoad(t testing.TB, data []byte) bool {
	x := New()
	defer x.Close()
	if len(data)%2 == 0 {
		x.maxSlots = 64
	}
	x.Totals(1_700_000_000)
	var sum tally
	err := x.LoadShard(0, data, func(e Entry) (Location, bool) {
		sum.keys++
		sum.bytes += e.Size // May overflow, as may the ledger's.
		return e.Location, true
	})
	all := check(t, x)
	if err != nil {
		if !errors.Is(err, errDamaged) || len(all) != 0 {
			t.Fatalf("%d entries after %v", len(all), err)
		}
		return false
	}
	if x.ledger.all != sum {
		t.Fatalf("ledger has %+v, adopted %+v", x.ledger.all, sum)
	}
	if limit := int64(100*len(data) + 4096); x.Memory() > limit {
		t.Fatalf("%d bytes of memory for %d of data", x.Memory(), len(data))
	}
	y := New()
	defer y.Close()
	if err := y.LoadShard(0, x.AppendShard(nil, 0), unchanged); err != nil {
		t.Fatal("what was loaded cannot be saved and loaded:", err)
	}
	if !maps.Equal(check(t, y), all) {
		t.Fatal("content differs")
	}
	return true
}

func FuzzLoadShard(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0})
	for _, n := range []int{1, 2, 17, 150} {
		f.Add(sampleShard(f, n))
	}
	f.Fuzz(func(t *testing.T, data []byte) { tryLoad(t, data) })
}

func TestLoadErrors(t *testing.T) {
	full := sampleShard(t, 3)
	for name, data := range map[string][]byte{
		"no data":            {},
		"endless count":      bytes.Repeat([]byte{0xff}, 11),
		"short header":       {1, 0, 0},
		"wide field":         append([]byte{1, 0, 17, 0, 0, 0, 0, 1}, make([]byte, 25)...),
		"behind nothing":     {0, 0},
		"too many entries":   {200, 1, 0, 0, 0, 0, 0, 0, 200, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		"2^63 entries":       append(bytes.Repeat([]byte{0x80}, 9), 1, 0, 0, 0, 0, 0, 0, 0),
		"too many groups":    append([]byte{1, 24, 0, 0, 0, 0, 0}, make([]byte, 100)...),
		"groups and count":   append([]byte{2, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 100)...),
		"least expiration 0": append([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1}, make([]byte, 100)...),
		"one hash twice":     append(append([]byte{2, 0, 0, 0, 0, 0, 0, 2}, bytes.Repeat([]byte{1}, 28)...), make([]byte, 8)...),
		"none in groups":     append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 22)...),
		"groups overflow":    append(append([]byte{1, 1, 0, 0, 0, 0, 0}, binary.AppendUvarint(nil, 1<<64-1)...), append([]byte{2}, make([]byte, 22)...)...),
		"2^61 in a group":    overflow(),
		"fewer in groups":    replaced(full, 7+5, 2),
		"more in groups":     replaced(full, 7+5, 4),
		"last free bits":     replaced(full, lastBits(full), full[lastBits(full)]|0x80),
		"the free hash":      append(append([]byte{1, 0, 0, 0, 0, 0, 0, 1}, bytes.Repeat([]byte{255}, 14)...), make([]byte, 8)...),
	} {
		if tryLoad(t, data) {
			t.Errorf("%s: loaded", name)
		}
	}
	x := newSmall(t, 64)
	data := sampleShard(t, 10)
	if err := x.LoadShard(0, data, unchanged); err != nil {
		t.Fatal(err)
	}
	if err := x.LoadShard(0, data, unchanged); err == nil {
		t.Fatal("loaded twice")
	}
	if x.Len() != 10 {
		t.Fatalf("%d entries", x.Len())
	}
}

// overflow is a shard whose number of entries makes the number of bits overflow.
func overflow() []byte {
	many := binary.AppendUvarint(nil, 1<<61)
	data := append(bytes.Clone(many), 0, 0, 0, 0, 0, 0)
	return append(append(data, many...), make([]byte, 100)...)
}

func replaced(data []byte, at int, by byte) []byte {
	data = bytes.Clone(data)
	data[at] = by
	return data
}

// lastBits is where the last entry of sampleShard(3), whose size is the only wide one, ends.
func lastBits(data []byte) int { return len(data) - 1 - padding - 1 }

// TestAdopt leaves out entries and moves the others, as an owner does whose segments have changed.
func TestAdopt(t *testing.T) {
	x := newSmall(t, 64)
	for i := range 5000 {
		h := numbered(i)
		h.Lo &^= 0xff
		x.Put(h, Entry{MakeLocation(uint16(i%5), uint32(i), 0), int64(i) + wideSize/2, uint32(i % 3)})
	}
	want := check(t, x)
	data := x.AppendShard(nil, 0)
	maps.DeleteFunc(want, func(_ Hash, e Entry) bool { return e.Location.Slot() == 2 })
	for h, e := range want {
		e.Location += MakeLocation(1000, 0, 0)
		want[h] = e
	}
	y := newSmall(t, 64)
	y.Totals(1)
	err := y.LoadShard(0, data, func(e Entry) (Location, bool) {
		return e.Location + MakeLocation(1000, 0, 0), e.Location.Slot() != 2
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(check(t, y), want) {
		t.Fatal("content differs")
	}
	if got, want := y.Totals(1), recount(want, 1); got != want {
		t.Fatalf("Totals %+v, want %+v", got, want)
	}
}

// TestForged holds entries whose hashes no hash function gives. They must neither take much memory nor get lost.
func TestForged(t *testing.T) {
	r := random(t)
	for name, hi := range map[string]func(i int) uint64{
		"equal":   func(int) uint64 { return 42 },
		"last":    func(int) uint64 { return emptyHi - 1 },
		"first":   func(i int) uint64 { return uint64(i) },
		"paired":  func(i int) uint64 { return uint64(i&1) << 63 },
		"crowded": func(i int) uint64 { return 0xabcdef0000000000 + uint64(i)<<8 },
	} {
		t.Run(name, func(t *testing.T) {
			for _, slots := range []int{64, regionSlots} {
				for _, n := range []int{35, 50, 300, 1 + r.IntN(max(effort(10_000), 1000))} {
					forge(t, slots, n, hi)
				}
			}
		})
	}
}

// forge puts n entries, loads them, and takes them out again.
func forge(t *testing.T, slots, n int, hi func(int) uint64) {
	t.Helper()
	x, y := newSmall(t, slots), newSmall(t, slots)
	want := make(map[Hash]Entry)
	for i := range n {
		i = i * 7919 % n // In no order, as 7919 is a prime.
		h := Hash{hi(i), uint64(i) << 16}
		want[h] = Entry{Location(i), int64(i), uint32(i % 2)}
		x.Put(h, want[h])
	}
	if err := y.LoadShard(0, x.AppendShard(nil, 0), unchanged); err != nil {
		t.Fatal(err)
	}
	for _, i := range []*Index{x, y} {
		if !maps.Equal(check(t, i), want) {
			t.Fatal("content differs")
		}
		if i.Memory() > int64(n)*150+8192 {
			t.Fatalf("%d bytes of memory for %d entries", i.Memory(), n)
		}
	}
	for h, e := range want {
		if got, ok := y.Delete(h); !ok || got != e {
			t.Fatalf("%x: %+v, want %+v", h, got, e)
		}
	}
	check(t, y)
}

func TestLocation(t *testing.T) {
	l := MakeLocation(math.MaxUint16, 1<<26-1, 255)
	if l != 1<<50-1 || l.Slot() != math.MaxUint16 || l.Unit() != 1<<26-1 || l.Ordinal() != 255 {
		t.Fatalf("%x", l)
	}
	l = MakeLocation(1, 2, 3)
	if l.Slot() != 1 || l.Unit() != 2 || l.Ordinal() != 3 {
		t.Fatalf("%x", l)
	}
	for name, f := range map[string]func(){
		"unit":     func() { MakeLocation(0, 1<<26, 0) },
		"location": func() { New().Put(Hash{}, Entry{Location: 1 << 50}) },
		"move":     func() { New().Move(Hash{}, 0, 1<<50) },
		"size":     func() { New().Put(Hash{}, Entry{Size: -1}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
