package peers

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
)

// Data is what goes into the stores. It depends on nothing but its size.
//
// The key with index i is spread over [Prefixes] prefixes and over the range of
// keys under each, so that indexes in ascending order are keys in random order.
// Values come from a pool of some thousands, several MiB in all: none comes
// again within reach of a frame, a block or a compressor's window. Compressed in
// frames of 16 KiB by the fastest zstd, they shrink by a factor of 2 to 2.6.
type Data struct {
	Keys   int
	keys   string
	values [][]byte
}

const (
	// KeyLen is the length of every key in bytes.
	KeyLen = 17
	// Prefixes is how many prefixes there are; see [Prefix].
	Prefixes  = 100
	prefixLen = 5
	poolSize  = 1 << 14
)

// NewData returns the data of stores with so many keys, and the keys that they
// do not have: as many again.
func NewData(keys int) *Data {
	d := &Data{Keys: keys, values: make([][]byte, poolSize)}
	b := make([]byte, 0, 2*keys*KeyLen)
	for i := range 2 * keys {
		b = appendKey(b, i)
	}
	d.keys = string(b)
	w := newWriter(rand.New(rand.NewPCG(1, 2)))
	for i := range d.values {
		d.values[i] = w.object()
	}
	return d
}

// Key returns the key with index i: in the stores below Keys, absent from there
// up to twice as many.
func (d *Data) Key(i int) string { return d.keys[i*KeyLen : (i+1)*KeyLen] }

// Value returns the value of the key with index i. It must not be changed.
func (d *Data) Value(i int) []byte { return d.values[mix(uint64(i))%poolSize] }

// Bytes returns the bytes of keys and values in a store.
func (d *Data) Bytes() int64 {
	total := int64(d.Keys) * KeyLen
	for i := range d.Keys {
		total += int64(len(d.Value(i)))
	}
	return total
}

// Prefix returns one of the prefixes of keys.
func Prefix(i int) string { return fmt.Sprintf("id%02d:", i%Prefixes) }

// appendKey appends the key with index i: a prefix and 12 hexadecimal digits,
// which differ for all i below 1<<48.
func appendKey(b []byte, i int) []byte {
	const digits = 1<<48 - 1
	x := uint64(i+1) * 0x9e3779b97f4b & digits
	x ^= x >> 24
	x = x * 0xd6e8feb86659 & digits
	x ^= x >> 24
	group := mix(uint64(i)) >> 32 % Prefixes
	b = append(b, 'i', 'd', byte('0'+group/10), byte('0'+group%10), ':')
	var raw [6]byte
	for k := range raw {
		raw[k] = byte(x >> (40 - 8*k))
	}
	return hex.AppendEncode(b, raw[:])
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// writer makes JSON objects of the kind that applications keep: an id, a time,
// some numbers and words from small sets, and text.
type writer struct {
	rng   *rand.Rand
	words []string
	zipf  *Zipf
}

func newWriter(rng *rand.Rand) *writer {
	const vocabulary = 8000
	syllables := []string{
		"an", "ber", "con", "de", "el", "for", "ga", "hi", "in", "jo", "ke", "la", "men", "no", "or", "pre",
		"qua", "re", "son", "ti", "un", "ver", "wa", "xi", "yo", "za", "st", "tion", "ing", "er", "ly", "ment",
	}
	w := &writer{rng: rng, zipf: NewZipf(vocabulary)}
	for len(w.words) < vocabulary {
		word := ""
		for range 1 + rng.IntN(4) {
			word += syllables[rng.IntN(len(syllables))]
		}
		w.words = append(w.words, word)
	}
	return w
}

// Sizes follow a log-normal distribution. Its median is medianSize; its mean, by
// the choice of spread, 435.
const (
	medianSize = 288
	spread     = 0.918
	minSize    = 40
	maxSize    = 8 << 10
)

// object returns an object of a random size.
func (w *writer) object() []byte {
	size := int(medianSize * math.Exp(w.rng.NormFloat64()*spread))
	size = min(max(size, minSize), maxSize)
	b := make([]byte, 0, size)
	b = fmt.Appendf(b, `{"id":"%012x","n":%d`, w.rng.Uint64()>>16, w.rng.IntN(1000))
	for _, field := range w.rng.Perm(len(fields)) {
		next := fields[field](w, nil)
		if len(b)+len(next)+len(`,"text":""}`) <= size {
			b = append(b, next...)
		}
	}
	return w.text(b, size)
}

var fields = []func(w *writer, b []byte) []byte{
	func(w *writer, b []byte) []byte {
		return fmt.Appendf(b, `,"created_at":"2026-%02d-%02dT%02d:%02d:%02d.%03dZ"`, 1+w.rng.IntN(12), 1+w.rng.IntN(28),
			w.rng.IntN(24), w.rng.IntN(60), w.rng.IntN(60), w.rng.IntN(1000))
	},
	func(w *writer, b []byte) []byte {
		return fmt.Appendf(b, `,"email":"%s.%s@%s.example"`, w.word(), w.word(), w.word())
	},
	func(w *writer, b []byte) []byte {
		return fmt.Appendf(b, `,"status":"%s"`, []string{"active", "pending", "disabled", "archived"}[w.rng.IntN(4)])
	},
	func(w *writer, b []byte) []byte {
		return fmt.Appendf(b, `,"location":{"lat":%.5f,"lon":%.5f}`, w.rng.Float64()*180-90, w.rng.Float64()*360-180)
	},
	func(w *writer, b []byte) []byte {
		return strconv.AppendBool(append(b, `,"verified":`...), w.rng.IntN(2) == 0)
	},
	func(w *writer, b []byte) []byte {
		return fmt.Appendf(b, `,"tags":["%s","%s","%s"]`, w.word(), w.word(), w.word())
	},
	func(w *writer, b []byte) []byte {
		return fmt.Appendf(b, `,"session":"%016x%016x"`, w.rng.Uint64(), w.rng.Uint64())
	},
}

func (w *writer) word() string { return w.words[w.zipf.Draw(w.rng)] }

// text completes an object to size with a text, unless there is no room for one.
func (w *writer) text(b []byte, size int) []byte {
	room := size - len(b) - len(`,"text":""}`)
	if room <= 0 {
		return append(b, '}')
	}
	b = append(b, `,"text":"`...)
	end := len(b) + room
	for len(b) < end {
		b = append(append(b, w.word()...), ' ')
	}
	return append(b[:end], `"}`...)
}
