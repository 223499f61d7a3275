package server_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/firnkv/firn/cmd/firn/internal/server"
)

func TestParseAddress(t *testing.T) {
	for text, loopback := range map[string]bool{
		"127.0.0.1:0": true, "127.1.2.3:80": true, "[::1]:80": true, "localhost:80": true,
		"0.0.0.0:80": false, ":80": false, "[::]:80": false, "192.0.2.1:80": false, "unix:/tmp/x": false,
	} {
		a, err := server.ParseAddress(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if a.Loopback() != loopback || (a.CheckLoopback() == nil) != loopback || a.Unix() != strings.HasPrefix(text, "unix:") {
			t.Errorf("%s: loopback %v, Unix %v", text, a.Loopback(), a.Unix())
		}
	}
	for _, text := range []string{"", "80", "127.0.0.1", "127.0.0.1:http:", "127.0.0.1:99999", "unix:"} {
		if a, err := server.ParseAddress(text); err == nil {
			t.Errorf("%q is taken as %v", text, a)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("sockets have no modes there")
	}
	path := filepath.Join(t.TempDir(), "s")
	a, err := server.ParseAddress("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := a.Listen()
	if err != nil {
		t.Fatal(err)
	}
	if got := server.AddressOf(ln); got != "unix:"+path || a.String() != got {
		t.Errorf("got %q and %q", got, a)
	}
	if other, err := a.Listen(); err == nil {
		other.Close()
		t.Error("a socket in use was taken over")
	}
	os.Chmod(path, 0o775)
	if err := a.CheckPrivate(); err != nil {
		t.Error(err)
	}
	os.Chmod(path, 0o777)
	if err := a.CheckPrivate(); err == nil {
		t.Error("everybody may connect")
	}
	// What a killed server leaves behind is replaced.
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	if ln, err = a.Listen(); err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	// Anything else is not.
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if ln, err := a.Listen(); err == nil {
		ln.Close()
		t.Error("a file was replaced")
	}
}
