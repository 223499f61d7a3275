package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go/v6/kv"
	"github.com/cloudflare/cloudflare-go/v6/option"
)

// TestWorkerOverTLS also reads messages of errors, which are in the reason phrase.
func TestWorkerOverTLS(t *testing.T) { testTransport(t, serveTLS) }

func TestWorkerOverUnixSocket(t *testing.T) { testTransport(t, serveUnix) }

func testTransport(t *testing.T, serve func(*testing.T) *firn) {
	t.Parallel()
	modules := nodeModules(t)
	server := serve(t)
	worker := workerd(t, modules, script(t, "worker"), server, server.create(t, "worker"))
	testCases(t, worker, "put a string", "put a stream", "get of several", "list", "expiration refused")
}

func TestGoSDKOverTLS(t *testing.T) {
	t.Parallel()
	server := serveTLS(t)
	c := &goSDK{t: t, ctx: soon(t), id: server.create(t, "tls")}
	c.NamespaceService = kv.NewKVService(option.WithBaseURL(server.api()), option.WithAPIToken(token),
		option.WithHTTPClient(server.http)).Namespaces
	c.must(c.put("greeting", "hello", nil))
	got, _, err := c.get("greeting")
	c.must(err)
	c.equal("value", got, "hello")
	page, err := c.Keys.List(c.ctx, c.id, with[kv.NamespaceKeyListParams](nil))
	c.must(err)
	c.equal("keys", len(page.Result), 1)
	_, _, err = c.get("absent")
	c.refused("absent", err, http.StatusNotFound, 10009)
}

// TestCommandsOverTLS has "firn kv" trust the authority as other programs do.
func TestCommandsOverTLS(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere, the system says whom to trust")
	}
	t.Parallel()
	server := serveTLS(t)
	firn := func(args ...string) (string, error) {
		cmd := exec.CommandContext(soon(t), firnBinary, append([]string{"kv", "--url", server.url()}, args...)...)
		cmd.Env = append(os.Environ(), "FIRN_TOKEN="+token, "SSL_CERT_FILE="+server.ca)
		return run(cmd)
	}
	for _, step := range []struct {
		args, out, err string
	}{
		{"key put greeting hello", "", ""},
		{"key get greeting", "hello", ""},
		{"key list", `[
{"name":"greeting"}
]
`, ""},
		{"key get absent", "", `key "absent" is not in namespace "default"`},
	} {
		got, err := firn(strings.Fields(step.args)...)
		if got != step.out || (err != nil) != (step.err != "") || err != nil && !strings.Contains(err.Error(), step.err) {
			t.Errorf("%s: got %q, %v", step.args, got, err)
		}
	}
}

// serveTLS starts firn with a certificate of an authority of its own.
func serveTLS(t *testing.T) *firn {
	t.Helper()
	dir := t.TempDir()
	caFile, certFile, keyFile := filepath.Join(dir, "ca"), filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	ca, caKey := issue(t, caFile, &x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	_, key := issue(t, certFile, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, caKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, keyFile, "PRIVATE KEY", der)

	trusted := x509.NewCertPool()
	trusted.AddCert(ca)
	f := &firn{ca: caFile, http: client(t, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}})}
	f.start(t, t.TempDir(), "127.0.0.1:0", "--tls-cert", certFile, "--tls-key", keyFile)
	return f
}

// issue writes a certificate, which is signed by issuer, or by itself if that is nil.
func issue(t *testing.T, file string, about, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about.SerialNumber = big.NewInt(time.Now().UnixNano())
	about.Subject.CommonName = filepath.Base(file)
	about.NotBefore, about.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if issuer == nil {
		issuer, issuerKey = about, key
	}
	der, err := x509.CreateCertificate(rand.Reader, about, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, file, "CERTIFICATE", der)
	return cert, key
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serveUnix starts firn on a Unix socket.
func serveUnix(t *testing.T) *firn {
	t.Helper()
	dir, err := os.MkdirTemp("", "firn") // the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	f := &firn{http: client(t, &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	})}
	f.start(t, t.TempDir(), "unix:"+path)
	return f
}

// client returns one whose connections end with the test.
func client(t *testing.T, transport *http.Transport) *http.Client {
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
