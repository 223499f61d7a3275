package api

import (
	"iter"
	"net/url"
	"strings"
)

// parameters iterates over the names of a query and their values, which are still
// encoded, without allocating: most requests have a query of parameters without an
// escape.
func parameters(query string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for query != "" {
			var p string
			p, query, _ = strings.Cut(query, "&")
			name, value, _ := strings.Cut(p, "=")
			if strings.IndexByte(name, '%') >= 0 {
				if decoded, err := url.QueryUnescape(name); err == nil {
					name = decoded
				}
			}
			if p != "" && !yield(name, value) {
				return
			}
		}
	}
}

// formDecode decodes a name or value of a query, in which a space is a plus.
func formDecode(name, value string) (string, error) {
	decoded, err := url.QueryUnescape(value)
	if err != nil {
		return "", bad("Could not URL-decode %s", name)
	}
	return decoded, nil
}

// decodeKey decodes a key in a path. net/http refuses what is not percent-encoding
// before any handler.
func decodeKey(escaped string) (string, error) {
	key := escaped
	if strings.IndexByte(escaped, '%') >= 0 {
		var err error
		if key, err = url.PathUnescape(escaped); err != nil {
			return "", bad("Could not URL-decode key name")
		}
	}
	return key, checkKey(key)
}

// putQuery reads when a pair is to expire.
func putQuery(query string) (lifetime, error) {
	var l lifetime
	for name, value := range parameters(query) {
		var err error
		switch name {
		case "expiration":
			l.hasExpiration = true
			l.expiration, err = formDecode(name, value)
		case "expiration_ttl":
			l.hasTTL = true
			l.ttl, err = formDecode(name, value)
		}
		if err != nil {
			return l, err
		}
	}
	return l, nil
}
