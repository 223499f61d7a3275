package peers

// Engine is a store under measurement.
type Engine struct {
	Name string
	// Open opens the store in dir, and creates it if there is none. With
	// durable, a put returns when it is on disk, otherwise when it is in
	// memory.
	Open func(dir string, durable bool) (Store, error)
}

// Engines are those that are compared.
var Engines = []Engine{
	{Name: "firn", Open: openFirn},
	{Name: "pebble", Open: openPebble},
}

// cacheBytes is the budget of both caches.
const cacheBytes = 64 << 20

// Store is what the workloads need of an open store. All methods but Settle and
// Close are safe for concurrent use. No method keeps its arguments.
type Store interface {
	Put(key string, value []byte) error
	// Get returns the length of the value, after it has been made available
	// to the caller in whole. It is an error if there is no such key.
	Get(key string) (int, error)
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
