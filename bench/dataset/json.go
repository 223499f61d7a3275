package dataset

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// writer makes JSON objects of the kind that applications keep: an id, a time,
// some numbers and words from small sets, and text.
type writer struct {
	rng   *rand.Rand
	words []string
	zipf  *zipfLaw
}

func newWriter(rng *rand.Rand) *writer {
	const vocabulary = 8000
	syllables := []string{
		"an", "ber", "con", "de", "el", "for", "ga", "hi", "in", "jo", "ke", "la", "men", "no", "or", "pre",
		"qua", "re", "son", "ti", "un", "ver", "wa", "xi", "yo", "za", "st", "tion", "ing", "er", "ly", "ment",
	}
	w := &writer{rng: rng, zipf: newZipfLaw(vocabulary)}
	for len(w.words) < vocabulary {
		word := ""
		for range 1 + rng.IntN(4) {
			word += syllables[rng.IntN(len(syllables))]
		}
		w.words = append(w.words, word)
	}
	return w
}

// object returns an object of a random size.
func (w *writer) object() []byte {
	size := randomSize(w.rng)
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

func (w *writer) word() string { return w.words[w.zipf.draw(w.rng)] }

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
