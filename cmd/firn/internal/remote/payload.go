package remote

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"sync/atomic"
)

// payload is the body of a request: bytes, or a stream between a head and a tail.
type payload struct {
	contentType string
	bytes       []byte // if there is no stream
	stream      *tap
	head, tail  []byte
	size        int64 // of the stream; -1: not known
}

// tap is a stream that notes what became of it. The transport reads it in a goroutine
// of its own.
type tap struct {
	r       io.Reader
	started atomic.Bool
	failed  atomic.Pointer[error]
}

func (t *tap) Read(p []byte) (int, error) {
	t.started.Store(true)
	n, err := t.r.Read(p)
	if err != nil && err != io.EOF {
		t.failed.Store(&err)
	}
	return n, err
}

// err returns why the stream could not be read, if that was so.
func (p *payload) err() error {
	if p.stream != nil {
		if err := p.stream.failed.Load(); err != nil {
			return *err
		}
	}
	return nil
}

// spent reports whether the body cannot be sent again.
func (p *payload) spent() bool { return p.stream != nil && p.stream.started.Load() }

// attach makes the payload the body of r.
func (p *payload) attach(r *http.Request) {
	if p.contentType != "" {
		r.Header.Set("Content-Type", p.contentType)
	}
	if p.stream == nil {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(p.bytes)), int64(len(p.bytes))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.bytes)), nil }
	} else {
		r.Body, r.ContentLength = io.NopCloser(io.MultiReader(bytes.NewReader(p.head), p.stream, bytes.NewReader(p.tail))), -1
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
