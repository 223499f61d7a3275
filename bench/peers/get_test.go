package peers

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/firnkv/firn/bench"
	"github.com/firnkv/firn/bench/dataset"
)

// data is that of stores with -keys pairs.
var data = sync.OnceValue(func() *dataset.Data {
	d, err := dataset.Spec{Kind: dataset.JSON, Keys: *keys}.New()
	if err != nil {
		panic(err)
	}
	return d
})

// BenchmarkGet reads pairs that are there, keys that are not, and pairs by
// Zipf's law, from filled stores that have done their background work.
func BenchmarkGet(b *testing.B) {
	stores := map[string]bench.Store{}
	defer func() {
		for _, s := range stores {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		}
	}()
	for _, read := range []struct {
		name string
		op   func(s bench.Store, d *dataset.Data, i int) error
	}{
		{"uniform", bench.GetUniform},
		{"absent", bench.GetAbsent},
		{"zipf", bench.GetZipf},
	} {
		for _, threads := range threadCounts() {
			b.Run(fmt.Sprintf("%s/threads=%d", read.name, threads), func(b *testing.B) {
				eachEngine(b, func(b *testing.B, e bench.Engine) {
					d := data()
					d.Zipf(0) // draws all
					if stores[e.Name] == nil {
						stores[e.Name] = settled(b, e)
					}
					s := stores[e.Name]
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

// settled returns a store of all pairs that has done its background work.
func settled(b *testing.B, e bench.Engine) bench.Store {
	b.Helper()
	dir := filepath.Join(scratch, e.Name)
	s, err := e.Open(dir, bench.Options{Writers: 1})
	if err != nil {
		b.Fatal(err)
	}
	if err := bench.Fill(b.Context(), s, data(), 1); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	if s, err = e.Open(dir, bench.Options{Writers: 1}); err != nil {
		b.Fatal(err)
	}
	if err := s.Settle(); err != nil {
		b.Fatal(err)
	}
	return s
}
