package peers

import (
	"fmt"
	"testing"
)

// BenchmarkPut puts pairs into a new store.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("durable/writers=%d", writers), func(b *testing.B) {
			eachEngine(b, func(b *testing.B, e Engine) { benchmarkDurable(b, e, writers) })
		})
	}
}

func benchmarkDurable(b *testing.B, e Engine, writers int) {
	d := data()
	s, err := e.Open(b.TempDir(), true)
	if err != nil {
		b.Fatal(err)
	}
	measure(b, writers, func(i int) error {
		i %= d.Keys
		return s.Put(d.Key(i), d.Value(i))
	})
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
