package peers

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// BenchmarkMemory opens a store in a new process, after a clean close, and tells
// what the process has grown by when garbage is collected.
func BenchmarkMemory(b *testing.B) {
	if ResidentBytes() == 0 {
		b.Skip("the memory of a process is not known here")
	}
	eachEngine(b, func(b *testing.B, e Engine) {
		n := *memoryKeys
		if n == 0 {
			n = *keys
		}
		var grown float64
		for b.Loop() {
			b.StopTimer()
			dir := memoryDir(b, e, n)
			b.StartTimer()
			line, err := child("memory", e, dir, n)
			if err != nil {
				b.Fatal(err)
			}
			if grown, err = strconv.ParseFloat(line, 64); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := os.RemoveAll(dir); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		b.ReportMetric(grown/1e6, "MB")
		b.ReportMetric(grown/float64(n), "B/key")
		b.ReportMetric(0, "ns/op")
	})
}

// memoryDir makes a store with n pairs that the child may change.
func memoryDir(b *testing.B, e Engine, n int) string {
	dir := filepath.Join(scratch, "memory")
	var err error
	if n == *keys {
		err = clone(filled(b, e), dir)
	} else {
		err = fillDir(e, dir, NewData(n))
	}
	if err != nil {
		b.Fatal(err)
	}
	return dir
}
