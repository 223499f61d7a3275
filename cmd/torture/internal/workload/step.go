package workload

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/firnkv/firn/engine"
)

// Kind is how a step is done.
type Kind int

// The kinds of steps.
const (
	Put Kind = iota
	Delete
	Batch
	Stream // a put with PutReader
)

// Write is one put or delete.
type Write struct {
	Key        string
	Delete     bool
	Value      []byte
	Metadata   string
	Expiration int64 // Unix seconds; 0: none
}

// State returns what the key holds after the write.
func (w *Write) State() State {
	if w.Delete {
		return State{}
	}
	return newState(w.Key, w.Value, w.Metadata, w.Expiration)
}

// Step is what a store has to do as a whole or not at all.
type Step struct {
	Kind   Kind
	Writes []Write
	rng    *rand.Rand // for how a stream is cut
}

// Window is when the pairs of a step may expire, in seconds from the one at which
// it is planned.
type Window struct{ From, To int64 }

const keysPerWriter = 24

// Prefix returns that of all keys of a writer.
func Prefix(writer int) string { return fmt.Sprintf("%02d/", writer) }

// Key returns a writer's i-th key.
func Key(writer, i int) string {
	key := fmt.Sprintf("%s%d", Prefix(writer), i)
	if i%8 == 7 {
		key += strings.Repeat("-é", 5*i)
	}
	return key
}

// Keys returns all keys of a writer.
func Keys(writer int) []string {
	keys := make([]string, keysPerWriter)
	for i := range keys {
		keys[i] = Key(writer, i)
	}
	return keys
}

// Plan returns what a writer does as its step n, if it does so at the second now.
func Plan(seed uint64, writer, n int, now int64, expires Window) Step {
	rng := rand.New(rand.NewPCG(seed, uint64(writer)<<32|uint64(n)))
	p := planner{rng, writer, n, now, expires}
	switch k := rng.IntN(100); {
	case k < 54:
		return p.step(Put, p.put(0, p.size()))
	case k < 68:
		return p.step(Delete, p.delete())
	case k < 94:
		var writes []Write
		shrink := 1 + rng.IntN(8) // some batches take several frames of the log
		for i := range 2 + rng.IntN(30) {
			if rng.IntN(4) == 0 {
				writes = append(writes, p.delete())
			} else {
				writes = append(writes, p.put(i, p.size()/shrink))
			}
		}
		return p.step(Batch, writes...)
	default:
		return p.step(Stream, p.put(0, rng.IntN(600<<10)))
	}
}

type planner struct {
	rng       *rand.Rand
	writer, n int
	now       int64
	expires   Window
}

func (p *planner) step(kind Kind, writes ...Write) Step { return Step{kind, writes, p.rng} }

func (p *planner) key() string { return Key(p.writer, p.rng.IntN(keysPerWriter)) }

func (p *planner) delete() Write { return Write{Key: p.key(), Delete: true} }

// put returns the i-th write of the step.
func (p *planner) put(i, size int) Write {
	w := Write{Key: p.key(), Value: p.value(i, size)}
	if p.rng.IntN(4) == 0 {
		w.Metadata = fmt.Sprintf(`{"step":%d,"write":%d}`, p.n, i)
	}
	if p.rng.IntN(5) == 0 {
		w.Expiration = p.now + p.expires.From + p.rng.Int64N(p.expires.To-p.expires.From)
	}
	return w
}

// size is mostly small, and sometimes that of values that have a segment of
// their own.
func (p *planner) size() int {
	switch k := p.rng.IntN(40); {
	case k < 27:
		return p.rng.IntN(500)
	case k < 37:
		return p.rng.IntN(16 << 10)
	case k < 39:
		return 32<<10 - 8 + p.rng.IntN(16)
	default:
		return p.rng.IntN(200 << 10)
	}
}

// value says at its beginning what it was written as, if it has room for that.
func (p *planner) value(i, size int) []byte {
	v := make([]byte, size)
	n := copy(v, fmt.Sprintf("[%d step %d write %d]", p.writer, p.n, i))
	at := p.rng.IntN(len(pool))
	for n < size {
		m := copy(v[n:], pool[at:])
		n, at = n+m, 0
	}
	return v
}

// pool is what values are cut from: the first half compresses well, the second
// does not at all.
var pool = makePool(256 << 10)

func makePool(half int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for len(b) < half {
		b = fmt.Appendf(b, `{"id":%d,"name":"user %d","tags":["a","b"]},`, rng.IntN(1e6), rng.IntN(1000))
	}
	for len(b) < 2*half {
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
	}
	return b
}

// Do does the step.
func (s Step) Do(ctx context.Context, store *engine.Store) error {
	w := &s.Writes[0]
	switch s.Kind {
	case Delete:
		return store.Delete(ctx, w.Key)
	case Stream:
		return store.PutReader(ctx, w.Key, &trickle{bytes.NewReader(w.Value), s.rng}, w.options())
	case Batch:
		var b engine.Batch
		for i := range s.Writes {
			if w := &s.Writes[i]; w.Delete {
				b.Delete(w.Key)
			} else {
				b.Put(w.Key, w.Value, w.options())
			}
		}
		return store.Write(ctx, &b)
	default:
		return store.Put(ctx, w.Key, w.Value, w.options())
	}
}

func (w *Write) options() *engine.PutOptions {
	return &engine.PutOptions{Metadata: []byte(w.Metadata), Expiration: w.Expiration}
}

// trickle reads a little at a time, as from a network.
type trickle struct {
	r   io.Reader
	rng *rand.Rand
}

func (t *trickle) Read(p []byte) (int, error) {
	return t.r.Read(p[:min(len(p), 1+t.rng.IntN(32<<10))])
}
