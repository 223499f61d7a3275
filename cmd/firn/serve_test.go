package main_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// serving is a server that runs.
type serving struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	file string // with the address
	log  *shared
	http *http.Client
}

// shared is what a process has written so far.
type shared struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// serve starts a server on a free port, and waits until it is ready. Unless the
// test ends it, it is interrupted when the test is done, and has to end well.
func (f firn) serve(args ...string) *serving {
	return f.serveWith("", append([]string{"--addr", "127.0.0.1:0"}, args...)...)
}

// serveWith starts a server with a token in its environment.
func (f firn) serveWith(token string, args ...string) *serving {
	f.t.Helper()
	s := &serving{t: f.t, file: filepath.Join(f.t.TempDir(), "addr"), log: &shared{}}
	s.cmd = f.command(nil, append([]string{"serve", "--addr-file", s.file}, args...)...)
	s.cmd.Env = append(s.cmd.Env, "FIRN_TOKEN="+token)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			s.end(os.Interrupt)
		}
	})
	s.eventually("it is ready", func() bool {
		addr, err := os.ReadFile(s.file)
		s.addr = strings.TrimSpace(string(addr))
		return err == nil
	})
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}
	if path, ok := strings.CutPrefix(s.addr, "unix:"); ok {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	}
	s.http = &http.Client{Transport: transport, Timeout: patience}
	return s
}

// eventually waits until done returns true.
func (s *serving) eventually(what string, done func() bool) {
	s.t.Helper()
	for begun := time.Now(); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			s.t.Fatalf("never: %s\n%s", what, s.log)
		}
	}
}

// end signals the process, and waits until it ends well.
func (s *serving) end(sig os.Signal) {
	s.t.Helper()
	if runtime.GOOS == "windows" { // where there are no signals
		sig = os.Kill
	}
	s.cmd.Process.Signal(sig)
	if err := s.cmd.Wait(); err != nil && runtime.GOOS != "windows" {
		s.t.Errorf("it ended with %v\n%s", err, s.log)
	}
}

// get asks the server, with a token if it is not empty.
func (s *serving) get(url, token string) (status int, body string) {
	s.t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.http.Do(r)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.log)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (s *serving) want(url, token string, status int, words ...string) {
	s.t.Helper()
	got, body := s.get(url, token)
	if got != status {
		s.t.Errorf("%s: %d, want %d: %s", url, got, status, body)
	}
	for _, word := range words {
		if !strings.Contains(body, word) {
			s.t.Errorf("%s: no %q in %s", url, word, body)
		}
	}
}

func TestServe(t *testing.T) {
	f := newFirn(t)
	s := f.serve()
	s.want("http://"+s.addr+"/healthz", "", 200, "alive")
	s.want("http://"+s.addr+"/readyz", "", 200, "ready")
	f.fails(1, []string{"in use"}, "kv", "namespace", "create", "x")
	f.fails(1, []string{s.addr, "in use"}, "serve", "--addr", s.addr, "--dir", filepath.Join(t.TempDir(), "other"))
	s.end(syscall.SIGTERM)
	if log := s.log.String(); !strings.Contains(log, "msg=serving addr="+s.addr) || !strings.Contains(log, "msg=stopped") {
		t.Errorf("log:\n%s", log)
	}
	if _, err := os.Stat(s.file); err == nil && runtime.GOOS != "windows" {
		t.Error("the file with the address is still there")
	}
	f.ok("kv", "namespace", "create", "x")
}

func TestServeHeldDirectory(t *testing.T) {
	f := newFirn(t)
	f.serve()
	f.fails(1, []string{"the registry of namespaces is in use"}, "serve", "--addr", "127.0.0.1:0")
}

// TestServeWhoGetsIn has a server take tokens out of a file that changes.
func TestServeWhoGetsIn(t *testing.T) {
	f := newFirn(t)
	tokens := filepath.Join(t.TempDir(), "tokens")
	create := func(name string, scopes ...string) string {
		return strings.TrimSpace(f.ok(append([]string{"token", "create", name, "--tokens", tokens}, scopes...)...))
	}
	reader, admin := create("reader", "--read"), create("admin", "--manage")
	s := f.serve("--metrics", "--tokens", tokens)
	url := "http://" + s.addr + "/metrics"
	s.want(url, "", 401)
	s.want(url, "firn_nonsense", 401)
	s.want(url, reader, 403)
	s.want(url, admin, 200, "firn_build_info", "\nfirn_connections ", "\nfirn_requests_in_flight 1\n")
	s.want("http://"+s.addr+"/readyz", "", 200)

	other := create("other", "--read", "--write", "--manage")
	s.eventually("a new token is let in", func() bool {
		status, _ := s.get(url, other)
		return status == 200
	})
	content, err := os.ReadFile(tokens)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for line := range strings.Lines(string(content)) {
		if !strings.Contains(line, `"admin"`) {
			left = append(left, line)
		}
	}
	if err := os.WriteFile(tokens, []byte(strings.Join(left, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		s.cmd.Process.Signal(syscall.SIGHUP)
	}
	s.eventually("an old token is refused", func() bool {
		status, _ := s.get(url, admin)
		return status == 401
	})
	s.want(url, other, 200)
	for _, secret := range []string{reader, admin, other} {
		if strings.Contains(s.log.String()+string(content), secret) {
			t.Error("a token is where it should not be")
		}
	}
}

func TestServeElsewhere(t *testing.T) {
	f := newFirn(t)
	f.fails(2, []string{"without tokens", "0.0.0.0:0"}, "serve", "--addr", "0.0.0.0:0")
	s := f.serveWith("a-token-of-the-environment", "--addr", "0.0.0.0:0", "--metrics")
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	url := "http://127.0.0.1:" + port
	s.want(url+"/metrics", "", 401)
	s.want(url+"/metrics", "a-token-of-the-environment", 200)
}

// TestServeBrowsers has pages of other sites ask a server without tokens.
func TestServeBrowsers(t *testing.T) {
	f := newFirn(t)
	s := f.serve("--metrics")
	r, _ := http.NewRequest("GET", "http://"+s.addr+"/metrics", nil)
	for _, host := range []string{"localhost:1", "evil.example"} {
		r.Host = host
		resp, err := s.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got, want := resp.StatusCode == 200, host == "localhost:1"; got != want {
			t.Errorf("%s: %s", host, resp.Status)
		}
	}
}

func TestServeAdmin(t *testing.T) {
	f := newFirn(t)
	s := f.serve("--admin", "127.0.0.1:0", "--log-format", "json")
	started, _, _ := strings.Cut(s.log.String(), "\n")
	admin := "http://" + decode[struct{ Admin string }](t, started).Admin
	s.want(admin+"/metrics", "", 200, "firn_requests_in_flight 0\n", "go_goroutines")
	s.want(admin+"/debug/pprof/", "", 200, "goroutine")
	s.want(admin+"/readyz", "", 200)
	if status, _ := s.get("http://"+s.addr+"/metrics", ""); status == 200 {
		t.Error("the main port has metrics too")
	}
}

// TestServeLog looks for keys in the log.
func TestServeLog(t *testing.T) {
	f := newFirn(t)
	for _, keys := range []bool{false, true} {
		args := []string{"--log-level", "debug"}
		if keys {
			args = append(args, "--log-keys")
		}
		s := f.serve(args...)
		s.get("http://"+s.addr+"/a-secret?urlencoded=true", "")
		s.end(os.Interrupt)
		if log := s.log.String(); !strings.Contains(log, "msg=request") || strings.Contains(log, "a-secret") != keys {
			t.Errorf("with keys %v, the log is\n%s", keys, log)
		}
	}
}

func TestServeUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("processes are killed there, which leaves the socket")
	}
	f := newFirn(t)
	path := socketPath(t)
	s := f.serveWith("", "--addr", "unix:"+path)
	if s.addr != "unix:"+path {
		t.Errorf("address %q", s.addr)
	}
	s.want("http://anything/readyz", "", 200)
	s.cmd.Process.Kill()
	s.cmd.Wait()
	again := f.serveWith("", "--addr", "unix:"+path)
	again.want("http://anything/readyz", "", 200)
	again.end(os.Interrupt)
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there")
	}
}

// socketPath returns where a Unix socket may be: its path has to be short.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "firn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestServeTLS(t *testing.T) {
	f := newFirn(t)
	cert, key := filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	certify(t, cert, key, 1)
	s := f.serve("--tls-cert", cert, "--tls-key", key)
	s.want("https://"+s.addr+"/readyz", "", 200)
	serial := func() int64 {
		conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("certificate %d", got)
	}
	certify(t, cert, key, 2)
	s.eventually("the new certificate is used", func() bool { return serial() == 2 })
}

// certify writes a new certificate with that serial number.
func certify(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour),
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
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestServeSecondSignal has a connection keep a server from ending: half a
// request, for which it waits some seconds.
func TestServeSecondSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	f := newFirn(t)
	s := f.serve()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HT")
	s.want("http://"+s.addr+"/readyz", "", 200) // so the connection before is accepted too
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.eventually("it is stopping", func() bool { return strings.Contains(s.log.String(), "msg=stopping") })
	for len(ended) == 0 {
		s.cmd.Process.Signal(syscall.SIGTERM)
		time.Sleep(time.Millisecond)
	}
	<-ended
	if status := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v\n%s", s.cmd.ProcessState, s.log)
	}
}
