package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/firnkv/firn/engine"
)

// formBoundary returns the boundary of the parts if the body is a form.
func formBoundary(h http.Header) (boundary string, form bool, err error) {
	contentType := h["Content-Type"]
	if len(contentType) == 0 || !hasPrefixFold(contentType[0], "multipart/form-data") {
		return "", false, nil
	}
	kind, params, err := mime.ParseMediaType(contentType[0])
	switch {
	case err == nil && kind != "multipart/form-data":
		return "", false, nil
	case err != nil || params["boundary"] == "":
		return "", true, bad("The content type multipart/form-data has no valid boundary")
	}
	return params["boundary"], true, nil
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// form is a put as a multipart form.
type form struct {
	x     *exchange
	parts *multipart.Reader
	part  *multipart.Part // the last
	head  headLimit
	end   endFinder
	meta  metadataParts
}

// putForm puts the part "value" with what the parts of the metadata say. Those may
// come before the value or after it: in the first case the value goes to the store as
// it comes, in the second it is kept until the end.
func (x *exchange) putForm(store *engine.Store, boundary string) error {
	f := &form{x: x}
	f.head = headLimit{r: &limited{r: &x.body, most: maxBody}}
	f.end = endFinder{r: &f.head, end: "\n--" + boundary + "--", last: []byte("\n")}
	f.parts = multipart.NewReader(&f.end, boundary)
	for {
		part, err := f.next()
		switch {
		case err == io.EOF:
			return bad(`The form has no part "value"`)
		case err != nil:
			return err
		}
		switch name := part.FormName(); {
		case name == "value" && f.meta.any():
			return f.putNow(store, part)
		case name == "value":
			return f.putLater(store, part)
		case isMetadataPart(name):
			if err := f.meta.add(name, part); err != nil {
				return f.explain(err)
			}
		}
	}
}

// next returns the next part, or io.EOF at the end of the body. What stands behind
// the last part is read too: if the body breaks off there, it is not whole.
func (f *form) next() (*multipart.Part, error) {
	if f.part != nil {
		if _, err := io.Copy(io.Discard, f.part); err != nil {
			return nil, f.explain(err)
		}
	}
	f.head.begin()
	var err error
	f.part, err = f.parts.NextRawPart()
	if err != io.EOF {
		f.head.end()
		return f.part, f.explain(err)
	}
	if !f.end.found {
		return nil, f.explain(io.ErrUnexpectedEOF)
	}
	if !f.x.drain() {
		if err := f.x.body.err; err != nil {
			return nil, err
		}
		return nil, bodyTooLarge(maxBody)
	}
	return nil, io.EOF
}

// maxPartHead is how much is read for what stands between the content of two parts,
// boundary and header of a part included: package multipart keeps it in memory, and takes 10 MiB.
const maxPartHead = 64 << 10

// headLimit bounds what is read between begin and end.
type headLimit struct {
	r      io.Reader
	inHead bool
	left   int
	err    error // it was too much
}

func (l *headLimit) begin() { l.inHead, l.left = true, maxPartHead }

func (l *headLimit) end() { l.inHead = false }

func (l *headLimit) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= n; l.inHead && l.left < 0 {
		l.err = bad("The header of a part of the form is longer than %d bytes", maxPartHead)
		return 0, l.err
	}
	return n, err
}

// endFinder finds out whether the boundary at the end was there: for package
// multipart, a body that breaks off in the header of a part ends well.
type endFinder struct {
	r     io.Reader
	end   string
	last  []byte // of what was read, where the boundary may have begun
	found bool
}

func (e *endFinder) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if e.found || n == 0 {
		return n, err
	}
	head := min(n, len(e.end))
	e.last = append(e.last, p[:head]...)
	e.found = bytes.Contains(e.last, []byte(e.end)) || bytes.Contains(p[:n], []byte(e.end))
	if head < n {
		e.last = append(e.last[:0], p[max(0, n-len(e.end)):n]...)
	} else if extra := len(e.last) - len(e.end); extra > 0 {
		e.last = append(e.last[:0], e.last[extra:]...)
	}
	return n, err
}

// explain tells a form that is not one from a body that could not be read.
func (f *form) explain(err error) error {
	var known *failure
	var spooled *spoolError
	switch {
	case err == nil:
		return nil
	case f.x.body.err != nil:
		return f.x.body.err
	case f.head.err != nil:
		return f.head.err // of which package multipart may make something else
	case errors.As(err, &known), errors.As(err, &spooled):
		return err
	}
	return bad("The body is not a multipart form, or not all of one: %v", err)
}

// rest reads the parts behind the value.
func (f *form) rest(metadata bool) error {
	for {
		part, err := f.next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		switch name := part.FormName(); {
		case name == "value":
			return bad(`The form has two parts "value"`)
		case isMetadataPart(name) && !metadata:
			return bad("The parts of the metadata have to be all before the value, or all behind it")
		case isMetadataPart(name):
			if err := f.meta.add(name, part); err != nil {
				return f.explain(err)
			}
		}
	}
}

// setMetadata takes the metadata from the parts.
func (f *form) setMetadata() error {
	text, err := f.meta.json()
	if err != nil {
		return err
	}
	f.x.opts.Metadata, err = checkMetadata(text)
	return err
}

// putNow streams the value to the store.
func (f *form) putNow(store *engine.Store, part *multipart.Part) error {
	if err := f.setMetadata(); err != nil {
		return err
	}
	v := &formValue{f: f, part: part}
	return f.x.putStream(store, v, func() int64 {
		io.Copy(io.Discard, v)
		return v.n
	})
}

// formValue reads the value of a form. It ends well only if the form does, since
// then the store takes it.
type formValue struct {
	f    *form
	part *multipart.Part
	n    int64
	err  error
}

func (v *formValue) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.part.Read(p)
	v.n += int64(n)
	if err == io.EOF {
		if restErr := v.f.rest(false); restErr != nil {
			err = restErr
		}
	} else {
		err = v.f.explain(err)
	}
	v.err = err
	return n, err
}

// beginSpool waits for the place of a value that does not fit into memory.
func (x *exchange) beginSpool() error {
	if err := x.take(x.h.spools); err != nil {
		return err
	}
	x.body.hurry()
	return nil
}

// putLater reads the value, and then puts it with what comes behind it.
func (f *form) putLater(store *engine.Store, part *multipart.Part) error {
	s := spool{dir: f.x.h.TempDir, begin: f.x.beginSpool}
	defer s.close()
	err := s.fill(part)
	if err != nil {
		return f.explain(err)
	}
	if s.n > maxValue {
		return valueTooLarge(s.n)
	}
	if err := f.rest(true); err != nil {
		return err
	}
	if err := f.setMetadata(); err != nil {
		return err
	}
	if s.file == nil {
		return store.Put(f.x.ctx, f.x.key, s.bytes(), &f.x.opts)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return store.PutReader(f.x.ctx, f.x.key, s.file, &f.x.opts)
}
