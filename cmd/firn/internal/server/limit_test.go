package server

import (
	"errors"
	"io"
	"net"
	"testing"
)

// A client that still sends gets the answer whole: that side is closed first.
func TestConnectionsCloseOneSide(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := limitConnections(plain, 1, func() bool { return false })
	defer ln.Close()
	client, err := net.Dial("tcp", plain.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("the client reads %d bytes, %v", n, err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := conn.Read(b); err != nil || b[0] != 'x' {
		t.Fatalf("the server reads %q, %v", b, err)
	}

	// There is one turn: the next connection gets it when this one ends.
	second, err := net.Dial("tcp", plain.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	accepted := make(chan net.Conn)
	go func() {
		c, _ := ln.Accept()
		accepted <- c
	}()
	select {
	case <-accepted:
		t.Fatal("two connections at a time")
	default:
	}
	for range 2 { // the second time frees nothing
		_ = conn.Close()
	}
	c := <-accepted
	waiting := make(chan error)
	go func() {
		_, err := ln.Accept()
		waiting <- err
	}()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept fails with %v", err)
	}
	_ = c.Close()
}
