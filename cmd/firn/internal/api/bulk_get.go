package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/firnkv/firn/engine"
)

// bulkQuery is a bulk read: distinct keys, in the order in which they were first
// asked for.
type bulkQuery struct {
	keys         []string
	json         bool
	withMetadata bool
}

func (x *exchange) bulkGetCall(id string) error {
	if x.r.Method != http.MethodPost {
		return notAllowed("POST")
	}
	x.operation = "bulk_get"
	q, err := readBulkQuery(&x.body)
	if err != nil {
		return err
	}
	store, err := x.open(id, reading)
	if err != nil {
		return err
	}
	values, err := x.bulkValues(store, q)
	if err != nil {
		return err
	}
	return x.sendValues(resultBegin+`{"values":`, q, values, "}"+resultEnd)
}

func readBulkQuery(body io.Reader) (*bulkQuery, error) {
	var q bulkQuery
	asked := 0
	j := newJSONReader(&limited{r: body, most: maxBody})
	defer j.close()
	err := j.object(func(name string) error {
		if null, err := j.null(); null || err != nil {
			return err
		}
		var err error
		switch name {
		case "keys":
			asked, err = q.readKeys(j)
		case "type":
			err = q.readType(j)
		case "withMetadata":
			q.withMetadata, err = j.bool()
		case "cacheTtl":
			err = readCacheTTL(j)
		default:
			err = j.skip()
		}
		return err
	})
	if err == nil {
		err = j.finish()
	}
	if err == nil && asked == 0 {
		err = bad("You must request a minimum of 1 key")
	}
	return &q, err
}

// readKeys reads the keys and returns how many there are, duplicates included.
func (q *bulkQuery) readKeys(j *jsonReader) (int, error) {
	q.keys = nil
	n := 0
	seen := map[string]bool{}
	err := j.array(func() error {
		if n++; n > maxBulkRead {
			return bad("You can request a maximum of %d keys", maxBulkRead)
		}
		key, length, err := j.string(maxKey)
		switch {
		case err != nil:
			return err
		case length > maxKey:
			return keyTooLong(length)
		}
		if !seen[key] {
			seen[key] = true
			q.keys = append(q.keys, key)
		}
		return checkKey(key)
	})
	return n, err
}

func (q *bulkQuery) readType(j *jsonReader) error {
	word, n, err := j.string(maxName)
	if err != nil {
		return err
	}
	if n > maxName {
		word += "..."
	}
	switch word {
	case "text":
		q.json = false
	case "json":
		q.json = true
	default:
		return bad(`"%s" is not a valid type. Use "json" or "text"`, word)
	}
	return nil
}

// readCacheTTL reads a number, which the runtime sends as a string.
func readCacheTTL(j *jsonReader) error {
	c, err := j.peek()
	if err != nil {
		return err
	}
	var text string
	if c == '"' {
		text, _, err = j.string(maxName)
	} else {
		text, err = j.number()
	}
	if err != nil {
		return err
	}
	return checkCacheTTL(text)
}

// bulkValue is what a bulk read found; there is none if value is nil.
type bulkValue struct {
	value []byte
	info  engine.KeyInfo
}

// bulkValues reads the values, which are to be refused as a whole if they are too
// many bytes, or not JSON when JSON was asked for. Without a store there are none.
func (x *exchange) bulkValues(store *engine.Store, q *bulkQuery) ([]bulkValue, error) {
	values := make([]bulkValue, len(q.keys))
	if store == nil {
		return values, nil
	}
	left := int64(maxBulkBytes)
	for i, key := range q.keys {
		x.key = key
		v, err := store.GetReader(x.ctx, key)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if left -= v.Len(); left < 0 {
			v.Close()
			return nil, over("Total size of request exceeds the limit of 25MB")
		}
		if err := x.take(x.h.reads.of(maxBulkBytes - left)); err != nil {
			v.Close()
			return nil, err
		}
		values[i].info = v.Info()
		values[i].value = make([]byte, v.Len())
		_, err = io.ReadFull(v, values[i].value)
		v.Close()
		if err != nil {
			return nil, err
		}
		if q.json && !validJSON(values[i].value) {
			return nil, bad("At least one of the requested keys corresponds to a non-json value")
		}
	}
	return values, nil
}

func validJSON(b []byte) bool { return json.Valid(b) && utf8.Valid(b) }

// sendBytes is how much of a response is gathered before it is sent.
const sendBytes = 64 << 10

// sendValues answers a bulk read with an object of the values, between begin and end.
func (x *exchange) sendValues(begin string, q *bulkQuery, values []bulkValue, end string) error {
	x.w.Header()["Content-Type"] = typeJSON
	if x.place != nil {
		x.hurryAnswer()
	}
	x.head(http.StatusOK)
	w := gather{to: x, b: append([]byte(begin), '{')}
	for i := range values {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(appendString(w.b, q.keys[i]), ':')
		w.bulkValue(q, &values[i], !x.binding)
		values[i].value = nil
		if w.err != nil {
			return nil // the client has gone
		}
	}
	w.b = append(append(w.b, '}'), end...)
	w.send()
	return nil
}

// gather gathers what is to be sent.
type gather struct {
	to  io.Writer
	b   []byte
	err error
}

func (w *gather) send() {
	if w.err == nil {
		_, w.err = w.to.Write(w.b)
	}
	w.b = w.b[:0]
}

func (w *gather) bulkValue(q *bulkQuery, v *bulkValue, expiration bool) {
	if v.value == nil {
		w.b = append(w.b, "null"...)
		return
	}
	if q.withMetadata {
		w.b = append(w.b, `{"value":`...)
	}
	if q.json {
		w.raw(v.value)
	} else {
		w.text(v.value)
	}
	if !q.withMetadata {
		return
	}
	w.b = append(w.b, `,"metadata":`...)
	w.b = appendMetadata(w.b, v.info.Metadata)
	if v.info.Expiration != 0 && expiration {
		w.b = append(w.b, `,"expiration":`...)
		w.b = strconv.AppendInt(w.b, v.info.Expiration, 10)
	}
	w.b = append(w.b, '}')
}

// raw adds bytes as they are.
func (w *gather) raw(value []byte) {
	for len(value) > 0 {
		n := min(len(value), sendBytes)
		w.b = append(w.b, value[:n]...)
		value = value[n:]
		if len(w.b) >= sendBytes {
			w.send()
		}
	}
}

// text adds bytes as a string, piece by piece: in JSON, they may be six times as
// many.
func (w *gather) text(value []byte) {
	w.b = append(w.b, '"')
	for len(value) > 0 {
		n := min(len(value), sendBytes)
		for back := 0; back < utf8.UTFMax && n < len(value) && !utf8.RuneStart(value[n]); back++ {
			n--
		}
		w.b = appendText(w.b, value[:n])
		value = value[n:]
		if len(w.b) >= sendBytes {
			w.send()
		}
	}
	w.b = append(w.b, '"')
}
