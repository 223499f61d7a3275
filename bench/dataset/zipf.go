package dataset

import (
	"math"
	"math/rand/v2"
)

// zipfLaw draws ranks by Zipf's law with the exponent 0.99, which is below what
// rand.Zipf takes. It is the method of Gray et al., "Quickly Generating
// Billion-Record Synthetic Databases" (SIGMOD 1994), which YCSB uses too.
type zipfLaw struct {
	n               int
	alpha, eta, sum float64
	second          float64 // share of the first two ranks, times sum
}

const zipfExponent = 0.99

// newZipfLaw returns a law over n ranks.
func newZipfLaw(n int) *zipfLaw {
	z := &zipfLaw{n: n, alpha: 1 / (1 - zipfExponent), second: 1 + math.Pow(0.5, zipfExponent)}
	for i := 1; i <= n; i++ {
		z.sum += math.Pow(float64(i), -zipfExponent)
	}
	z.eta = (1 - math.Pow(2/float64(n), 1-zipfExponent)) / (1 - z.second/z.sum)
	return z
}

// draw returns a rank from 0, the most frequent, below n.
func (z *zipfLaw) draw(rng *rand.Rand) int {
	u := rng.Float64()
	switch s := u * z.sum; {
	case s < 1:
		return 0
	case s < z.second:
		return 1
	}
	return min(z.n-1, int(float64(z.n)*math.Pow(z.eta*u-z.eta+1, z.alpha)))
}
