package server

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// idleConns knows the connections that wait for their next request, so that they
// can make room for others.
type idleConns struct {
	mu     sync.Mutex
	oldest *list.List // of net.Conn, the longest idle first
	places map[net.Conn]*list.Element
}

func newIdleConns() *idleConns {
	return &idleConns{oldest: list.New(), places: map[net.Conn]*list.Element{}}
}

// note takes note of the new state of a connection.
func (i *idleConns) note(c net.Conn, state http.ConnState) {
	i.mu.Lock()
	defer i.mu.Unlock()
	place := i.places[c]
	switch {
	case state == http.StateIdle && place == nil:
		i.places[c] = i.oldest.PushBack(c)
	case state != http.StateIdle && place != nil:
		i.oldest.Remove(place)
		delete(i.places, c)
	}
}

// closeOldest closes the connection that has waited longest, and reports whether
// there was one. A client whose next
// request is on its way just then sends it again on another connection, as it has
// to when a server times out.
func (i *idleConns) closeOldest() bool {
	i.mu.Lock()
	first := i.oldest.Front()
	var c net.Conn
	if first != nil {
		c = i.oldest.Remove(first).(net.Conn)
		delete(i.places, c)
	}
	i.mu.Unlock()
	if c == nil {
		return false
	}
	// net/http finds out, and does the rest. Over TLS, saying goodbye may take 5
	// seconds, if the client reads nothing.
	go func() { _ = c.Close() }()
	return true
}
