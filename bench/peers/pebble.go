package peers

import (
	"context"
	"errors"
	"io"
	"log"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/firnkv/firn/bench"
)

// Pebble is configured as its own benchmark tool (cmd/pebble) does for
// CockroachDB's workload. It differs where that favors point reads: filters in all
// levels, so that an absent key costs no block, and blocks of the default 4 KiB
// instead of 32. Values are read in place, where Firn returns a copy. Absent keys
// are looked up by an iterator that uses the filters of the last level, which Get
// leaves out. It settles by a compaction of everything.
var Pebble = bench.Engine{
	Name:   "pebble",
	Module: "github.com/cockroachdb/pebble/v2",
	Configuration: "As cmd/pebble configures it: the newest format, up to four memtables of 64 MiB, L0 compacted from two sublevels on, " +
		"64 MiB in the base level, one to three compactions at once; Bloom filters of 10 bits a key in all levels, blocks of 4 KiB, Snappy, " +
		"64 MiB of cache. pebble.Sync where puts are durable, otherwise pebble.NoSync.",
	Open: openPebble,
}

type pebbleStore struct {
	db    *pebble.DB
	write *pebble.WriteOptions
}

func openPebble(dir string, o bench.Options) (bench.Store, error) {
	db, err := pebble.Open(dir, pebbleOptions())
	if err != nil {
		return nil, err
	}
	p := &pebbleStore{db: db, write: pebble.NoSync}
	if o.Durable {
		p.write = pebble.Sync
	}
	return p, nil
}

func pebbleOptions() *pebble.Options {
	opts := &pebble.Options{
		CacheSize:                   bench.CacheBytes,
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

func (p *pebbleStore) GetTo(key string, w io.Writer) error {
	v, closer, err := p.db.Get(asBytes(key))
	if err != nil {
		return err
	}
	_, err = w.Write(v)
	return errors.Join(err, closer.Close())
}

func (p *pebbleStore) Missing(key string) (bool, error) {
	it, err := p.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return false, err
	}
	found := it.SeekPrefixGE(asBytes(key))
	return !found, it.Close()
}

type pebbleIterator struct{ *pebble.Iterator }

func (it pebbleIterator) valid() bool { return it.Valid() }
func (it pebbleIterator) key() []byte { return it.Key() }
func (it pebbleIterator) next()       { it.Next() }

func (p *pebbleStore) List(prefix, cursor string, limit int) (n int, next string, err error) {
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: begin(prefix, cursor), UpperBound: behind(prefix)})
	if err != nil {
		return 0, "", err
	}
	it.First()
	n, next = page(pebbleIterator{it}, limit)
	return n, next, it.Close()
}

func (p *pebbleStore) Settle() error {
	return p.db.Compact(context.Background(), []byte{0}, []byte{0xff}, true)
}

// Sync writes a record that says nothing and syncs it, and with it what the log
// held before.
func (p *pebbleStore) Sync() error { return p.db.LogData(nil, pebble.Sync) }

func (p *pebbleStore) Close() error { return p.db.Close() }
