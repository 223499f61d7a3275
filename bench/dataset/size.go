package dataset

import (
	"math"
	"math/rand/v2"
)

// Sizes of values follow a log-normal distribution. Its median is medianSize; its
// mean, by the choice of spread, 435.
const (
	medianSize = 288
	spread     = 0.918
	minSize    = 40
	maxSize    = 8 << 10
)

// randomSize draws the size of a value in bytes.
func randomSize(rng *rand.Rand) int {
	size := int(medianSize * math.Exp(rng.NormFloat64()*spread))
	return min(max(size, minSize), maxSize)
}
