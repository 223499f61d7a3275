package peers

import "testing"

// BenchmarkDisk is what the disk gives: 4 KiB written and synced.
func BenchmarkDisk(b *testing.B) {
	p, err := NewProbe(scratch)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	measure(b, 1, func(int) error { return p.Write() })
}
