package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"sync"
)

// payload is the body of a request: bytes, or a stream between a head and a tail.
type payload struct {
	contentType string
	bytes       []byte // if there is no stream
	stream      *tap
	head, tail  []byte
	size        int64 // of the stream; -1: not known
}

// tap is a stream that one try of a request after the other may read from, until one has
// begun to. The transport reads in a goroutine of its own, perhaps when the try is over.
type tap struct {
	r io.Reader

	mu     sync.Mutex
	turn   int  // who may read
	begun  bool // somebody has
	failed error
}

var errTryOver = errors.New("the try is over")

// turn is the body of one try.
type turn struct {
	tap *tap
	n   int
}

func (t *turn) Read(p []byte) (int, error) {
	if !t.tap.enter(t.n) {
		return 0, errTryOver
	}
	n, err := t.tap.r.Read(p)
	if err != nil && err != io.EOF {
		t.tap.fail(err)
	}
	return n, err
}

// next ends the turn of who may read, and returns the next one.
func (t *tap) next() *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn++
	return &turn{t, t.turn}
}

func (t *tap) enter(turn int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if turn != t.turn {
		return false
	}
	t.begun = true
	return true
}

func (t *tap) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = err
}

// release ends a try: what the transport has not begun to read, it does not get any
// more.
func (p *payload) release() {
	if p.stream != nil {
		p.stream.next()
	}
}

// err returns why the stream could not be read, if that was so.
func (p *payload) err() error {
	if p.stream == nil {
		return nil
	}
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	return p.stream.failed
}

// spent reports whether the body cannot be sent again. It is for after release.
func (p *payload) spent() bool {
	if p.stream == nil {
		return false
	}
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	return p.stream.begun
}

// attach makes the payload the body of r.
func (p *payload) attach(r *http.Request, sending *watch) {
	if p.contentType != "" {
		r.Header.Set("Content-Type", p.contentType)
	}
	if p.stream == nil {
		r.GetBody = func() (io.ReadCloser, error) { return &requestBody{bytes.NewReader(p.bytes), sending}, nil }
		r.Body, r.ContentLength = &requestBody{bytes.NewReader(p.bytes), sending}, int64(len(p.bytes))
	} else {
		whole := io.MultiReader(bytes.NewReader(p.head), p.stream.next(), bytes.NewReader(p.tail))
		r.Body, r.ContentLength = &requestBody{whole, sending}, -1
	}
	if p.stream != nil && p.size >= 0 {
		r.ContentLength = int64(len(p.head)) + p.size + int64(len(p.tail))
	}
	if r.ContentLength == 0 { // which net/http takes for an unknown length
		r.Body = http.NoBody
	}
}

func jsonPayload(v any) (payload, error) {
	b, err := json.Marshal(v)
	return payload{contentType: "application/json", bytes: b}, err
}

// streamPayload is a value of size bytes, or -1 if that is not known, with its metadata.
func streamPayload(value io.Reader, size int64, metadata []byte) (payload, error) {
	contentType, head, tail, err := around(metadata)
	return payload{contentType: contentType, stream: &tap{r: value}, head: head, tail: tail, size: size}, err
}

// valuePayload is the same for a value that is in memory.
func valuePayload(value, metadata []byte) (payload, error) {
	contentType, head, tail, err := around(metadata)
	return payload{contentType: contentType, bytes: slices.Concat(head, value, tail)}, err
}

// around returns what stands around a value: nothing if it has no metadata, and
// otherwise a form, in which the metadata comes first, so that a server need not keep
// the value.
func around(metadata []byte) (contentType string, head, tail []byte, err error) {
	const bytesType = "application/octet-stream"
	if metadata == nil {
		return bytesType, nil, nil, nil
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if err := w.WriteField("metadata", string(metadata)); err != nil {
		return "", nil, nil, err
	}
	_, err = w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="value"; filename="value"`},
		"Content-Type":        {bytesType},
	})
	if err != nil {
		return "", nil, nil, err
	}
	n := form.Len()
	err = w.Close()
	return w.FormDataContentType(), form.Bytes()[:n:n], form.Bytes()[n:], err
}
