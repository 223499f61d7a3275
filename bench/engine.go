package bench

import (
	"errors"
	"io"
	"time"
)

// Engine is a kind of store under measurement.
type Engine struct {
	Name string
	// Module is the path of the Go module that has it.
	Module string
	// Configuration says in words how its stores are opened.
	Configuration string
	// Open opens the store in dir, and creates it if there is none.
	Open func(dir string, o Options) (Store, error)
}

// Options is what all engines are told about a store that is opened.
type Options struct {
	// Durable makes a put return when it is on disk. Otherwise it returns when
	// it is in memory.
	Durable bool
	// Writers is how many goroutines will put at the same time, at least 1.
	Writers int
}

// CacheBytes is the memory that each engine has for a cache of its own.
const CacheBytes = 64 << 20

// Store is what the workloads need of an open store. All methods but Settle and
// Close are safe for concurrent use. No method keeps its arguments.
type Store interface {
	Put(key string, value []byte) error
	// Get returns the length of the value, after it has been made available
	// to the caller in whole. It is an error if there is no such key.
	Get(key string) (int, error)
	// GetTo writes the value of a key to w, in pieces of any size.
	GetTo(key string, w io.Writer) error
	// Missing reports whether there is no such key, in the way that is the
	// fastest if there is none.
	Missing(key string) (bool, error)
	// List visits up to limit keys with the prefix, in order: from the first,
	// or from the place that a cursor returned before names. An empty cursor
	// says that there are no more.
	List(prefix, cursor string, limit int) (n int, next string, err error)
	// Settle waits for the background work that makes reads as fast as they
	// get.
	Settle() error
	// Sync makes all puts durable.
	Sync() error
	Close() error
}

// Expirer is a store whose pairs can expire.
type Expirer interface {
	// PutTTL puts a pair that expires when ttl is over, which is whole seconds.
	PutTTL(key string, value []byte, ttl time.Duration) error
}

// Streamer is a store that does not need the whole of a value in memory, neither for
// PutStream nor for GetTo.
type Streamer interface {
	// PutStream puts what r holds.
	PutStream(key string, r io.Reader) error
}

// closing closes a store that was opened for something that came to err.
func closing(s Store, err error) error { return errors.Join(err, s.Close()) }

// Annotator is a store whose keys can have metadata beside their values.
type Annotator interface {
	// PutMetadata puts a pair with metadata, which is JSON.
	PutMetadata(key string, value, metadata []byte) error
	// ListMetadata is [Store.List], but visits the metadata of the keys too. It
	// also returns how many bytes of it there are.
	ListMetadata(prefix, cursor string, limit int) (n, metadata int, next string, err error)
}

// timed returns how long do took.
func timed(do func() error) (time.Duration, error) {
	start := time.Now()
	err := do()
	return time.Since(start), err
}
