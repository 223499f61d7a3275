package main_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// TestServerDefault has nobody written to the default namespace yet.
func TestServerDefault(t *testing.T) {
	f := newFirn(t)
	f.url = "http://" + f.serve().addr
	f.fails(1, []string{`key "a" is not in namespace "default"`}, "kv", "key", "get", "a")
	f.fails(1, []string{`key "a" is not in namespace "default"`}, "kv", "key", "get", "a", "--with-metadata")
	if got := f.ok("kv", "key", "list"); got != "[]\n" {
		t.Errorf("list: %q", got)
	}
	if got := f.okWith(`["a"]`, "kv", "bulk", "get", "-"); got != "{\n\"a\":null\n}\n" {
		t.Errorf("bulk get: %q", got)
	}
	f.ok("kv", "key", "delete", "a")
	f.ok("kv", "key", "delete", "a", "b")
	f.fails(1, []string{`"default" does not exist`}, "kv", "namespace", "delete", "default", "--yes")
	if got := f.ok("kv", "namespace", "list", "--json"); got != "[]\n" {
		t.Errorf("something made a namespace: %s", got)
	}
	f.ok("kv", "key", "put", "a", "1")
	list := decode[[]map[string]any](t, f.ok("kv", "namespace", "list", "--json"))
	if len(list) != 1 || list[0]["title"] != "default" {
		t.Errorf("got %v", list)
	}
}

func TestServerNotThere(t *testing.T) {
	f := newFirn(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.url = "http://" + ln.Addr().String()
	ln.Close()
	f.fails(1, []string{"no answer from " + f.url}, "kv", "key", "put", "a", "1")
}

// TestServerTokens gives tokens in the ways there are.
func TestServerTokens(t *testing.T) {
	f := newFirn(t)
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	create := func(name string, args ...string) (file string) {
		file = filepath.Join(dir, name)
		token := f.ok(append([]string{"token", "create", name, "--tokens", tokens}, args...)...)
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	admin := create("admin", "--read", "--write", "--manage")
	reader := create("reader", "--read")
	s := f.serve("--tokens", tokens)
	f.url = "http://" + s.addr

	put := []string{"kv", "key", "put", "k", "v"}
	f.fails(1, []string{"it wants a token", "--token-file", "401"}, put...)
	f.fails(1, []string{"does not let the token in", "Authentication error", "401"}, append(put, "--token-file", write(t, "firn_wrong"))...)
	f.fails(1, []string{"no token in it"}, append(put, "--token-file", write(t, "\n"))...)
	f.fails(1, []string{"no such file"}, append(put, "--token-file", filepath.Join(dir, "none"))...)
	f.fails(1, []string{"a byte in it"}, append(put, "--token-file", write(t, "a\nb"))...)
	f.ok(append(put, "--token-file", admin)...)
	f.fails(1, []string{"the token does not allow this"}, append(put, "--token-file", reader)...)
	f.fails(1, []string{"the token does not allow this"}, "kv", "namespace", "create", "x", "--token-file", reader)

	secret, err := os.ReadFile(reader)
	if err != nil {
		t.Fatal(err)
	}
	cmd := f.command(nil, "kv", "key", "get", "k")
	cmd.Env = append(cmd.Env, "FIRN_TOKEN="+strings.TrimSpace(string(secret)))
	if out, err := cmd.Output(); err != nil || string(out) != "v" {
		t.Errorf("got %q, %v", out, err)
	}

	// A token for one namespace may not see it if it only writes there.
	id := strings.TrimSpace(f.ok("kv", "namespace", "create", "logs", "--token-file", admin))
	writer := create("writer", "--write", "--namespace", "logs")
	s.eventually("the token is known", func() bool {
		return f.run(nil, "kv", "key", "put", "k", "w", "-n", id, "--token-file", writer).status == 0
	})
	if got := f.ok("kv", "key", "get", "k", "-n", "logs", "--token-file", reader); got != "w" {
		t.Errorf("got %q", got)
	}
}

// TestServerDefaultOfOthers has tokens that may not see the default namespace, and one
// that may do no more than write there. None is told that there is nothing.
func TestServerDefaultOfOthers(t *testing.T) {
	f := newFirn(t)
	tokens := filepath.Join(t.TempDir(), "tokens")
	create := func(name string, args ...string) (file string) {
		return write(t, f.ok(append([]string{"token", "create", name, "--tokens", tokens}, args...)...))
	}
	admin := create("admin", "--read", "--write", "--manage")
	other := create("other", "--read", "--write", "--namespace", "films")
	writer := create("writer", "--write")
	f.url = "http://" + f.serve("--tokens", tokens).addr
	forbidden := []string{"the token does not allow this", "403"}
	keys := write(t, `["k"]`)
	commands := [][]string{
		{"kv", "key", "get", "k"}, {"kv", "key", "list"}, {"kv", "bulk", "get", keys},
		{"kv", "key", "delete", "k"}, {"kv", "bulk", "delete", keys}, {"kv", "key", "put", "k", "v"},
	}
	for _, command := range commands {
		f.fails(1, forbidden, append(command, "--token-file", other)...)
	}
	f.ok("kv", "key", "delete", "k", "--token-file", writer) // nobody has written there yet
	f.ok("kv", "key", "put", "k", "v", "--token-file", admin)
	for i, command := range commands {
		f.fails(1, forbidden, append(command, "--token-file", other)...)
		if i < 3 {
			f.fails(1, forbidden, append(command, "--token-file", writer)...)
		}
	}
	for _, command := range commands[3:5] {
		f.ok("kv", "key", "put", "k", "v", "--token-file", writer)
		f.ok(append(command, "--token-file", writer)...)
		f.fails(1, []string{`key "k" is not in namespace "default"`}, "kv", "key", "get", "k", "--token-file", admin)
	}
}

// TestServerOrDirectory says which of the two a command works on.
func TestServerOrDirectory(t *testing.T) {
	f := newFirn(t)
	f.ok("kv", "key", "put", "k", "directory")
	other := firn{t: t, dir: filepath.Join(t.TempDir(), "other")}
	url := "http://" + other.serve().addr
	f.ok("--url", url, "kv", "key", "put", "k", "server")

	got := map[string]string{}
	for name, args := range map[string][]string{
		"nothing":     nil,
		"url":         {"--url", url},
		"url, slash":  {"--url", url + "/"},
		"url, path":   {"--url", url + "/client/v4/"},
		"account":     {"--url", url, "--account", "me/and/you"},
		"environment": {"environment"},
		"dir":         {"environment", "--dir", f.dir},
	} {
		env := []string{"FIRN_URL="}
		if len(args) > 0 && args[0] == "environment" {
			args, env = args[1:], []string{"FIRN_DIR=", "FIRN_URL=" + url}
		}
		cmd := f.command(nil, append([]string{"kv", "key", "get", "k"}, args...)...)
		cmd.Env = append(cmd.Env, env...)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got[name] = string(out)
	}
	want := map[string]string{
		"nothing": "directory", "url": "server", "url, slash": "server", "url, path": "server",
		"account": "server", "environment": "server", "dir": "directory",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	f.fails(1, []string{"Could not route"}, "--url", url+"/elsewhere", "kv", "key", "get", "k")
	both := f.command(nil, "kv", "key", "get", "k")
	both.Env = append(both.Env, "FIRN_URL="+url)
	if out, _ := both.CombinedOutput(); both.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "FIRN_DIR and FIRN_URL are both set") {
		t.Errorf("both in the environment: %s", out)
	}
}

// TestServerTLS trusts a certificate, or does not.
func TestServerTLS(t *testing.T) {
	f := newFirn(t)
	cert, key := filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	certify(t, cert, key, 1)
	f.url = "https://" + f.serve("--tls-cert", cert, "--tls-key", key).addr
	f.fails(1, []string{"no answer", "certificate"}, "kv", "key", "put", "k", "v")
	f.ok("kv", "key", "put", "k", "v", "--ca-file", cert)
	ways := []string{"FIRN_CA_FILE"}
	if runtime.GOOS == "linux" { // elsewhere, the system says whom to trust
		ways = append(ways, "SSL_CERT_FILE")
	}
	for _, name := range ways {
		cmd := f.command(nil, "kv", "key", "get", "k")
		cmd.Env = append(cmd.Env, name+"="+cert)
		if out, err := cmd.Output(); err != nil || string(out) != "v" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
	f.fails(1, []string{"no certificate in it"}, "kv", "key", "get", "k", "--ca-file", key)
	f.fails(1, []string{"no such file"}, "kv", "key", "get", "k", "--ca-file", cert+"s")
	other := filepath.Join(t.TempDir(), "other")
	certify(t, other, filepath.Join(t.TempDir(), "key"), 2)
	f.fails(1, []string{"certificate"}, "kv", "key", "get", "k", "--ca-file", other)
}

func TestServerUnixSocket(t *testing.T) {
	server := newFirn(t)
	f := server
	f.url = "unix:" + socketPath(t)
	f.fails(1, []string{"no answer from " + f.url + ":"}, "kv", "key", "put", "k", "v")
	server.serveWith("a-token-of-the-environment", "--addr", f.url)
	f.fails(1, []string{"it wants a token"}, "kv", "key", "put", "k", "v")
	token := write(t, "a-token-of-the-environment")
	for _, step := range []struct{ args, out string }{
		{"key put k v", ""},
		{"key get k", "v"},
		{"key list", "[\n{\"name\":\"k\"}\n]\n"},
	} {
		r := f.run(nil, append(strings.Fields("kv "+step.args), "--token-file", token)...)
		if r.status != 0 || r.out != step.out || strings.Contains(r.err, "in the clear") {
			t.Errorf("%s: %+v", step.args, r)
		}
	}
}

// TestServerFailing has a server that does things in part.
func TestServerFailing(t *testing.T) {
	f := newFirn(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, "/namespaces"):
			io.WriteString(w, `{"success":true,"result":[{"id":"1","title":"default"}],"result_info":{"total_count":1}}`)
		case strings.HasSuffix(path, "/bulk"):
			io.WriteString(w, `{"success":true,"result":{"successful_key_count":1,"unsuccessful_keys":["b"]}}`)
		default:
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"success":true,"result":[{"name":"a"}`)
		}
	}))
	defer s.Close()
	f.url = s.URL
	f.failsWith(strings.NewReader(`{"key":"a","value":""} {"key":"b","value":""}`), 1,
		[]string{`1 of 2 keys of a request are not done, among them "b"`, "0 pairs, 0.0 MB before that are done, and perhaps some after them"},
		"kv", "bulk", "put", "-")
	f.fails(1, []string{"the answer breaks off"}, "kv", "key", "list")
	f.fails(1, []string{"the answer breaks off", "may have done it"}, "kv", "key", "put", "a", "b")
	r := f.run(nil, "kv", "key", "get", "a")
	if r.status != 1 || r.out != `{"success":true,"result":[{"name":"a"}` || !strings.Contains(r.err, "the answer breaks off") {
		t.Errorf("got %+v", r)
	}
}

// TestServerInTheClear warns of tokens that others may read, and gives no proxy any.
func TestServerInTheClear(t *testing.T) {
	f := newFirn(t)
	proxied := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.IsAbs() {
			proxied <- r.URL.String()
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	local := server.Listener.Addr().String()
	_, port, err := net.SplitHostPort(local)
	if err != nil {
		t.Fatal(err)
	}
	token := write(t, "secret")
	// A connection to 0.0.0.0 is one to this host, but that does not make it a local name.
	for url, warned := range map[string]bool{"http://0.0.0.0:" + port: true, "http://" + local: false} {
		cmd := f.command(nil, "kv", "key", "list", "--url", url, "--token-file", token)
		for _, name := range []string{"HTTP_PROXY", "http_proxy"} {
			cmd.Env = append(cmd.Env, name+"=http://"+local)
		}
		cmd.Env = append(cmd.Env, "NO_PROXY=", "no_proxy=")
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || strings.Contains(string(out), "in the clear") != warned ||
			strings.Contains(string(out), "secret") || !strings.Contains(string(out), "404") {
			t.Errorf("%s: %s", url, out)
		}
	}
	close(proxied)
	for url := range proxied {
		t.Errorf("a proxy was asked for %s", url)
	}
}

// TestServerFarLifetimes has the server take what a store takes, or refuse it.
func TestServerFarLifetimes(t *testing.T) {
	f := newFirn(t)
	f.url = "http://" + f.serve().addr
	f.ok("kv", "key", "put", "k", "v", "--ttl", "9223372036")
	f.ok("kv", "key", "put", "k", "v", "--expiration", "9007199254740992")
	f.fails(1, []string{"9007199254740993 is out of range"}, "kv", "key", "put", "k", "v", "--expiration", "9007199254740993")
	list := decode[[]struct{ Expiration int64 }](t, f.ok("kv", "key", "list"))
	if len(list) != 1 || list[0].Expiration != 1<<53 {
		t.Errorf("got %v", list)
	}
}
