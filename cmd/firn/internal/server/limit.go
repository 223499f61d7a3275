package server

import (
	"net"
	"sync"
	"sync/atomic"
)

// limitListener accepts only so many connections at a time. When there are no more
// places, it asks for one. It differs from that of
// golang.org/x/net/netutil in that the connections keep CloseWrite: net/http closes
// that side first when it gives up on a request whose body still comes, so that the
// client gets the answer, and not a reset.
type limitListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once

	makeRoom func() bool // closes a connection that can be spared
	wanting  atomic.Bool // a place, and there was none to be spared
}

func limitConnections(ln net.Listener, n int, makeRoom func() bool) *limitListener {
	return &limitListener{Listener: ln, slots: make(chan struct{}, n), closed: make(chan struct{}), makeRoom: makeRoom}
}

// Accept waits for a connection, and then for its turn.
func (l *limitListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.slots <- struct{}{}:
	default:
		if err := l.await(); err != nil {
			c.Close()
			return nil, err
		}
	}
	return &limitedConn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

// await waits for a place.
func (l *limitListener) await() error {
	l.wanting.Store(true)
	if l.makeRoom() {
		l.wanting.Store(false)
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-l.closed:
		return net.ErrClosed
	}
}

// Close has Accept fail, also if it waits for its turn.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	free func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.free()
	return err
}

// CloseWrite ends the stream to the client, if the connection can do that alone.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
