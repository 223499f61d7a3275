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
	for _, level := range []segment.Level{segment.Fast, segment.Better} {
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
		b := []byte{0x28, 0xB5, 0x2F, 0xFD, 0xA0}
		opts := []zstd.DOption{}
		if dictionary != nil {
			b = []byte{0x28, 0xB5, 0x2F, 0xFD, 0xA1, 1}
			opts = append(opts, zstd.WithDecoderDicts(dictionary))
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(len(raw)))
		block := 1 | 2<<1 | len(stored)<<3
		b = append(b, byte(block), byte(block>>8), byte(block>>16))
		b = append(b, stored...)
		dec, err := zstd.NewReader(nil, opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		got, err := dec.DecodeAll(b, nil)
		if err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s, codec %d: %v", name, codec, err)
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
