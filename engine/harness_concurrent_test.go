package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
)

// counterKey is a key whose versions are numbered.
type counterKey struct {
	name string

	mu      sync.Mutex // of who writes
	last    int64
	floor   atomic.Int64 // of the versions that were acknowledged or seen, the highest
	begun   atomic.Int64 // highest that may be there
	deleted atomic.Int64 // highest that may be a delete
}

func raise(a *atomic.Int64, n int64) {
	for old := a.Load(); old < n && !a.CompareAndSwap(old, n); old = a.Load() {
	}
}

// begin numbers the next version.
func (k *counterKey) begin(del bool) int64 {
	k.last++
	if del {
		k.deleted.Store(k.last)
	}
	k.begun.Store(k.last)
	return k.last
}

// saw checks a version that a reader found, or 0 for none, when floor was the
// highest at the time it began.
func (k *counterKey) saw(n, floor int64) error {
	if err := k.fits(n, floor); err != nil {
		return err
	}
	raise(&k.floor, n)
	return nil
}

func (k *counterKey) fits(n, floor int64) error {
	if n == 0 {
		if floor > 0 && k.deleted.Load() < floor {
			return fmt.Errorf("%s is gone, though version %d was there and no delete since", k.name, floor)
		}
		return nil
	}
	if n < floor || n > k.begun.Load() {
		return fmt.Errorf("%s has version %d, but %d was there before, and %d is the highest", k.name, n, floor, k.begun.Load())
	}
	return nil
}

// counterValue is a value that says its number at both ends.
func counterValue(rng *rand.Rand, n int64) []byte {
	size := 16 + rng.IntN(300)
	if rng.IntN(50) == 0 {
		size = largeFrom + rng.IntN(150<<10)
	}
	b := make([]byte, size)
	binary.LittleEndian.PutUint64(b, uint64(n))
	binary.LittleEndian.PutUint64(b[size-8:], uint64(n))
	return b
}

// counterOptions say the number once more.
func counterOptions(n int64) *PutOptions {
	return &PutOptions{Metadata: strconv.AppendInt(nil, n, 10)}
}

// counterVersion returns the number of a version of which all parts have to say
// the same.
func counterVersion(value []byte, metadata string) (int64, error) {
	n := binary.LittleEndian.Uint64(value)
	if end := binary.LittleEndian.Uint64(value[len(value)-8:]); n != end || metadata != strconv.FormatUint(n, 10) {
		return 0, fmt.Errorf("it is of versions %d, %d and %s at once", n, end, metadata)
	}
	return int64(n), nil
}

type concurrent struct {
	s    *Store
	keys []*counterKey
}

// step writes in half of the goroutines and reads in the others.
func (c *concurrent) step(rng *rand.Rand, g int) error {
	k := c.keys[rng.IntN(len(c.keys))]
	if g%2 == 0 {
		if rng.IntN(6) == 0 {
			return c.batch(rng)
		}
		return c.write(rng, k)
	}
	switch rng.IntN(10) {
	case 0:
		return c.list()
	case 1:
		return c.stream(k)
	}
	return c.get(k)
}

func (c *concurrent) write(rng *rand.Rand, k *counterKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var err error
	del := rng.IntN(5) == 0
	n := k.begin(del)
	if del {
		err = c.s.Delete(context.Background(), k.name)
	} else {
		err = c.s.Put(context.Background(), k.name, counterValue(rng, n), counterOptions(n))
	}
	if err == nil {
		raise(&k.floor, n)
	}
	return err
}

// batch writes to some keys at once, twice to the first.
func (c *concurrent) batch(rng *rand.Rand) error {
	var b Batch
	var last []int64
	from := rng.IntN(len(c.keys) - 3)
	keys := c.keys[from : from+3]
	for i, k := range append(keys[:3:3], keys[0]) {
		if i < 3 {
			k.mu.Lock() // in one order everywhere
			defer k.mu.Unlock()
		}
		n := k.begin(false)
		b.Put(k.name, counterValue(rng, n), counterOptions(n))
		last = append(last, n)
	}
	if err := c.s.Write(context.Background(), &b); err != nil {
		return err
	}
	for i, k := range append(keys[:3:3], keys[0]) {
		raise(&k.floor, last[i])
	}
	return nil
}

func (c *concurrent) get(k *counterKey) error {
	floor := k.floor.Load()
	p, err := c.s.GetPair(context.Background(), k.name)
	if errors.Is(err, ErrNotFound) {
		return k.saw(0, floor)
	}
	if err != nil {
		return err
	}
	return k.check(p.Value, string(p.Metadata), floor)
}

// check checks a whole version.
func (k *counterKey) check(value []byte, metadata string, floor int64) error {
	n, err := counterVersion(value, metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	return k.saw(n, floor)
}

func (c *concurrent) stream(k *counterKey) error {
	floor := k.floor.Load()
	r, err := c.s.GetReader(context.Background(), k.name)
	if errors.Is(err, ErrNotFound) {
		return k.saw(0, floor)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	value := make([]byte, r.Len())
	for at := 0; at < len(value); {
		n, err := r.Read(value[at:])
		if at += n; err != nil {
			return err
		}
	}
	return k.check(value, string(r.Info().Metadata), floor)
}

func (c *concurrent) list() error {
	floors := map[string]int64{}
	for _, k := range c.keys {
		floors[k.name] = k.floor.Load()
	}
	found := map[string]int64{}
	for info, err := range c.s.Keys(context.Background(), "") {
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(info.Metadata), 10, 64)
		if err != nil {
			return err
		}
		found[info.Name] = n
	}
	for _, k := range c.keys {
		if err := k.saw(found[k.name], floors[k.name]); err != nil {
			return fmt.Errorf("list: %w", err)
		}
	}
	return nil
}
