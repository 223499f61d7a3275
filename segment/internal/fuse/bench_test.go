package fuse

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("hashes=%d", n), func(b *testing.B) {
			hashes := randomHashes(rand.New(rand.NewPCG(1, 2)), n)
			b.ReportAllocs()
			for b.Loop() {
				mustBuild(b, hashes)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/hash")
		})
	}
}

func BenchmarkContains(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("hashes=%d", n), func(b *testing.B) {
			hashes := randomHashes(rand.New(rand.NewPCG(1, 2)), n)
			f, i, hits := mustBuild(b, hashes), 0, 0
			for b.Loop() {
				if f.Contains(hashes[i]) {
					hits++
				}
				if i++; i == len(hashes) {
					i = 0
				}
			}
			if hits != b.N {
				b.Fatalf("%d of %d members found", hits, b.N)
			}
		})
	}
}
