package peers

import (
	"context"
	"log"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

type pebbleStore struct {
	db    *pebble.DB
	write *pebble.WriteOptions
}

func openPebble(dir string, durable bool) (Store, error) {
	db, err := pebble.Open(dir, pebbleOptions())
	if err != nil {
		return nil, err
	}
	p := &pebbleStore{db: db, write: pebble.NoSync}
	if durable {
		p.write = pebble.Sync
	}
	return p, nil
}

func pebbleOptions() *pebble.Options {
	opts := &pebble.Options{
		CacheSize:                   cacheBytes,
		FormatMajorVersion:          pebble.FormatNewest,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                16384,
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		CompactionConcurrencyRange:  func() (lower, upper int) { return 1, 3 },
		Logger:                      quiet{},
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		opts.Levels[i].FilterType = pebble.TableFilter
	}
	return opts
}

// quiet leaves out what Pebble says about its work.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(format string, args ...any) { log.Printf(format, args...) }
func (quiet) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

// asBytes returns the bytes of a key, which Pebble does not change or keep.
func asBytes(key string) []byte { return unsafe.Slice(unsafe.StringData(key), len(key)) }

func (p *pebbleStore) Put(key string, value []byte) error {
	return p.db.Set(asBytes(key), value, p.write)
}

func (p *pebbleStore) Get(key string) (int, error) {
	v, closer, err := p.db.Get(asBytes(key))
	if err != nil {
		return 0, err
	}
	return len(v), closer.Close()
}

// Missing does what Get does not: it asks the filters of the last level, too,
// where nearly everything is.
func (p *pebbleStore) Missing(key string) (bool, error) {
	it, err := p.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return false, err
	}
	found := it.SeekPrefixGE(asBytes(key))
	return !found, it.Close()
}

// List makes strings of the keys, as whoever passes a page on has to. The
// cursor is the last key of the page.
func (p *pebbleStore) List(prefix, cursor string, limit int) (n int, next string, err error) {
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefix), UpperBound: behind(prefix)})
	if err != nil {
		return 0, "", err
	}
	keys := make([]string, 0, limit)
	more := false
	if cursor == "" {
		more = it.First()
	} else {
		more = it.SeekGE(append([]byte(cursor), 0))
	}
	for ; more && len(keys) < limit; more = it.Next() {
		keys = append(keys, string(it.Key()))
	}
	if more {
		next = keys[len(keys)-1]
	}
	return len(keys), next, it.Close()
}

// behind returns the first key behind all that have the prefix, which has to end
// in something less than 0xff.
func behind(prefix string) []byte {
	b := []byte(prefix)
	b[len(b)-1]++
	return b
}

func (p *pebbleStore) Settle() error {
	return p.db.Compact(context.Background(), []byte{0}, []byte{0xff}, true)
}

// Sync writes a record that says nothing and syncs it, and with it what the log
// held before.
func (p *pebbleStore) Sync() error { return p.db.LogData(nil, pebble.Sync) }

func (p *pebbleStore) Close() error { return p.db.Close() }
