package peers

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func TestKeys(t *testing.T) {
	d := NewData(50_000)
	seen := map[string]bool{}
	for i := range 2 * d.Keys {
		k := d.Key(i)
		if len(k) != KeyLen || seen[k] {
			t.Fatalf("key %d is %q", i, k)
		}
		seen[k] = true
	}
}

func TestValues(t *testing.T) {
	d := NewData(1)
	var sizes []int
	total := 0
	for _, v := range d.values {
		if !json.Valid(v) {
			t.Fatalf("not JSON: %s", v)
		}
		sizes = append(sizes, len(v))
		total += len(v)
	}
	slices.Sort(sizes)
	mean, median := float64(total)/float64(len(sizes)), sizes[len(sizes)/2]
	t.Logf("mean %.1f, median %d, largest %d; e.g. %s", mean, median, sizes[len(sizes)-1], d.values[0])
	if math.Abs(mean-435) > 9 || math.Abs(float64(median)-288) > 9 {
		t.Errorf("mean %.1f, median %d; want 435 and 288", mean, median)
	}
	ratio := compressed(t, d)
	t.Logf("compresses %.2f times", ratio)
	if ratio < 2 || ratio > 2.6 {
		t.Errorf("compresses %.2f times; want 2 to 2.6", ratio)
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

func TestZipf(t *testing.T) {
	const n, draws = 1000, 200_000
	z, rng := NewZipf(n), rand.New(rand.NewPCG(1, 1))
	counts := make([]int, n)
	for range draws {
		counts[z.Draw(rng)]++
	}
	for _, rank := range []int{1, 2, 10, 100} {
		want := draws * math.Pow(float64(rank), -zipfExponent) / z.sum
		if got := float64(counts[rank-1]); math.Abs(got-want) > want/4 {
			t.Errorf("rank %d was drawn %.0f times, expected %.0f", rank, got, want)
		}
	}
}

func TestLatencies(t *testing.T) {
	var a, b Latencies
	for i := range 1000 {
		a.Add(time.Duration(i) * time.Microsecond)
		b.Add(time.Duration(i+1000) * time.Microsecond)
	}
	a.Merge(&b)
	for _, q := range []float64{0.01, 0.5, 0.99} {
		want := q * 2000
		if got := a.Quantile(q).Seconds() * 1e6; math.Abs(got-want) > want/32+1 {
			t.Errorf("quantile %v is %v µs, want %v", q, got, want)
		}
	}
}
