package cache

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
)

// newRand returns a generator seeded by FIRN_SEED, or at random, and logs the seed.
func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	if s := os.Getenv("FIRN_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("FIRN_SEED: %v", err)
		}
	}
	t.Logf("FIRN_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// place returns an id of the kind that a store makes: few segments, in each the same places, in steps of 8.
func place(i int) ID {
	return ID{Segment: uint64(i & 15), Place: uint64(i>>4) * 8}
}

// recordOf returns a record that names its id, with a value of at least 16 bytes.
func recordOf(id ID, valueSize int) *Record {
	value := make([]byte, max(16, valueSize))
	binary.LittleEndian.PutUint64(value, id.Segment)
	binary.LittleEndian.PutUint64(value[8:], id.Place)
	return &Record{Key: []byte("key"), Value: value, Expiration: int64(id.Place)}
}

// names reports whether recordOf made r for id.
func (r Record) names(id ID) bool {
	return binary.LittleEndian.Uint64(r.Value) == id.Segment && binary.LittleEndian.Uint64(r.Value[8:]) == id.Place &&
		r.Expiration == int64(id.Place)
}

// zipf draws 0 to n-1 with probabilities proportional to 1/(i+1)^s.
type zipf []float64

func newZipf(n int, s float64) zipf {
	z := make(zipf, n)
	sum := 0.0
	for i := range z {
		sum += math.Pow(float64(i+1), -s)
		z[i] = sum
	}
	for i := range z {
		z[i] /= sum
	}
	return z
}

func (z zipf) draw(r *rand.Rand) int {
	i, _ := slices.BinarySearch(z, r.Float64())
	return min(i, len(z)-1)
}
