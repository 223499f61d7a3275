package remote

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/firnkv/firn/engine"
)

// Limits of Workers KV. What does not depend on the clock of the server is refused
// here, as a store does it: a key "." must not get into a path, and of a bulk write
// the server may not say which pair it did not like.
const (
	maxKey      = 512
	maxValue    = 25 << 20
	maxMetadata = 1024
	minTTL      = 60 * time.Second
	// maxExpiration is the largest number of those that JSON has each exactly.
	maxExpiration = 1 << 53
)

func checkKey(key string) error {
	switch {
	case key == "":
		return engine.ErrKeyEmpty
	case len(key) > maxKey:
		return fmt.Errorf("%w: %d bytes, the limit is %d", engine.ErrKeyTooLong, len(key), maxKey)
	case key == "." || key == "..":
		return fmt.Errorf("%w: %q", engine.ErrKeyReserved, key)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: %q", engine.ErrKeyNotUTF8, key)
	}
	return nil
}

func valueTooLarge(n int64) error {
	return fmt.Errorf("%w: %d bytes, the limit is %d", engine.ErrValueTooLarge, n, maxValue)
}

// checkPut checks a pair with a value of size bytes, -1 if that is not known.
func checkPut(key string, size int64, opts *engine.PutOptions) error {
	if err := checkKey(key); err != nil {
		return err
	}
	switch m := opts.Metadata; {
	case size > maxValue:
		return valueTooLarge(size)
	case len(m) > maxMetadata:
		return fmt.Errorf("%w: %d bytes, the limit is %d", engine.ErrMetadataTooLarge, len(m), maxMetadata)
	case !utf8.Valid(m):
		return engine.ErrMetadataNotJSON
	case opts.TTL != 0 && opts.TTL < minTTL:
		return fmt.Errorf("%w: %v, the least is %v", engine.ErrTTLTooShort, opts.TTL, minTTL)
	case opts.TTL == 0 && opts.Expiration > maxExpiration:
		return fmt.Errorf("the expiration %d is out of range: the API takes %d at most", opts.Expiration, int64(maxExpiration))
	}
	return nil
}

// bounded refuses to give more than a value may have.
type bounded struct {
	r io.Reader
	n int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.n += int64(n); b.n > maxValue {
		return 0, fmt.Errorf("%w: more than %d bytes", engine.ErrValueTooLarge, maxValue)
	}
	return n, err
}

// ttl returns the TTL in seconds, rounded up.
func ttl(opts *engine.PutOptions) int64 {
	seconds := int64(opts.TTL / time.Second)
	if opts.TTL%time.Second > 0 {
		seconds++
	}
	return seconds
}

// lifetime returns the parameters that say when a pair expires.
func lifetime(opts *engine.PutOptions) url.Values {
	switch {
	case opts.TTL != 0:
		return url.Values{"expiration_ttl": {strconv.FormatInt(ttl(opts), 10)}}
	case opts.Expiration != 0:
		return url.Values{"expiration": {strconv.FormatInt(opts.Expiration, 10)}}
	}
	return nil
}
