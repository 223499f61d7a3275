package dataset

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func newData(t *testing.T, kind string, keys int) *Data {
	t.Helper()
	d, err := Spec{Kind: kind, Keys: keys}.New()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestKeys(t *testing.T) {
	d := newData(t, JSON, 50_000)
	seen := map[string]bool{}
	for i := range 2 * d.Keys {
		k := d.Key(i)
		if len(k) != keyLen || seen[k] {
			t.Fatalf("key %d is %q", i, k)
		}
		seen[k] = true
	}
}

func TestMetadata(t *testing.T) {
	d := newData(t, JSON, 1000)
	seen := map[string]bool{}
	for i := range d.Keys {
		m := d.Metadata(i)
		if len(m) != MetadataBytes || !json.Valid(m) || seen[string(m)] || !bytes.Equal(m, d.Metadata(i)) {
			t.Fatalf("metadata %d is %s", i, m)
		}
		seen[string(m)] = true
	}
}

func TestSorted(t *testing.T) {
	d := newData(t, JSON, 5000)
	var keys []string
	for _, i := range d.Sorted() {
		keys = append(keys, d.Key(i))
	}
	if !slices.IsSorted(keys) || len(keys) != d.Keys || keys[0] == keys[len(keys)-1] {
		t.Errorf("not all keys in order: %d, %q to %q", len(keys), keys[0], keys[len(keys)-1])
	}
}

func TestJSON(t *testing.T) {
	d := newData(t, JSON, 1)
	for _, v := range d.values {
		if !json.Valid(v) {
			t.Fatalf("not JSON: %s", v)
		}
	}
	checkSizes(t, d)
	if ratio := compressed(t, d); ratio < 2 || ratio > 2.6 {
		t.Errorf("compresses %.2f times; want 2 to 2.6", ratio)
	}
}

func TestRandom(t *testing.T) {
	d := newData(t, Random, 1)
	checkSizes(t, d)
	if ratio := compressed(t, d); ratio > 1.06 { // the keys have hexadecimal digits
		t.Errorf("compresses %.2f times; want hardly any", ratio)
	}
}

func checkSizes(t *testing.T, d *Data) {
	t.Helper()
	var sizes []int
	total := 0
	for _, v := range d.values {
		sizes = append(sizes, len(v))
		total += len(v)
	}
	slices.Sort(sizes)
	mean, median := float64(total)/float64(len(sizes)), sizes[len(sizes)/2]
	if math.Abs(mean-435) > 9 || math.Abs(float64(median)-288) > 9 {
		t.Errorf("mean %.1f, median %d; want 435 and 288", mean, median)
	}
}

// compressed returns the ratio that frames of 16 KiB reach.
func compressed(t *testing.T, d *Data) float64 {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	var frame, out []byte
	raw, stored := 0, 0
	for i := range d.values {
		frame = append(append(frame, d.Value(i)...), appendKey(nil, i)...)
		if len(frame) >= 16<<10 {
			out = enc.EncodeAll(frame, out[:0])
			raw, stored = raw+len(frame), stored+len(out)
			frame = frame[:0]
		}
	}
	return float64(raw) / float64(stored)
}

// Two makings of the same are the same: processes rely on it.
func TestSame(t *testing.T) {
	for _, kind := range []string{JSON, Random} {
		a, b := newData(t, kind, 100), newData(t, kind, 100)
		for i := range 100 {
			if a.Key(i) != b.Key(i) || !bytes.Equal(a.Value(i), b.Value(i)) || a.Zipf(i) != b.Zipf(i) {
				t.Fatalf("%s: pair %d differs", kind, i)
			}
		}
	}
}

func TestBadSpecs(t *testing.T) {
	for _, s := range []Spec{{Kind: JSON}, {Kind: JSON, Keys: maxKeys + 1}, {Kind: "xml", Keys: 1}, {Kind: Pairs, File: "nowhere", Keys: 1}} {
		if _, err := s.New(); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
}

func TestZipf(t *testing.T) {
	const n, draws = 1000, 200_000
	z, rng := newZipfLaw(n), rand.New(rand.NewPCG(1, 1))
	counts := make([]int, n)
	for range draws {
		counts[z.draw(rng)]++
	}
	for _, rank := range []int{1, 2, 10, 100} {
		want := draws * math.Pow(float64(rank), -zipfExponent) / z.sum
		if got := float64(counts[rank-1]); math.Abs(got-want) > want/4 {
			t.Errorf("rank %d was drawn %.0f times, expected %.0f", rank, got, want)
		}
	}
}

func TestSequences(t *testing.T) {
	d := newData(t, JSON, 1000)
	zipf, recent, uniform := make([]int, d.Keys), make([]int, d.Keys), make([]int, d.Keys)
	const draws = 100_000
	for i := range draws {
		zipf[d.Zipf(i)]++
		recent[d.Recent(i, d.Keys-1)]++
		uniform[d.Uniform(i)]++
	}
	if top := slices.Max(recent); recent[d.Keys-1] != top || top < draws/20 {
		t.Errorf("the newest was drawn %d times, another %d times", recent[d.Keys-1], top)
	}
	if top := slices.Max(zipf); top < draws/20 {
		t.Errorf("none was drawn more often than %d times", top)
	}
	if low, high := slices.Min(uniform), slices.Max(uniform); low < draws/1000/2 || high > draws/1000*2 {
		t.Errorf("each was drawn between %d and %d times", low, high)
	}
}
