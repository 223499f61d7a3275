package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

func (l *Limits) checkKey(key string) error {
	switch {
	case key == "":
		return ErrKeyEmpty
	case len(key) > l.KeyBytes:
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrKeyTooLong, len(key), l.KeyBytes)
	case key == "." || key == "..":
		return fmt.Errorf("%w: %q", ErrKeyReserved, key)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: %q", ErrKeyNotUTF8, key)
	}
	return nil
}

func (l *Limits) checkValue(n int64) error {
	if n > l.ValueBytes {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrValueTooLarge, n, l.ValueBytes)
	}
	return nil
}

// metadata returns what is stored for m: nothing for null.
func (l *Limits) metadata(m json.RawMessage) ([]byte, error) {
	if len(m) == 0 {
		return nil, nil
	}
	if len(m) > l.MetadataBytes {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrMetadataTooLarge, len(m), l.MetadataBytes)
	}
	if !json.Valid(m) || !utf8.Valid(m) {
		return nil, ErrMetadataNotJSON
	}
	if string(bytes.TrimSpace(m)) == "null" {
		return nil, nil
	}
	return m, nil
}

// expiration returns the absolute second at which a pair put at now expires, 0
// for never.
func (l *Limits) expiration(opts *PutOptions, now int64) (int64, error) {
	least := seconds(l.MinTTL)
	switch {
	case opts.TTL != 0:
		ttl := seconds(opts.TTL)
		if opts.TTL < 0 || ttl < least {
			return 0, fmt.Errorf("%w: %v, the least is %v", ErrTTLTooShort, opts.TTL, l.MinTTL)
		}
		return now + ttl, nil
	case opts.Expiration == 0:
		return 0, nil
	case opts.Expiration <= now:
		return 0, fmt.Errorf("%w: %d, now is %d", ErrExpirationPast, opts.Expiration, now)
	case opts.Expiration < now+least:
		return 0, fmt.Errorf("%w: %d is %d s ahead, the least is %d s",
			ErrExpirationTooSoon, opts.Expiration, opts.Expiration-now, least)
	}
	return opts.Expiration, nil
}

// seconds rounds d up to whole seconds.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

// indexExpiration is an expiration as the index holds it: a pair that expires
// after 2106 never does, as far as the index is concerned.
func indexExpiration(t int64) uint32 {
	return uint32(min(t, math.MaxUint32))
}

func (l *Limits) checkBatch(b *Batch) error {
	if len(b.ops) > l.BatchPairs {
		return fmt.Errorf("%w: %d pairs, the limit is %d", ErrBatchTooLong, len(b.ops), l.BatchPairs)
	}
	if b.bytes >= l.BatchBytes {
		return fmt.Errorf("%w: %d bytes, it has to stay under %d", ErrBatchTooLarge, b.bytes, l.BatchBytes)
	}
	return nil
}
