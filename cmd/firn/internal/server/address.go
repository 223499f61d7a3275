package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"
)

const unixPrefix = "unix:"

// Address is where to listen: an address of the network, or the path of a
// Unix socket.
type Address struct {
	tcp  *net.TCPAddr // nil: it is a Unix socket
	path string
}

// ParseAddress reads HOST:PORT or unix:PATH. Without a host, it is every
// address of the machine; port 0 stands for one that is free. A name is looked
// up once, so that what is checked is what is listened on.
func ParseAddress(s string) (Address, error) {
	if path, ok := strings.CutPrefix(s, unixPrefix); ok {
		if path == "" {
			return Address{}, fmt.Errorf("address %q: the path is missing", s)
		}
		return Address{path: path}, nil
	}
	tcp, err := net.ResolveTCPAddr("tcp", s)
	if err == nil && s == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return Address{}, fmt.Errorf("address %q is not HOST:PORT or unix:PATH: %w", s, err)
	}
	return Address{tcp: tcp}, nil
}

// Loopback reports whether it is an address of the network that only this
// machine reaches.
func (a Address) Loopback() bool { return a.tcp != nil && a.tcp.IP.IsLoopback() }

// Unix reports whether it is a Unix socket.
func (a Address) Unix() bool { return a.tcp == nil }

func (a Address) String() string {
	if a.Unix() {
		return unixPrefix + a.path
	}
	return a.tcp.String()
}

// Listen listens on the address. A Unix socket that nobody listens on any more
// is replaced. Who may connect to it is what the umask leaves: usually the user.
func (a Address) Listen() (net.Listener, error) {
	if !a.Unix() {
		return net.ListenTCP("tcp", a.tcp)
	}
	ln, err := net.Listen("unix", a.path)
	if err == nil || !abandoned(a.path) {
		return ln, err
	}
	if err := os.Remove(a.path); err != nil {
		return nil, err
	}
	return net.Listen("unix", a.path)
}

// abandoned reports whether path is a socket that nobody listens on, as a
// server leaves it that was killed.
func abandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return isRefused(err)
	}
	conn.Close()
	return false
}

// CheckPrivate refuses a Unix socket that every user of the machine may connect
// to.
func (a Address) CheckPrivate() error {
	info, err := os.Stat(a.path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("%s: the umask lets every user of the machine connect", a)
	}
	return nil
}

// AddressOf returns how a client names the address of a listener.
func AddressOf(ln net.Listener) string {
	addr := ln.Addr()
	if addr.Network() == "unix" {
		return unixPrefix + addr.String()
	}
	return addr.String()
}

var errNotLoopback = errors.New("it is not a loopback address")

// CheckLoopback refuses an address that others than this machine may reach.
func (a Address) CheckLoopback() error {
	if a.Loopback() {
		return nil
	}
	return fmt.Errorf("%s: %w", a, errNotLoopback)
}
