package dataset

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
)

// The kinds of data.
const (
	// JSON is documents as applications keep them: 17 bytes of key, and JSON
	// objects of 435 bytes on average, half of them below 288. In frames of
	// 16 KiB, the fastest zstd shrinks them by a factor of 2 to 2.6.
	JSON = "json"
	// Random is the same keys, and as many bytes that cannot be compressed.
	Random = "random"
	// Pairs is pairs from a file.
	Pairs = "pairs"
)

// Spec says which data to make. A process can make the data of another by it.
type Spec struct {
	Kind string `json:"kind"`
	// File is where Pairs come from; see [Spec.New].
	File string `json:"file,omitempty"`
	// Keys is how many pairs there are at most. A file may have fewer.
	Keys int `json:"keys"`
}

// maxKeys is how many keys there can be, so that offsets in their text fit in 32
// bits.
const maxKeys = 1<<32/(2*keyLen) - 1

// New makes the data. A file of pairs holds a line of JSON for each, with the
// strings "key" and "value", and is plain or compressed by zstd.
func (s Spec) New() (*Data, error) {
	if s.Keys < 1 || s.Keys > maxKeys {
		return nil, fmt.Errorf("data of %d keys: it is 1 to %d", s.Keys, maxKeys)
	}
	switch s.Kind {
	case JSON:
		return made(s.Keys, newWriter(rand.New(rand.NewPCG(1, 2))).object), nil
	case Random:
		return made(s.Keys, newNoise(rand.New(rand.NewPCG(1, 2))).bytes), nil
	case Pairs:
		return load(s.File, s.Keys)
	}
	return nil, fmt.Errorf("data of the unknown kind %q", s.Kind)
}

// Data is keys and values. Keys have indexes: those of the keys in the stores
// begin at 0, and as many more belong to keys that are absent. Indexes in ascending
// order are keys in random order.
//
// It is safe for concurrent use.
type Data struct {
	// Keys is how many pairs are in a store.
	Keys int

	text     string   // all keys
	ends     []uint32 // of key i in text is ends[i+1]; no pointers, so that the garbage collector has no work
	values   [][]byte
	value    func(i int) int // the index in values that belongs to that of a key
	prefixes []string

	ranks func() []uint32
}

// finish completes data that has its keys and values.
func (d *Data) finish() *Data {
	d.ranks = sync.OnceValue(func() []uint32 { return ranks(d.Keys) })
	return d
}

// addKey adds the next key.
func (d *Data) addKey(text, key []byte) []byte {
	text = append(text, key...)
	d.ends = append(d.ends, uint32(len(text)))
	return text
}

// Key returns the key with index i, which is below twice Keys. From Keys on, it
// is absent.
func (d *Data) Key(i int) string { return d.text[d.ends[i]:d.ends[i+1]] }

// Value returns the value of the key with index i, which may be any. It must not
// be changed.
func (d *Data) Value(i int) []byte { return d.values[d.value(i)] }

// Bytes returns the bytes of the keys and values in a store.
func (d *Data) Bytes() int64 {
	total := int64(d.ends[d.Keys])
	for i := range d.Keys {
		total += int64(len(d.Value(i)))
	}
	return total
}

// Prefixes returns prefixes of keys that are in the stores, each of some.
func (d *Data) Prefixes() []string { return d.prefixes }

// Sorted returns the indexes of the keys in the stores, in the order of the keys.
func (d *Data) Sorted() []int {
	sorted := make([]int, d.Keys)
	for i := range sorted {
		sorted[i] = i
	}
	slices.SortFunc(sorted, func(a, b int) int { return cmp.Compare(d.Key(a), d.Key(b)) })
	return sorted
}

// Uniform returns the i-th of a sequence of indexes of keys, each as likely as
// any other.
func (d *Data) Uniform(i int) int { return int(Mix(uint64(i)) % uint64(d.Keys)) }

// Zipf returns the i-th of a sequence of indexes of keys that follow Zipf's law
// with the exponent 0.99. The frequent ones are spread over all, so that they do
// not stand beside each other in a store. The sequence has a period of 1<<20.
func (d *Data) Zipf(i int) int { return int(Mix(uint64(d.rank(i))) % uint64(d.Keys)) }

// Recent is Zipf, but the most frequent is the key with index newest, the next the
// one below it, and so on.
func (d *Data) Recent(i, newest int) int { return max(newest-d.rank(i), 0) }

const period = 1 << 20

func (d *Data) rank(i int) int { return int(d.ranks()[i&(period-1)]) }

// ranks draws a period of ranks below n.
func ranks(n int) []uint32 {
	law, rng := newZipfLaw(n), rand.New(rand.NewPCG(3, 4))
	drawn := make([]uint32, period)
	for i := range drawn {
		drawn[i] = uint32(law.draw(rng))
	}
	return drawn
}

// Mix is the finalizer of SplitMix64: what differs in anything differs in half of
// the bits of the result.
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
