package peers

import (
	"unsafe"

	"github.com/firnkv/firn/bench"
)

// Engines are those that are compared.
var Engines = []bench.Engine{bench.Firn, Pebble, Badger, GoLevelDB, Bbolt}

// asBytes returns the bytes of a key, for an engine that does not change them, or
// keep them behind the end of a call.
func asBytes(key string) []byte { return unsafe.Slice(unsafe.StringData(key), len(key)) }

// behind returns the first key behind all that have the prefix, or nil if there is
// no end to them.
func behind(prefix string) []byte {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}
