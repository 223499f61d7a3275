package dataset

import "math/rand/v2"

// noise makes bytes that cannot be compressed.
type noise struct{ rng *rand.Rand }

func newNoise(rng *rand.Rand) *noise { return &noise{rng} }

// bytes returns a value of a random size.
func (n *noise) bytes() []byte {
	b := make([]byte, randomSize(n.rng))
	for i := range b {
		b[i] = byte(n.rng.Uint32())
	}
	return b
}
