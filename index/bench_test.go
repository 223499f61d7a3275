package index

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// benchSizes are the numbers of keys of the benchmarks.
func benchSizes() []int {
	if testing.Short() {
		return []int{1_000_000}
	}
	return []int{1_000_000, 10_000_000}
}

// numbered returns the hash of key number i: mixed well, as a keyed hash is, and cheaper.
func numbered(i int) Hash {
	return Hash{Hi: min(mix(uint64(i)), emptyHi-1), Lo: mix(uint64(i)+1<<40) &^ unusedLo}
}

// mix is the output function of SplitMix64.
func mix(v uint64) uint64 {
	v *= 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// benchEntry is like the entry of a store that is compacted: 300 bytes a record.
func benchEntry(i int) Entry {
	at := i * 300
	return Entry{Location: MakeLocation(uint16(at>>26), uint32(at>>3)&(1<<23-1), 0), Size: 250 + int64(i&127)}
}

func filled(n int) *Index {
	x := New()
	for i := range n {
		x.Put(numbered(i), benchEntry(i))
	}
	return x
}

// forSizes runs a benchmark on filled indexes.
func forSizes(b *testing.B, f func(b *testing.B, x *Index, n int)) {
	for _, n := range benchSizes() {
		x := filled(n)
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			f(b, x, n)
		})
		x.Close()
	}
}

func BenchmarkGetHit(b *testing.B) {
	forSizes(b, func(b *testing.B, x *Index, n int) {
		i := 0
		for b.Loop() {
			if _, ok := x.Get(numbered(i % n)); !ok {
				b.Fatal("missing")
			}
			i += 7919
		}
	})
}

func BenchmarkGetAbsent(b *testing.B) {
	forSizes(b, func(b *testing.B, x *Index, n int) {
		i := n
		for b.Loop() {
			if _, ok := x.Get(numbered(i)); ok {
				b.Fatal("found")
			}
			i++
		}
	})
}

func BenchmarkOverwrite(b *testing.B) {
	forSizes(b, func(b *testing.B, x *Index, n int) {
		i := 0
		for b.Loop() {
			x.Put(numbered(i%n), benchEntry(i+1))
			i += 7919
		}
	})
}

func BenchmarkMove(b *testing.B) {
	forSizes(b, func(b *testing.B, x *Index, n int) {
		i := 0
		for b.Loop() {
			at := benchEntry(i % n).Location
			if !x.Move(numbered(i%n), at, at) {
				b.Fatal("not moved")
			}
			i += 7919
		}
	})
}

// BenchmarkPut fills an index: an operation is one new key.
func BenchmarkPut(b *testing.B) {
	for _, n := range benchSizes() {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			for b.Loop() {
				filled(n).Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
		})
	}
}

// BenchmarkFill puts all keys of an index one by one and, as opening after a crash does, through a Filler.
func BenchmarkFill(b *testing.B) {
	for _, n := range benchSizes() {
		for _, filler := range []bool{false, true} {
			b.Run(fmt.Sprintf("keys=%d/filler=%t", n, filler), func(b *testing.B) {
				for b.Loop() {
					x := New()
					f := x.NewFillers(1, n)[0]
					for i := range n {
						if filler {
							f.Put(numbered(i), benchEntry(i))
						} else {
							x.Put(numbered(i), benchEntry(i))
						}
					}
					f.Flush()
					x.Close()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
			})
		}
	}
}

// BenchmarkDelete empties an index and fills it again: an operation is one key.
func BenchmarkDelete(b *testing.B) {
	forSizes(b, func(b *testing.B, x *Index, n int) {
		i := 0
		for b.Loop() {
			if _, ok := x.Delete(numbered(i % n)); !ok {
				b.StopTimer()
				for i := range n {
					x.Put(numbered(i), benchEntry(i))
				}
				b.StartTimer()
			}
			i++
		}
	})
}

func BenchmarkHasher(b *testing.B) {
	h := NewHasher([16]byte{1})
	for _, n := range []int{8, 17, 200} {
		key := strings.Repeat("k", n)
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Sum(key)
			}
		})
	}
}

// BenchmarkShards saves and loads whole indexes.
func BenchmarkShards(b *testing.B) {
	for _, n := range benchSizes() {
		x := filled(n)
		var data [Shards][]byte
		total := 0
		for i := range Shards {
			data[i] = x.AppendShard(nil, i)
			total += len(data[i])
		}
		b.Run(fmt.Sprintf("append/keys=%d", n), func(b *testing.B) {
			var dst []byte
			for b.Loop() {
				for i := range Shards {
					dst = x.AppendShard(dst[:0], i)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
			b.ReportMetric(float64(total)/float64(n), "B/key")
		})
		x.Close()
		b.Run(fmt.Sprintf("load/keys=%d", n), func(b *testing.B) {
			var live [1 << 16]int64
			for b.Loop() {
				x := New()
				for i := range Shards {
					err := x.LoadShard(i, data[i], func(e Entry) (Location, bool) {
						live[e.Location.Slot()] += e.Size
						return e.Location, true
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				x.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
		})
	}
}

func BenchmarkTotals(b *testing.B) {
	x := New()
	defer x.Close()
	r := rand.New(rand.NewPCG(1, 2))
	const n = 1_000_000
	for i := range n {
		e := benchEntry(i)
		e.Expiration = 1 + uint32(r.IntN(24*3600))
		x.Put(numbered(i), e)
	}
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		now := int64(0)
		for b.Loop() {
			x.Totals(now)
			now += window
		}
	})
	b.Run("second", func(b *testing.B) {
		b.ReportAllocs()
		now := int64(0)
		for b.Loop() {
			x.Totals(now)
			now++
		}
	})
	b.Run("same", func(b *testing.B) {
		for b.Loop() {
			x.Totals(0)
		}
	})
}

// BenchmarkMemory fills an index through a Hasher and reports by how much the process has grown.
func BenchmarkMemory(b *testing.B) {
	for _, n := range benchSizes() {
		for _, length := range []int{16, 200} {
			b.Run(fmt.Sprintf("keys=%d/bytes=%d", n, length), func(b *testing.B) {
				for b.Loop() {
					measureMemory(b, n, length)
				}
			})
		}
	}
}

func measureMemory(b *testing.B, n, length int) {
	before := resident(b)
	x, h := New(), NewHasher([16]byte{1})
	tail := strings.Repeat("x", length-12)
	for i := range n {
		x.Put(h.Sum(fmt.Sprintf("%012d", i)+tail), benchEntry(i))
	}
	grown := resident(b) - before
	b.ReportMetric(float64(grown)/float64(n), "B/key")
	b.ReportMetric(float64(x.Memory())/float64(n), "counted-B/key")
	b.ReportMetric(0, "ns/op")
	x.Close()
}

// resident returns the memory of the process in bytes, without garbage.
func resident(b testing.TB) int64 {
	runtime.GC()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc")
	}
	var kib int64
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib << 10
}
