package peers

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkOpen opens copies of a store that was closed, and of one that was not.
func BenchmarkOpen(b *testing.B) {
	for _, state := range []struct {
		name string
		dir  func(b *testing.B, e Engine) string
	}{
		{"clean", filled},
		{"crash", crashed},
	} {
		b.Run(state.name, func(b *testing.B) {
			eachEngine(b, func(b *testing.B, e Engine) { benchmarkOpen(b, e, state.dir(b, e)) })
		})
	}
}

func benchmarkOpen(b *testing.B, e Engine, from string) {
	d := data()
	dir := filepath.Join(scratch, "open")
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		if err := clone(from, dir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		s, err := e.Open(dir, false)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := getPresent(s, d, 0); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
