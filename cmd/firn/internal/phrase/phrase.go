// Package phrase puts reason phrases of one's own into the status lines of an
// HTTP/1 server of net/http, which writes only the standard ones. The runtime of
// Workers takes the text of its exceptions from there.
//
//	server := &http.Server{Handler: h, ConnContext: phrase.ConnContext}
//	err := server.Serve(phrase.Listener(listener))
//
// A handler calls [Set], and the connection replaces the phrase in the first write
// of the response. That works because net/http handles one request of a connection
// after the other, pipelined ones too, and has written a response to the connection
// before it reads the next request: every response starts a write.
//
// For TLS, the connections to be wrapped are those of [tls.NewListener]:
//
//	err := server.Serve(phrase.Listener(tls.NewListener(listener, config)))
//
// [http.Server.ServeTLS] would put TLS around the phrase, and so there would be
// none. As net/http does not see TLS this way, there is no HTTP/2 (which has no
// phrases either), requests have no TLS field, and the handshake belongs to the
// reading of the first request: set [http.Server.ReadHeaderTimeout]. HTTP/2 is not
// to be offered in [tls.Config.NextProtos].
//
// A wrapped connection is no [io.ReaderFrom], so net/http does not use sendfile or
// splice: what is sent from a file is copied through a buffer of 32 KiB. Values are
// decompressed, and never sent from a file.
package phrase

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync/atomic"
)

// maxText bounds a phrase in bytes. The rest is cut off: some clients have small
// buffers for status lines.
const maxText = 512

type contextKey struct{}

// Listener wraps the connections of l, so that they know phrases.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// ConnContext is for [http.Server.ConnContext]. Connections that [Listener] did
// not wrap are left alone.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if wrapped, ok := c.(*conn); ok {
		return context.WithValue(ctx, contextKey{}, wrapped)
	}
	return ctx
}

// Set makes text the reason phrase of the response to the request with that
// context. It has to be called before the header of the response is written, and
// then the header has to be written; otherwise a later response would have the
// phrase. Bytes that are not printable ASCII are escaped as in Go, and what is
// longer than 512 bytes is cut. On a connection that is not wrapped, and for an
// empty text, nothing happens.
func Set(ctx context.Context, text string) {
	c, ok := ctx.Value(contextKey{}).(*conn)
	if !ok || text == "" {
		return
	}
	text = printable(text)
	c.text.Store(&text)
}

// printable escapes and cuts text.
func printable(text string) string {
	b := make([]byte, 0, len(text))
	for _, c := range text {
		n := len(b)
		if c >= ' ' && c <= '~' {
			b = append(b, byte(c))
		} else {
			quoted := strconv.QuoteRuneToASCII(c)
			b = append(b, quoted[1:len(quoted)-1]...)
		}
		if len(b) > maxText {
			return string(b[:n])
		}
	}
	return string(b)
}

// conn replaces the phrase in the status line that a write begins with.
type conn struct {
	net.Conn
	text atomic.Pointer[string] // for the next response; nil: what it has
}

func (c *conn) Write(b []byte) (int, error) {
	text := c.text.Load()
	if text == nil {
		return c.Conn.Write(b)
	}
	from, to, ok := statusLine(b)
	if !ok {
		return c.Conn.Write(b)
	}
	c.text.Store(nil)
	with := make([]byte, 0, len(b)-(to-from)+len(*text))
	with = append(append(append(with, b[:from]...), *text...), b[to:]...)
	if n, err := c.Conn.Write(with); err != nil {
		// How many bytes of b that is does not matter: the connection is broken.
		return min(n, len(b)-1), err
	}
	return len(b), nil
}

// statusLine returns where in b the reason phrase stands, if b begins with the
// status line of a final response: 100 Continue has a write of its own.
func statusLine(b []byte) (from, to int, ok bool) {
	const before = len("HTTP/1.1 200 ")
	if len(b) < before || string(b[:7]) != "HTTP/1." || b[9] == '1' || b[before-1] != ' ' {
		return 0, 0, false
	}
	end := bytes.IndexByte(b, '\r')
	if end < before {
		return 0, 0, false
	}
	return before, end, true
}

// CloseWrite lets net/http send the end of its response before it closes a
// connection whose request it has not read to the end. Without it, the client may
// see a reset instead of the response.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
