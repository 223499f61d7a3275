package peers

import (
	"errors"
	"io"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/firnkv/firn/bench"
)

// Badger has the defaults that its authors recommend, but for the size of the block
// cache, which is that of the other engines, and for what they leave to the user:
// durability. A put is a transaction of its own; concurrent ones share a sync.
// Values are read in place. It settles by flattening its levels.
var Badger = bench.Engine{
	Name:   "badger",
	Module: "github.com/dgraph-io/badger/v4",
	Configuration: "The defaults: memtables of 64 MiB, values of 1 MiB and more in the value log, Snappy, Bloom filters; 64 MiB of block cache. " +
		"SyncWrites where puts are durable. Nobody collects garbage in the value log.",
	Open: openBadger,
}

type badgerStore struct{ db *badger.DB }

func openBadger(dir string, o bench.Options) (bench.Store, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).
		WithBlockCacheSize(bench.CacheBytes).
		WithSyncWrites(o.Durable).
		WithLogger(nil))
	if err != nil {
		return nil, err
	}
	return badgerStore{db}, nil
}

func (b badgerStore) Put(key string, value []byte) error {
	return b.put(badger.NewEntry(asBytes(key), value))
}

func (b badgerStore) PutTTL(key string, value []byte, ttl time.Duration) error {
	return b.put(badger.NewEntry(asBytes(key), value).WithTTL(ttl))
}

func (b badgerStore) put(e *badger.Entry) error {
	return b.db.Update(func(txn *badger.Txn) error { return txn.SetEntry(e) })
}

func (b badgerStore) Get(key string) (n int, err error) {
	err = b.view(key, func(v []byte) error {
		n = len(v)
		return nil
	})
	return n, err
}

func (b badgerStore) GetTo(key string, w io.Writer) error {
	return b.view(key, func(v []byte) error {
		_, err := w.Write(v)
		return err
	})
}

// view calls use with the value of a key, in place.
func (b badgerStore) view(key string, use func(v []byte) error) error {
	return b.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(asBytes(key))
		if err != nil {
			return err
		}
		return item.Value(use)
	})
}

func (b badgerStore) Missing(key string) (missing bool, err error) {
	err = b.db.View(func(txn *badger.Txn) error {
		_, err := txn.Get(asBytes(key))
		if missing = errors.Is(err, badger.ErrKeyNotFound); missing {
			return nil
		}
		return err
	})
	return missing, err
}

type badgerIterator struct{ *badger.Iterator }

func (it badgerIterator) valid() bool { return it.Valid() }
func (it badgerIterator) key() []byte { return it.Item().Key() }
func (it badgerIterator) next()       { it.Next() }

func (b badgerStore) List(prefix, cursor string, limit int) (n int, next string, err error) {
	err = b.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
		defer it.Close()
		it.Seek(begin(prefix, cursor))
		n, next = page(badgerIterator{it}, limit)
		return nil
	})
	return n, next, err
}

// flattenWorkers is how many compactions [badger.DB.Flatten] may do at once. What
// comes out is the same.
const flattenWorkers = 2

func (b badgerStore) Settle() error { return b.db.Flatten(flattenWorkers) }

func (b badgerStore) Sync() error { return b.db.Sync() }

func (b badgerStore) Close() error { return b.db.Close() }
