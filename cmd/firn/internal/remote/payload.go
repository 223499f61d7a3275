package remote

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
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
		if len(p.bytes) == 0 {
			r.Body = http.NoBody
		}
		return
	}
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(p.head), p.stream, bytes.NewReader(p.tail)))
	r.ContentLength = -1
	if p.size >= 0 {
		r.ContentLength = int64(len(p.head)) + p.size + int64(len(p.tail))
	}
}

func jsonPayload(v any) (payload, error) {
	b, err := json.Marshal(v)
	return payload{contentType: "application/json", bytes: b}, err
}

// valuePayload is a value with its metadata: as it is if there is none, and in a form
// otherwise. The metadata comes first, so that a server need not keep the value.
func valuePayload(value io.Reader, size int64, metadata []byte) (payload, error) {
	p := payload{contentType: "application/octet-stream", stream: &tap{r: value}, size: size}
	if metadata == nil {
		return p, nil
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if err := w.WriteField("metadata", string(metadata)); err != nil {
		return p, err
	}
	_, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="value"; filename="value"`},
		"Content-Type":        {p.contentType},
	})
	if err != nil {
		return p, err
	}
	p.head = bytes.Clone(form.Bytes())
	form.Reset()
	if err := w.Close(); err != nil {
		return p, err
	}
	p.tail = form.Bytes()
	p.contentType = w.FormDataContentType()
	return p, nil
}

// gather takes a value that is in memory into the payload, which can be sent again
// then.
func (p *payload) gather(value []byte) {
	p.bytes = append(append(p.head, value...), p.tail...)
	p.stream = nil
}
