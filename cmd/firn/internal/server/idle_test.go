package server

import (
	"net"
	"net/http"
	"testing"
)

// The connection that has been idle for longest goes first, and none that is busy.
func TestIdleConns(t *testing.T) {
	idle := newIdleConns()
	conns, closed := make([]*closing, 4), make(chan *closing)
	for i := range conns {
		conns[i] = &closing{closed: closed}
		idle.note(conns[i], http.StateNew)
		idle.note(conns[i], http.StateActive)
		idle.note(conns[i], http.StateIdle)
		idle.note(conns[i], http.StateIdle)
	}
	idle.note(conns[0], http.StateActive)
	idle.note(conns[0], http.StateIdle)
	idle.note(conns[2], http.StateClosed)
	idle.note(conns[2], http.StateClosed)
	for _, next := range []int{1, 3, 0} {
		if !idle.closeOldest() {
			t.Fatal("there are more")
		}
		if closed := <-closed; closed != conns[next] {
			t.Errorf("connection %d was not next", next)
		}
	}
	if idle.closeOldest() {
		t.Error("there is one more")
	}
}

type closing struct {
	net.Conn
	closed chan *closing
}

func (c *closing) Close() error {
	c.closed <- c
	return nil
}
