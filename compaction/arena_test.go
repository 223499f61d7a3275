package compaction

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
)

// What several goroutines add is all there until the reset, and the blocks are
// used again after it.
func TestArena(t *testing.T) {
	var a arena
	for round := range 3 {
		const goroutines, strings = 4, 400
		var want [goroutines][][]byte
		var got [goroutines][]place
		var group sync.WaitGroup
		for g := range goroutines {
			group.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(round), uint64(g)))
				var to block
				for range strings {
					n := rng.IntN(5000)
					if rng.IntN(100) == 0 {
						n = blockBytes + rng.IntN(1000)
					}
					s := bytes.Repeat([]byte{byte(rng.Uint32())}, n)
					want[g], got[g] = append(want[g], s), append(got[g], a.add(&to, s))
				}
			})
		}
		group.Wait()
		for g := range goroutines {
			for i, s := range want[g] {
				if b := a.at(got[g][i], len(s)); !bytes.Equal(b, s) {
					t.Fatalf("round %d: string %d of goroutine %d: %d bytes are not those that were added", round, i, g, len(s))
				}
			}
		}
		a.reset()
	}
	blocks := len(a.blocks)
	var to block
	a.add(&to, []byte("again"))
	if len(a.blocks) != blocks {
		t.Errorf("%d blocks after a reset and a short string, %d before", len(a.blocks), blocks)
	}
}
