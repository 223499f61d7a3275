package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/firnkv/firn/engine"
)

// Limits of Workers KV. A store has the same, and the last word; here they have the
// messages that programs match on.
const (
	maxKey       = 512
	maxValue     = 25 << 20
	maxMetadata  = 1024
	minTTL       = 60
	minCacheTTL  = 30
	maxListKeys  = 1000
	maxBulkPairs = 10_000
	maxBulkRead  = 100
	maxBulkBytes = 25 << 20 // of the values that a bulk read returns
)

// maxTTL is as far ahead as a time.Duration reaches, in seconds.
const maxTTL = int64(math.MaxInt64 / time.Second)

func checkKey(key string) error {
	switch {
	case key == "":
		return bad("Key names must not be empty")
	case key == "." || key == "..":
		return bad(`Illegal key name %q. Please use a different name.`, key)
	case !utf8.ValidString(key):
		return bad("Could not URL-decode key name")
	case len(key) > maxKey:
		return keyTooLong(int64(len(key)))
	}
	return nil
}

// keyTooLong refuses a key or a prefix of n bytes.
func keyTooLong(n int64) error {
	return &failure{
		status: http.StatusRequestURITooLong, code: codeBad,
		text: fmt.Sprintf("UTF-8 encoded length of %d exceeds key length limit of %d.", n, maxKey),
	}
}

func valueTooLarge(n int64) error {
	return over("Value length of %d exceeds limit of %d.", n, maxValue)
}

func metadataTooLarge(n int64) error {
	return over("Metadata length of %d exceeds limit of %d.", n, maxMetadata)
}

func checkPrefix(prefix string) error {
	switch {
	case len(prefix) > maxKey:
		return keyTooLong(int64(len(prefix)))
	case !utf8.ValidString(prefix):
		return bad("Could not URL-decode prefix")
	}
	return nil
}

// checkMetadata returns metadata without insignificant white space, which does not
// count against the limit, and nil for null and for nothing.
func checkMetadata(metadata []byte) (json.RawMessage, error) {
	if len(metadata) == 0 {
		return nil, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, metadata); err != nil || !utf8.Valid(metadata) {
		return nil, bad("Metadata is not valid JSON")
	}
	switch n := compact.Len(); {
	case n > maxMetadata:
		return nil, metadataTooLarge(int64(n))
	case compact.String() == "null":
		return nil, nil
	}
	return compact.Bytes(), nil
}

// lifetime is when a pair is to expire, as a request says it: the texts of two
// numbers of seconds.
type lifetime struct {
	ttl, expiration       string
	hasTTL, hasExpiration bool
}

// set fills in when the pair expires. If both are given, the TTL wins. Fractions of
// a second are dropped: programs divide milliseconds by 1,000.
func (l *lifetime) set(opts *engine.PutOptions, now time.Time) error {
	switch {
	case l.hasTTL:
		ttl, ok := wholeSeconds(l.ttl)
		switch {
		case !ok || ttl <= 0:
			return bad("Invalid expiration_ttl of %s. Please specify integer greater than 0.", shown(l.ttl))
		case ttl < minTTL:
			return bad("Invalid expiration_ttl of %s. Expiration TTL must be at least %d.", shown(l.ttl), minTTL)
		case ttl > maxTTL:
			return bad("Invalid expiration_ttl of %s. Expiration TTL must be at most %d.", shown(l.ttl), maxTTL)
		}
		opts.TTL = time.Duration(ttl) * time.Second
	case l.hasExpiration:
		at, ok := wholeSeconds(l.expiration)
		switch s := now.Unix(); {
		case !ok || at <= s:
			return bad("Invalid expiration of %s. Please specify integer greater than the current number of seconds since the UNIX epoch.", shown(l.expiration))
		case at < s+minTTL:
			return bad("Invalid expiration of %s. Expiration times must be at least %d seconds in the future.", shown(l.expiration), minTTL)
		}
		opts.Expiration = at
	}
	return nil
}

// shown returns text as it may stand in a message.
func shown(text string) string {
	const most = 64
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

// wholeSeconds returns the integer part of a decimal number. A number that is out of
// range is brought into it.
func wholeSeconds(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return min(n, maxSeconds), true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(f, 0) || math.IsNaN(f) || strings.ContainsAny(text, "xXpP_iInN") {
		return 0, false
	}
	return int64(math.Trunc(min(max(f, -1), maxSeconds))), true
}

// maxSeconds is far beyond any date, and an integer that JavaScript can tell from
// the next.
const maxSeconds = 1 << 53

// checkCacheTTL checks a number that has no meaning here: nothing is cached.
func checkCacheTTL(text string) error {
	if n, ok := wholeSeconds(text); !ok || n < minCacheTTL {
		return bad("Invalid cache_ttl of %s. Cache TTL must be at least %d.", shown(text), minCacheTTL)
	}
	return nil
}

// listLimit returns the limit of a listing.
func listLimit(name, text string) (int, error) {
	n, ok := wholeSeconds(text)
	switch {
	case !ok || n < 1:
		return 0, bad("Invalid %s of %s. Please specify an integer greater than 0.", name, shown(text))
	case n > maxListKeys:
		return 0, bad("Invalid %s of %s. Please specify an integer less than %d.", name, shown(text), maxListKeys)
	}
	return int(n), nil
}
