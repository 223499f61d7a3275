package segment_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/firnkv/firn/segment"
)

// benchRecords returns decoded JSON-like records in the order of their keys.
func benchRecords(n int) []*segment.Record {
	rng := rand.New(rand.NewPCG(1, 1))
	byKey := map[string]*segment.Record{}
	for _, b := range jsonRecords(rng, n) {
		var r segment.Record
		if _, ok := segment.DecodeRecord(b, &r); ok {
			byKey[string(r.Key)] = &r
		}
	}
	records := make([]*segment.Record, 0, n)
	for _, r := range byKey {
		records = append(records, r)
	}
	sort.Slice(records, func(i, j int) bool { return bytes.Compare(records[i].Key, records[j].Key) < 0 })
	return records
}

func BenchmarkEncodeFrame(b *testing.B) {
	records := benchRecords(30)
	for _, n := range []int{1, len(records)} {
		b.Run(fmt.Sprint("records=", n), func(b *testing.B) {
			b.ReportAllocs()
			var raw, frame []byte
			for b.Loop() {
				raw = raw[:0]
				for _, r := range records[:n] {
					raw = segment.AppendRecord(raw, r)
				}
				f := segment.Frame{Type: segment.FrameRecords, Extended: true, Incarnation: 1, Raw: len(raw), Records: n}
				frame = segment.AppendFrame(frame[:0], testSalt, segment.HeaderSize, f, raw)
			}
			b.SetBytes(int64(len(frame)))
		})
	}
}

func BenchmarkDecodeFrame(b *testing.B) {
	records := benchRecords(30)
	for _, n := range []int{1, len(records)} {
		b.Run(fmt.Sprint("records=", n), func(b *testing.B) {
			l := newLog(nil)
			off := l.frame(false, records[:n]...)
			r := open(b, &memFile{b: l.b})
			var buf segment.Buffer
			var rec segment.Record
			b.ReportAllocs()
			b.SetBytes(int64(len(l.b)) - off)
			for b.Loop() {
				if err := r.ReadRecord(off, n-1, len(l.b), &buf, &rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompress16KiB(b *testing.B) {
	raw := bytes.Join(jsonRecords(rand.New(rand.NewPCG(1, 1)), 60), nil)[:16<<10]
	for name, level := range map[string]segment.Level{"fast": segment.Fast, "better": segment.Better} {
		b.Run(name, func(b *testing.B) {
			comp := compressor(b, level, nil)
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			var stored, buf []byte
			for b.Loop() {
				stored, buf, _ = comp.Compress(buf, raw)
			}
			b.ReportMetric(float64(len(raw))/float64(len(stored)), "ratio")
		})
	}
}

func benchPacked(b *testing.B) (*memFile, []int64, []*segment.Record) {
	b.Helper()
	dictionary := segment.BuildDictionary(jsonRecords(rand.New(rand.NewPCG(2, 2)), 1000), segment.DictionarySize)
	records := benchRecords(5000)
	file, offsets := packed(b, dictionary, 1, records)
	return file, offsets, records
}

func BenchmarkPackedGet(b *testing.B) {
	file, offsets, _ := benchPacked(b)
	r := open(b, file)
	var buf segment.Buffer
	var rec segment.Record
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(offsets)
		if err := r.ReadRecord(offsets[i], 0, 512, &buf, &rec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPackedWrite(b *testing.B) {
	dictionary := segment.BuildDictionary(jsonRecords(rand.New(rand.NewPCG(2, 2)), 1000), segment.DictionarySize)
	records := benchRecords(2000)
	var raw int64
	for _, r := range records {
		raw += r.Size()
	}
	b.ReportAllocs()
	b.SetBytes(raw)
	var file *memFile
	for b.Loop() {
		file, _ = packed(b, dictionary, 1, records)
	}
	f, _ := readFooter(b, file)
	b.ReportMetric(float64(raw)/float64(f.Totals().DataEnd-int64(len(dictionary))), "ratio")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(records)), "ns/key")
}

func BenchmarkOpenPacked(b *testing.B) {
	file, _, _ := benchPacked(b)
	b.ReportAllocs()
	for b.Loop() {
		open(b, file)
	}
}

func BenchmarkScan(b *testing.B) {
	records := benchRecords(5000)
	for name, comp := range map[string]*segment.Compressor{"raw": nil, "compressed": plain()} {
		b.Run(name, func(b *testing.B) {
			l := newLog(comp)
			var raw int64
			for i := 0; i+30 <= len(records); i += 30 {
				l.frame(false, records[i:i+30]...)
				for _, r := range records[i : i+30] {
					raw += r.Size()
				}
			}
			r := open(b, &memFile{b: l.b})
			b.ReportAllocs()
			b.SetBytes(raw)
			for b.Loop() {
				var rec segment.Record
				for s := r.Scan(segment.HeaderSize, int64(len(l.b))); s.Next(); {
					p, err := s.Payload()
					if err != nil {
						b.Fatal(err)
					}
					for len(p) > 0 {
						n, ok := segment.DecodeRecord(p, &rec)
						if !ok {
							b.Fatal("no record")
						}
						p = p[n:]
					}
				}
			}
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	file := &memFile{b: append(header(segment.Log).Append(nil), randomBytes(rng, 4<<20)...)}
	r := open(b, file)
	b.SetBytes(int64(len(file.b)))
	for b.Loop() {
		if s := r.Scan(segment.HeaderSize, int64(len(file.b))); s.Search(segment.HeaderSize) {
			b.Fatal("a frame in random bytes")
		}
	}
}

// footerEntries returns entries like those of the records of a store of films.
func footerEntries(n int) []*segment.Entry {
	rng := rand.New(rand.NewPCG(1, 1))
	words := []string{"The", "Night", "River", "Story", "Love", "Train", "North", "Winter", "Man", "Returns", "City", "Last"}
	keys := map[string]bool{}
	for len(keys) < n {
		keys[fmt.Sprintf("movie:%d:%s_%s_%s_%d", 1900+rng.IntN(120), words[rng.IntN(12)], words[rng.IntN(12)], words[rng.IntN(12)], rng.IntN(n))] = true
	}
	var entries []*segment.Entry
	for key := range keys {
		metadata := fmt.Appendf(nil, `{"year":%4d,"genres":["Drama","Comedy"],"id":%6d}`, 1900+rng.IntN(120), rng.IntN(1e6))
		entries = append(entries, &segment.Entry{
			Key: []byte(key), Seq: 1 + uint64(rng.IntN(n)), Metadata: metadata, MetadataLen: len(metadata), Length: int64(300 + rng.IntN(500)),
		})
	}
	sort.Slice(entries, func(i, j int) bool { return bytes.Compare(entries[i].Key, entries[j].Key) < 0 })
	return entries
}

// BenchmarkFooter builds footers as a packed segment has them, with offsets that
// rise, and as a log has them, with offsets at random.
func BenchmarkFooter(b *testing.B) {
	const n = 100_000
	for _, kind := range []segment.Kind{segment.Packed, segment.Log} {
		for _, metadata := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/metadata=%v", kind, metadata), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(2, 2))
				entries := footerEntries(n)
				for i, e := range entries {
					e.Offset = segment.HeaderSize + int64(i)*240
					if kind == segment.Log {
						e.Offset, e.Ordinal = segment.HeaderSize+rng.Int64N(n/30)*6000, rng.IntN(30)
					}
					if !metadata {
						e.Metadata, e.MetadataLen = nil, 0
					}
				}
				b.ReportAllocs()
				var size int
				for b.Loop() {
					size = len(footerOf(b, entries, segment.Totals{MinSeq: 1}).b)
				}
				b.ReportMetric(float64(size)/n, "B/key")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
			})
		}
	}
}

func BenchmarkIterate(b *testing.B) {
	const n = 100_000
	entries := footerEntries(n)
	for i, e := range entries {
		e.Offset = segment.HeaderSize + int64(i)*240
	}
	_, bs := readFooter(b, footerOf(b, entries, segment.Totals{MinSeq: 1}))
	b.ReportMetric(float64(bs.Memory())/n, "B/key")
	b.Run("keys", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for it := bs.Iterator(false); it.Next(); {
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
	})
	b.Run("lookup", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = (i + 7919) % n
			if _, ok, err := bs.Lookup(entries[i].Key); !ok || err != nil {
				b.Fatal(err)
			}
		}
	})
}
