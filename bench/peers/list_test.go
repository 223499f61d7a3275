package peers

import (
	"fmt"
	"testing"
)

// BenchmarkList reads pages of keys, prefix by prefix. One operation is a page.
func BenchmarkList(b *testing.B) {
	const limit = 1000
	b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
		for _, e := range Engines {
			store := &lazyStore{open: func(b *testing.B) string { return settled(b, e) }}
			b.Run("engine="+e.Name, func(b *testing.B) {
				benchmarkList(b, store.get(b, e), limit)
			})
			store.close(b)
		}
	})
}

func benchmarkList(b *testing.B, s Store, limit int) {
	data()
	prefix, cursor, listed := 0, "", 0
	measure(b, 1, func(int) error {
		n, next, err := s.List(Prefix(prefix), cursor, limit)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("no keys with prefix %q behind %q", Prefix(prefix), cursor)
		}
		listed += n
		if cursor = next; next == "" {
			prefix++
		}
		return nil
	})
	b.ReportMetric(float64(listed)/float64(b.N), "keys/op")
}
