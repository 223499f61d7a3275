package peers

import (
	"errors"
	"io"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/iterator"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/firnkv/firn/bench"
)

// GoLevelDB has the Bloom filters that its documentation recommends, and the cache
// of the other engines; otherwise it has its defaults. Concurrent puts share a sync.
// It settles by a compaction of everything.
var GoLevelDB = bench.Engine{
	Name:   "goleveldb",
	Module: "github.com/syndtr/goleveldb",
	Configuration: "The defaults: memtables of 4 MiB, tables of 2 MiB, Snappy; Bloom filters of 10 bits a key, 64 MiB of block cache. " +
		"Sync where puts are durable.",
	Open: openGoLevelDB,
}

type levelStore struct {
	db    *leveldb.DB
	write *opt.WriteOptions
}

func openGoLevelDB(dir string, o bench.Options) (bench.Store, error) {
	db, err := leveldb.OpenFile(dir, &opt.Options{
		BlockCacheCapacity: bench.CacheBytes,
		Filter:             filter.NewBloomFilter(10),
	})
	if err != nil {
		return nil, err
	}
	return &levelStore{db: db, write: &opt.WriteOptions{Sync: o.Durable}}, nil
}

func (l *levelStore) Put(key string, value []byte) error {
	return l.db.Put(asBytes(key), value, l.write)
}

func (l *levelStore) Get(key string) (int, error) {
	v, err := l.db.Get(asBytes(key), nil)
	return len(v), err
}

func (l *levelStore) GetTo(key string, w io.Writer) error {
	v, err := l.db.Get(asBytes(key), nil)
	if err != nil {
		return err
	}
	_, err = w.Write(v)
	return err
}

func (l *levelStore) Missing(key string) (bool, error) {
	_, err := l.db.Get(asBytes(key), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return true, nil
	}
	return false, err
}

type levelIterator struct{ iterator.Iterator }

func (it levelIterator) valid() bool { return it.Valid() }
func (it levelIterator) key() []byte { return it.Key() }
func (it levelIterator) next()       { it.Next() }

func (l *levelStore) List(prefix, cursor string, limit int) (n int, next string, err error) {
	it := l.db.NewIterator(&util.Range{Start: begin(prefix, cursor), Limit: behind(prefix)}, nil)
	defer it.Release()
	it.First()
	n, next = page(levelIterator{it}, limit)
	return n, next, it.Error()
}

func (l *levelStore) Settle() error { return l.db.CompactRange(util.Range{}) }

// Sync deletes a key that no workload has, and syncs that, and with it what the log
// held before. An empty batch would not do: it is not written.
func (l *levelStore) Sync() error {
	return l.db.Delete([]byte{0}, &opt.WriteOptions{Sync: true})
}

func (l *levelStore) Close() error { return l.db.Close() }
