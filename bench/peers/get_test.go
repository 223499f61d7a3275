package peers

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// BenchmarkGet reads pairs that are there, keys that are not, and pairs by
// Zipf's law.
func BenchmarkGet(b *testing.B) {
	stores := map[string]*lazyStore{}
	for _, e := range Engines {
		s := &lazyStore{open: func(b *testing.B) string { return settled(b, e) }}
		stores[e.Name] = s
		defer s.close(b)
	}
	for _, read := range []struct {
		name string
		op   func(s Store, d *Data, i int) error
	}{
		{"uniform", getUniform},
		{"absent", getAbsent},
		{"zipf", getZipf},
	} {
		for _, threads := range threadCounts() {
			b.Run(fmt.Sprintf("%s/threads=%d", read.name, threads), func(b *testing.B) {
				eachEngine(b, func(b *testing.B, e Engine) {
					d, s := data(), stores[e.Name].get(b, e)
					zipfKeys()
					measure(b, threads, func(i int) error { return read.op(s, d, i) })
				})
			})
		}
	}
}

// threadCounts are one and all that there are.
func threadCounts() []int {
	if all := runtime.GOMAXPROCS(0); all > 1 {
		return []int{1, all}
	}
	return []int{1}
}

func getUniform(s Store, d *Data, i int) error {
	return getPresent(s, d, int(mix(uint64(i))%uint64(d.Keys)))
}

// getAbsent takes the keys as they come, which is in random order already: so the
// key itself is at hand, as it is for a caller who just made it.
func getAbsent(s Store, d *Data, i int) error {
	key := d.Key(d.Keys + i%d.Keys)
	missing, err := s.Missing(key)
	if err == nil && !missing {
		err = fmt.Errorf("key %q should be missing", key)
	}
	return err
}

func getZipf(s Store, d *Data, i int) error { return getPresent(s, d, zipfKey(i)) }

func getPresent(s Store, d *Data, i int) error {
	n, err := s.Get(d.Key(i))
	if err != nil {
		return fmt.Errorf("key %q: %w", d.Key(i), err)
	}
	if want := len(d.Value(i)); n != want {
		return fmt.Errorf("value of key %q has %d bytes, should have %d", d.Key(i), n, want)
	}
	return nil
}

const zipfDraws = 1 << 20

// zipfKeys are indexes of keys by Zipf's law. The frequent ones are spread over
// all, so that they do not stand beside each other in a store.
var zipfKeys = sync.OnceValue(func() []uint32 {
	law := NewZipf(*keys)
	rng := rand.New(rand.NewPCG(3, 4))
	draws := make([]uint32, zipfDraws)
	for i := range draws {
		draws[i] = uint32(mix(uint64(law.Draw(rng))) % uint64(*keys))
	}
	return draws
})

func zipfKey(i int) int { return int(zipfKeys()[i%zipfDraws]) }
