package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// account is one that nobody has to know: there is only one.
const account = "0123456789abcdef0123456789abcdef"

// token lets the tests in.
var token = rand.Text()

// firn is a running `firn serve`.
type firn struct {
	*process
	addr string       // host:port or unix:path
	ca   string       // file of the certificate to trust; empty: without TLS
	http *http.Client // that reaches it
}

// serve starts firn on the data directory dir, on a free port.
func serve(t testing.TB, dir string) *firn {
	t.Helper()
	f := &firn{http: http.DefaultClient}
	f.start(t, dir, "127.0.0.1:0")
	return f
}

// start starts firn, and waits for its address.
func (f *firn) start(t testing.TB, dir, addr string, more ...string) {
	t.Helper()
	addrFile := filepath.Join(t.TempDir(), "addr")
	cmd := exec.Command(firnBinary, append([]string{"serve", "--dir", dir, "--addr", addr, "--addr-file", addrFile}, more...)...)
	cmd.Env = append(os.Environ(), "FIRN_TOKEN="+token)
	f.process = start(t, cmd, interrupt)
	f.await(t, "an address", func() bool {
		data, err := os.ReadFile(addrFile)
		f.addr = strings.TrimSpace(string(data))
		return err == nil && f.addr != ""
	})
}

// url is the root of its addresses.
func (f *firn) url() string {
	switch {
	case f.ca != "":
		return "https://" + f.addr
	case strings.HasPrefix(f.addr, "unix:"):
		return "http://localhost"
	}
	return "http://" + f.addr
}

// api is what clients of the REST API take as the base of their addresses.
func (f *firn) api() string { return f.url() + "/client/v4" }

// namespaces is the address of the account's namespaces.
func (f *firn) namespaces() string {
	return f.api() + "/accounts/" + account + "/storage/kv/namespaces"
}

// create makes a namespace and returns its ID.
func (f *firn) create(t testing.TB, title string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"title": title})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(soon(t), http.MethodPost, f.namespaces(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct {
		Success bool
		Result  struct{ ID string }
	}
	if err := json.Unmarshal(answer, &envelope); err != nil || !envelope.Success || envelope.Result.ID == "" {
		t.Fatalf("creating namespace %q: %s: %s", title, resp.Status, answer)
	}
	return envelope.Result.ID
}

// run runs a program to its end and returns what it wrote to standard output.
func run(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args[1:], " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// soon bounds what is to end by itself.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
