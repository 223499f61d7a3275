package segment_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/firnkv/firn/segment"
)

// jsonRecords returns encoded records like those of a store of JSON documents.
func jsonRecords(rng *rand.Rand, n int) [][]byte {
	genres := []string{"Drama", "Comedy", "Western", "Horror", "Silent", "Documentary"}
	words := []string{"the", "a", "night", "river", "story", "of", "love", "train", "north", "winter", "man", "who", "returns", "city"}
	records := make([][]byte, n)
	for i := range records {
		title := fmt.Sprintf("Title_%d", rng.IntN(1e6))
		var plot bytes.Buffer
		for range 20 + rng.IntN(40) {
			plot.WriteString(words[rng.IntN(len(words))] + " ")
		}
		genre := genres[rng.IntN(len(genres))]
		year := 1900 + rng.IntN(120)
		r := segment.Record{
			Seq: uint64(i + 1), Key: fmt.Appendf(nil, "movie:%d:%s", year, title),
			Metadata: fmt.Appendf(nil, `{"year":%d,"genres":[%q]}`, year, genre),
			Value:    fmt.Appendf(nil, `{"title":%q,"year":%d,"cast":[],"genres":[%q],"extract":%q}`, title, year, genre, plot.String()),
		}
		records[i] = segment.AppendRecord(nil, &r)
	}
	return records
}

var testDictionary = sync.OnceValue(func() []byte {
	return segment.BuildDictionary(jsonRecords(rand.New(rand.NewPCG(1, 1)), 300), segment.DictionarySize)
})

func TestCompressRoundTrip(t *testing.T) {
	rng := newRand(t)
	records := jsonRecords(rng, 20)
	var dictionarySegment memFile
	_, _ = dictionarySegment.WriteAt(header(segment.Packed).Append(nil), 0)
	w := segment.NewFrameWriter(&dictionarySegment, testSalt, segment.HeaderSize, compressor(t, segment.Fast, nil))
	if _, err := w.AppendRaw(segment.FrameDictionary, testDictionary()); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	off := w.Offset()
	all := bytes.Join(records, nil)
	for _, level := range []segment.Level{segment.Fastest, segment.Fast, segment.Better} {
		for name, dictionary := range map[string][]byte{"plain": nil, "dictionary": testDictionary()} {
			comp := compressor(t, level, dictionary)
			var stored, buf []byte
			var codec segment.Codec
			for _, raw := range append(records, all, all[:1], all[:10], nil, bytes.Repeat(all, segment.MaxRaw/len(all)+1)[:segment.MaxRaw], randomBytes(rng, 5000)) {
				stored, buf, codec = comp.Compress(buf, raw)
				if codec == 0 != (len(stored) == len(raw)) || len(stored) > len(raw) {
					t.Fatalf("%d bytes became %d with codec %d", len(raw), len(stored), codec)
				}
				if codec != 0 && (codec == 2) != (dictionary != nil) {
					t.Fatalf("%s: codec %d", name, codec)
				}
				dictionarySegment.b = dictionarySegment.b[:off]
				frame := segment.AppendFrame(nil, testSalt, off, segment.Frame{Type: segment.FrameRecords, Codec: codec, Raw: len(raw)}, stored)
				_, _ = dictionarySegment.WriteAt(frame, off)
				var rb segment.Buffer
				_, got, err := open(t, &dictionarySegment).ReadFrame(off, 1<<20, &rb)
				if err != nil || !bytes.Equal(got, raw) {
					t.Fatalf("level %d, %s: %d bytes came back as %d: %v", level, name, len(raw), len(got), err)
				}
			}
		}
	}
}

// The bytes that the specification says to put before a stripped block make it a
// zstd frame for any decoder.
func TestCompressedPayloadIsZstd(t *testing.T) {
	raw := jsonRecords(newRand(t), 1)[0]
	for name, dictionary := range map[string][]byte{"plain": nil, "dictionary": testDictionary()} {
		stored, _, codec := compressor(t, segment.Better, dictionary).Compress(nil, raw)
		if got, err := decodeZstd(t, stored, len(raw), dictionary); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s, codec %d: %v", name, codec, err)
		}
	}
}

// decodeZstd decodes a stripped block with the bytes before it that the
// specification says.
func decodeZstd(t testing.TB, stored []byte, rawSize int, dictionary []byte) ([]byte, error) {
	b := []byte{0x28, 0xB5, 0x2F, 0xFD, 0xA0}
	opts := []zstd.DOption{}
	if dictionary != nil {
		b = []byte{0x28, 0xB5, 0x2F, 0xFD, 0xA1, 1}
		opts = append(opts, zstd.WithDecoderDicts(dictionary))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(rawSize))
	block := 1 | 2<<1 | len(stored)<<3
	if len(stored) == 1 {
		block = 1 | 1<<1 | rawSize<<3
	}
	b = append(b, byte(block), byte(block>>8), byte(block>>16))
	b = append(b, stored...)
	dec, err := zstd.NewReader(nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	return dec.DecodeAll(b, nil)
}

// literalTypes are the types of literals sections of RFC 8878.
var literalTypes = []string{"raw", "RLE", "compressed", "treeless"}

// Small records use the Huffman table of the dictionary, and get smaller than
// zstd's own encoder makes them, which gives a table to each.
func TestLiteralsUseTheDictionary(t *testing.T) {
	comp := compressor(t, segment.Fast, testDictionary())
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderDict(testDictionary()), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	rng := newRand(t)
	types := map[string]int{}
	var size, zstdSize int
	for _, raw := range jsonRecords(rng, 500) {
		raw = append(raw, randomBytes(rng, 8)...) // bytes that the samples may lack
		stored, _, _ := comp.Compress(nil, raw)
		types[literalTypes[stored[0]&3]]++
		size += len(stored)
		zstdSize += len(enc.EncodeAll(raw, nil)) - 12
	}
	t.Logf("%d bytes, %d by zstd alone; literals: %v", size, zstdSize, types)
	if types["treeless"] < 450 || types["compressed"] > 5 || size >= zstdSize*49/50 {
		t.Errorf("%d bytes, %d by zstd alone, literals: %v", size, zstdSize, types)
	}
}

// Literals of all sizes at which their header changes are what they were, stored
// in each of the ways.
func TestLiteralsOfEverySize(t *testing.T) {
	rng := newRand(t)
	draw := map[string]func() byte{
		"raw":        func() byte { return byte(rng.Uint32()) },
		"compressed": func() byte { return 200 + byte(rng.ExpFloat64()*3) },
		"treeless":   func() byte { return 'A' + byte(rng.ExpFloat64()*8) }, // as the dictionary has it
	}
	random := func(kind string, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = draw[kind]()
		}
		return b
	}
	samples := jsonRecords(rng, 100)
	for range 300 {
		samples = append(samples, random("treeless", 500))
	}
	dictionary := segment.BuildDictionary(samples, 8<<10)
	comp := compressor(t, segment.Fast, dictionary)
	match := dictionary[len(dictionary)-100:]
	for kind := range draw {
		types := map[string]int{}
		for _, size := range []int{1, 5, 6, 7, 31, 32, 33, 63, 400, 1023, 1024, 1025, 2000, 4095, 4096, 4097, 16383, 16384, 16385, segment.MaxRaw - 100, segment.MaxRaw} {
			for _, raw := range [][]byte{random(kind, size), append(bytes.Clone(match), random(kind, min(size, segment.MaxRaw-100))...)} {
				stored, _, codec := comp.Compress(nil, raw)
				if codec == 0 {
					types["none"]++
					continue
				}
				literals := literalTypes[stored[0]&3]
				if size > 1023 && size < 2100 {
					literals += " in four streams"
				}
				types[literals]++
				if got, err := decodeZstd(t, stored, len(raw), dictionary); err != nil || !bytes.Equal(got, raw) {
					t.Fatalf("%s: %d bytes, stored as %d, literals %s: %v", kind, size, len(stored), literals, err)
				}
			}
		}
		t.Logf("%s: %v", kind, types)
		if types[kind] < 5 || kind != "raw" && types[kind+" in four streams"] < 3 {
			t.Errorf("%s: %v", kind, types)
		}
	}
}

// FuzzCompress compresses anything with the dictionary, and decodes it with zstd.
func FuzzCompress(f *testing.F) {
	rng := newRand(f)
	for _, r := range jsonRecords(rng, 3) {
		f.Add(r)
	}
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{7}, 900))
	f.Add(randomBytes(rng, 300))
	f.Add([]byte(fmt.Sprint(rng.Perm(1000))))
	comp := compressor(f, segment.Better, testDictionary())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > segment.MaxRaw {
			return
		}
		stored, _, codec := comp.Compress(nil, raw)
		if codec == 0 {
			if !bytes.Equal(stored, raw) {
				t.Fatal("stored raw as something else")
			}
			return
		}
		if got, err := decodeZstd(t, stored, len(raw), testDictionary()); err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("%d bytes, stored as %d: %v", len(raw), len(stored), err)
		}
	})
}

// What saves less than an eighth is not worth decompressing.
func TestCompressKeepsWhatHardlyShrinks(t *testing.T) {
	rng := newRand(t)
	text := bytes.Repeat([]byte("again and "), 80)
	for name, dictionary := range map[string][]byte{"plain": nil, "dictionary": testDictionary()} {
		comp := compressor(t, segment.Fast, dictionary)
		raw := 0
		const most = 8000
		for random := 0; random < most; random += 4 {
			// Ever more of it cannot be compressed, and seven eighths from 5,600 on. The encoder gives up earlier.
			b := append(randomBytes(rng, random), text...)
			stored, _, codec := comp.Compress(nil, b)
			if codec == 0 {
				raw++
			} else if saved := len(b) - len(stored); saved < len(b)/8 {
				t.Fatalf("%s: of %d bytes %d are stored, with codec %d", name, len(b), len(stored), codec)
			}
		}
		if want := (most - 5600) / 4; raw < want || raw > 2*want {
			t.Errorf("%s: %d are stored as they are, want %d to %d", name, raw, want, 2*want)
		}
	}
}

func TestCompressConcurrently(t *testing.T) {
	comp := compressor(t, segment.Better, testDictionary())
	records := jsonRecords(newRand(t), 50)
	var want [][]byte
	for _, raw := range records {
		stored, _, _ := comp.Compress(nil, raw)
		want = append(want, stored)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var buf, stored []byte
			for i, raw := range records {
				if stored, buf, _ = comp.Compress(buf, raw); !bytes.Equal(stored, want[i]) {
					t.Errorf("record %d is compressed otherwise", i)
				}
			}
		})
	}
	wg.Wait()
}

func TestBuildDictionary(t *testing.T) {
	rng := newRand(t)
	small := make([][]byte, 100)
	for i := range small {
		small[i] = randomBytes(rng, rng.IntN(12))
	}
	same := slices.Repeat([][]byte{[]byte("the same record again and again")}, 100)
	random := make([][]byte, 50)
	for i := range random {
		random[i] = randomBytes(rng, 500)
	}
	for name, samples := range map[string][][]byte{
		"none": nil, "empty": {nil, {}}, "one": {[]byte("only one sample of some length")}, "small": small, "same": same,
		"random": random, "zeros": bytes.Fields(bytes.Repeat([]byte("0000000000000000000000000 "), 100)),
		"two": jsonRecords(rng, 2), "few": jsonRecords(rng, 10), "many": jsonRecords(rng, 400),
	} {
		d := segment.BuildDictionary(samples, segment.DictionarySize)
		if d == nil {
			if name == "many" || name == "few" {
				t.Errorf("%s: no dictionary", name)
			}
			continue
		}
		// The header of a dictionary (entropy tables) comes on top.
		if len(d) > segment.DictionarySize+1024 || len(d) > segment.MaxRaw {
			t.Errorf("%s: dictionary of %d bytes", name, len(d))
		}
		if _, err := segment.NewCompressor(segment.Better, d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Values that cannot be compressed do not get a dictionary for their keys' sake: with
// it, packing takes five times as long.
func TestBuildDictionaryOfIncompressible(t *testing.T) {
	rng := newRand(t)
	var samples [][]byte
	for i := range 2000 {
		r := segment.Record{Seq: uint64(i + 1), Key: fmt.Appendf(nil, "image:%012d", i), Value: randomBytes(rng, 400)}
		samples = append(samples, segment.AppendRecord(nil, &r))
	}
	if d := segment.BuildDictionary(samples, segment.DictionarySize); d != nil {
		t.Errorf("a dictionary of %d bytes", len(d))
	}
	// Small records that can be are worth it, wherever the large ones are that cannot.
	for name, isText := range map[string]func(i int) bool{
		"spread": func(i int) bool { return i%4 != 0 },
		"first":  func(i int) bool { return i < len(samples)*3/4 },
		"last":   func(i int) bool { return i >= len(samples)/4 },
	} {
		for i := range samples {
			if isText(i) {
				r := segment.Record{
					Seq: uint64(i + 1), Key: fmt.Appendf(nil, "user:%012d", i),
					Value: fmt.Appendf(nil, `{"name":"user %d","active":%t,"visits":%d,"language":"en"}`, i, i%3 == 0, rng.IntN(1000)),
				}
				samples[i] = segment.AppendRecord(nil, &r)
			} else {
				r := segment.Record{Seq: uint64(i + 1), Key: fmt.Appendf(nil, "image:%012d", i), Value: randomBytes(rng, 2000)}
				samples[i] = segment.AppendRecord(nil, &r)
			}
		}
		if d := segment.BuildDictionary(samples, segment.DictionarySize); d == nil {
			t.Errorf("%s: no dictionary", name)
		}
	}
}

func TestNewCompressorRefusesDictionary(t *testing.T) {
	other := bytes.Clone(testDictionary())
	other[4]++
	for name, d := range map[string][]byte{
		"other id": other, "empty": {}, "short": other[:7], "cut": testDictionary()[:40], "none": []byte("no dictionary at all"),
	} {
		if _, err := segment.NewCompressor(segment.Fast, d); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
