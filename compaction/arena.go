package compaction

import "sync"

// arena holds byte strings in blocks, which are used again after a reset. Several
// goroutines may add, each to blocks of its own.
type arena struct {
	mu     sync.Mutex
	blocks [][]byte
	used   int // blocks
}

// blockBytes is the size of a block, unless a longer string needs one of its own.
const blockBytes = 256 << 10

// place is where a string is in an arena.
type place struct{ block, offset uint32 }

// block is one that a goroutine adds to; at first none.
type block struct {
	b     []byte // grows within its capacity
	index uint32
}

// reset forgets all strings.
func (a *arena) reset() { a.used = 0 }

// add copies s to the block, or to a new one if that is full.
func (a *arena) add(to *block, s []byte) place {
	if len(to.b)+len(s) > cap(to.b) {
		a.take(to, len(s))
	}
	n := len(to.b)
	to.b = append(to.b, s...)
	return place{to.index, uint32(n)}
}

func (a *arena) take(to *block, need int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used == len(a.blocks) {
		a.blocks = append(a.blocks, nil)
	}
	b := &a.blocks[a.used]
	if cap(*b) < need {
		*b = make([]byte, max(need, blockBytes))
	}
	to.b, to.index = (*b)[:0], uint32(a.used)
	a.used++
}

// at returns the string of n bytes at a place. It must not be called while others
// add.
func (a *arena) at(p place, n int) []byte { return a.blocks[p.block][p.offset:][:n] }
