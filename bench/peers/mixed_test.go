package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkMixed puts and gets, half and half, by Zipf's law.
func BenchmarkMixed(b *testing.B) {
	const threads = 2
	b.Run(fmt.Sprintf("zipf/threads=%d", threads), func(b *testing.B) {
		for _, e := range Engines {
			dir := filepath.Join(scratch, e.Name+"-mixed")
			store := &lazyStore{open: func(b *testing.B) string {
				if err := clone(settled(b, e), dir); err != nil {
					b.Fatal(err)
				}
				return dir
			}}
			b.Run("engine="+e.Name, func(b *testing.B) {
				d, s := data(), store.get(b, e)
				zipfKeys()
				measure(b, threads, func(i int) error { return putOrGet(s, d, i) })
			})
			store.close(b)
			if err := os.RemoveAll(dir); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// putOrGet puts the value that the key has already: gets go on checking it.
func putOrGet(s Store, d *Data, i int) error {
	if key := zipfKey(i); mix(uint64(i))&1 == 0 {
		return s.Put(d.Key(key), d.Value(key))
	}
	return getZipf(s, d, i)
}
