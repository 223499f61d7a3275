package index

import "encoding/binary"

// Fields of bits stand in bytes without gaps, least significant bit first.

// bitsAt reads a field of at most 57 bits, which fits a word at any offset in its first byte. The data must go on for 8
// bytes from the field's first byte.
func bitsAt(data []byte, at, mask uint64) uint64 {
	return binary.LittleEndian.Uint64(data[at>>3:]) >> (at & 7) & mask
}

func maskOf(width uint) uint64 { return 1<<width - 1 }

// bitWriter appends fields. It collects whole words: adding to bytes just written would stall on each field.
type bitWriter struct {
	dst  []byte
	word uint64
	n    uint // bits in word, less than 64
}

// put appends a field of at most 64 bits; v has no others.
func (w *bitWriter) put(v uint64, width uint) {
	w.word |= v << w.n
	if w.n += width; w.n >= 64 {
		w.dst = binary.LittleEndian.AppendUint64(w.dst, w.word)
		w.n -= 64
		w.word = v >> (width - w.n)
	}
}

// finish appends what is left, filled up to a byte, and returns everything.
func (w *bitWriter) finish() []byte {
	for ; w.n > 0; w.n -= min(w.n, 8) {
		w.dst = append(w.dst, byte(w.word))
		w.word >>= 8
	}
	return w.dst
}
