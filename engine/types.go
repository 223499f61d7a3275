package engine

import (
	"encoding/json"
	"time"
)

// PutOptions are the optional parts of a put.
type PutOptions struct {
	// Metadata is any JSON value that belongs to the key. Empty and null are
	// the same as none.
	Metadata json.RawMessage

	// TTL is how long the pair lives, from now; rounded up to whole seconds.
	// 0: Expiration counts. If both are given, the TTL wins.
	TTL time.Duration

	// Expiration is when the pair expires, in seconds since the Unix epoch:
	// from that second on it is gone. 0: never.
	Expiration int64
}

// Pair is a key with everything that belongs to it.
type Pair struct {
	Key        string
	Value      []byte
	Metadata   json.RawMessage // nil: none
	Expiration int64           // Unix seconds; 0: none
}

// KeyInfo is what a listing says about a key.
type KeyInfo struct {
	Name       string
	Expiration int64           // Unix seconds; 0: none
	Metadata   json.RawMessage // nil: none
}

// ListOptions say which keys [Store.List] returns.
type ListOptions struct {
	// Prefix of the keys; empty for all.
	Prefix string
	// Limit is the most keys on the page; 0: the limit of the store.
	Limit int
	// Cursor is that of the page before, or empty for the first.
	Cursor string
}

// ListPage is a page of keys in byte order.
type ListPage struct {
	Keys []KeyInfo
	// Cursor leads to the next page; empty on the last one. A page may have
	// no keys and still not be the last.
	Cursor string
}

// Count is a number of records and their bytes: key, metadata and value, as
// they were put, before compression.
type Count struct {
	Records int64
	Bytes   int64
}

func (c *Count) add(bytes int64) {
	c.Records++
	c.Bytes += bytes
}

func (c *Count) addCount(o Count) {
	c.Records += o.Records
	c.Bytes += o.Bytes
}

// Garbage is what takes space but is not live, by cause. A version that a
// newer put replaced is overwritten, one that a delete hid is deleted, and a
// key's newest version past its expiration is expired.
type Garbage struct {
	Overwritten Count
	Deleted     Count
	Expired     Count
}

// Usage is how much a store holds at one second.
type Usage struct {
	Keys      int64 // live keys
	Bytes     int64 // key, metadata and value of the live pairs, uncompressed
	DiskBytes int64 // that the files of the store take on disk
	Garbage   Garbage
}
