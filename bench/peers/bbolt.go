package peers

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/firnkv/firn/bench"
)

// Bbolt is configured as etcd does, for which it is maintained: free pages in a map
// that is not written to the file. A put is a transaction; where several goroutines
// put, they share transactions by DB.Batch, as its documentation recommends, and a
// batch goes off as soon as all of them are in it. There is no cache of its own, and
// nothing to settle.
var Bbolt = bench.Engine{
	Name:   "bbolt",
	Module: "go.etcd.io/bbolt",
	Configuration: "As etcd configures it: free pages in a map, not synced. DB.Update by one writer, DB.Batch by several, with as many calls in a batch. " +
		"NoSync where puts are not durable. No compression, no cache but that of the operating system.",
	Open: openBbolt,
}

var bucket = []byte("pairs")

type bboltStore struct {
	db     *bbolt.DB
	update func(func(tx *bbolt.Tx) error) error
}

func openBbolt(dir string, o bench.Options) (bench.Store, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	opts := *bbolt.DefaultOptions
	opts.FreelistType = bbolt.FreelistMapType
	opts.NoFreelistSync = true
	opts.NoSync = !o.Durable
	db, err := bbolt.Open(filepath.Join(dir, "bolt.db"), 0o666, &opts)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	b := &bboltStore{db: db, update: db.Update}
	if o.Writers > 1 {
		b.update = db.Batch
		db.MaxBatchSize = o.Writers
	}
	return b, nil
}

func (b *bboltStore) Put(key string, value []byte) error {
	return b.update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(asBytes(key), value) })
}

func (b *bboltStore) Get(key string) (n int, err error) {
	err = b.view(key, func(v []byte) error {
		n = len(v)
		return nil
	})
	return n, err
}

func (b *bboltStore) GetTo(key string, w io.Writer) error {
	return b.view(key, func(v []byte) error {
		_, err := w.Write(v)
		return err
	})
}

// view calls use with the value of a key, in place.
func (b *bboltStore) view(key string, use func(v []byte) error) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucket).Get(asBytes(key))
		if v == nil {
			return errors.New("there is no such key")
		}
		return use(v)
	})
}

func (b *bboltStore) Missing(key string) (missing bool, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		missing = tx.Bucket(bucket).Get(asBytes(key)) == nil
		return nil
	})
	return missing, err
}

// bboltIterator ends with the keys that have the prefix.
type bboltIterator struct {
	cursor  *bbolt.Cursor
	prefix  []byte
	current []byte
}

func (it *bboltIterator) valid() bool {
	return it.current != nil && bytes.HasPrefix(it.current, it.prefix)
}
func (it *bboltIterator) key() []byte { return it.current }
func (it *bboltIterator) next()       { it.current, _ = it.cursor.Next() }

func (b *bboltStore) List(prefix, cursor string, limit int) (n int, next string, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		it := &bboltIterator{cursor: tx.Bucket(bucket).Cursor(), prefix: []byte(prefix)}
		it.current, _ = it.cursor.Seek(begin(prefix, cursor))
		n, next = page(it, limit)
		return nil
	})
	return n, next, err
}

func (b *bboltStore) Settle() error { return nil }

func (b *bboltStore) Sync() error { return b.db.Sync() }

func (b *bboltStore) Close() error { return b.db.Close() }
