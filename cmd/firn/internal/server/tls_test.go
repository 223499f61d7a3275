package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/server"
)

// certify writes a new certificate for 127.0.0.1 with that serial number.
func certify(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTLS(t *testing.T) {
	cert, key := filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	certify(t, cert, key, 1)
	log := &logged{}
	c, err := server.LoadCertificate(cert, key, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, server.Config{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }),
		TLS:     c.Config(),
		// As what is wrapped around connections hides that they are encrypted.
		WrapListener: func(ln net.Listener) net.Listener { return wrappedListener{ln, new(atomic.Int64)} },
	})
	want := func(serial int64) {
		t.Helper()
		c.Reload()
		client := client(t)
		client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
		resp, err := client.Get("https://" + s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if got := resp.TLS.PeerCertificates[0].SerialNumber.Int64(); got != serial || string(body) != "HTTP/1.1" {
			t.Errorf("certificate %d, want %d; %s", got, serial, body)
		}
	}
	want(1)
	certify(t, cert, key, 2)
	want(2)
	// A certificate without its key, as halfway through a renewal.
	certify(t, cert, filepath.Join(t.TempDir(), "elsewhere"), 3)
	want(2)
	if !strings.Contains(log.String(), "private key does not match") {
		t.Errorf("log:\n%s", log)
	}
	certify(t, cert, key, 4)
	want(4)
	// A client that does not speak TLS.
	conn := dial(t, s.addr)
	send(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	io.Copy(io.Discard, conn)
	want(4)
}

func TestBadCertificate(t *testing.T) {
	if _, err := server.LoadCertificate("missing", "missing", slog.Default()); err == nil {
		t.Error("no error")
	}
}
