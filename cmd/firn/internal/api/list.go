package api

import (
	"strconv"

	"github.com/firnkv/firn/engine"
)

// listQuery reads which keys are to be listed. The name of the limit is that of the
// protocol.
func listQuery(query, limit string) (engine.ListOptions, error) {
	var opts engine.ListOptions
	for name, value := range parameters(query) {
		switch name {
		case limit, "prefix", "cursor":
		default:
			continue
		}
		value, err := formDecode(name, value)
		if err != nil {
			return opts, err
		}
		switch name {
		case limit:
			opts.Limit, err = listLimit(limit, value)
		case "prefix":
			opts.Prefix, err = value, checkPrefix(value)
		case "cursor":
			opts.Cursor = value
		}
		if err != nil {
			return opts, err
		}
	}
	return opts, nil
}

// appendListed appends the element number i of a page.
func appendListed(b []byte, i int, k *engine.KeyInfo, metadataAsText bool) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	b = append(b, `{"name":`...)
	b = appendString(b, k.Name)
	if k.Expiration != 0 {
		b = append(b, `,"expiration":`...)
		b = strconv.AppendInt(b, k.Expiration, 10)
	}
	if k.Metadata != nil {
		b = append(b, `,"metadata":`...)
		if metadataAsText {
			b = appendString(b, string(k.Metadata))
		} else {
			b = append(b, k.Metadata...)
		}
	}
	return append(b, '}')
}
