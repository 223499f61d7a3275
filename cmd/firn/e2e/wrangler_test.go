package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// wrangler runs the official command line against a server, in a home of its
// own.
type wrangler struct {
	t       *testing.T
	program string
	home    string
	env     []string
	id      string // of the namespace that on adds to a command
}

func newWrangler(t *testing.T, server *firn) *wrangler {
	t.Helper()
	w := &wrangler{
		t:       t,
		program: filepath.Join(nodeModules(t), "node_modules", "wrangler", "bin", "wrangler.js"),
		home:    t.TempDir(),
	}
	w.env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + w.home,
		"XDG_CONFIG_HOME=" + w.home,
		"CI=true",
		"NO_COLOR=1",
		"WRANGLER_HIDE_BANNER=true", // and with it the question for a newer version
		"WRANGLER_SEND_METRICS=false",
		"WRANGLER_SEND_ERROR_REPORTS=false",
		"CLOUDFLARE_API_BASE_URL=" + server.api(),
		"CLOUDFLARE_API_TOKEN=" + token,
	}
	// After an error, wrangler looks for a newer version all the same: here.
	w.file(".npmrc", "registry=http://127.0.0.1:1/\n")
	return w
}

// file writes a file in the home directory, where commands run.
func (w *wrangler) file(name, text string) string {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.home, name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return name
}

func (w *wrangler) cmd(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(soon(w.t), "node", append([]string{w.program}, args...)...)
	cmd.Dir = w.home
	cmd.Env = append(w.env, "CLOUDFLARE_ACCOUNT_ID="+account)
	return cmd
}

// kv runs a command that has to succeed and returns what it printed.
func (w *wrangler) kv(args ...string) string {
	w.t.Helper()
	out, err := run(w.cmd(append([]string{"kv"}, args...)...))
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// on is kv for a command that works on the pairs of the namespace.
func (w *wrangler) on(args ...string) string {
	w.t.Helper()
	return w.kv(append(args, "--namespace-id", w.id, "--remote")...)
}

// fails runs a command that has to fail and to say why.
func (w *wrangler) fails(why string, cmd *exec.Cmd) {
	w.t.Helper()
	out, err := run(cmd)
	if err == nil {
		w.t.Errorf("%v succeeded: %s", cmd.Args[1:], out)
	} else if !strings.Contains(err.Error(), why) {
		w.t.Errorf("%v does not say %q: %v", cmd.Args[1:], why, err)
	}
}

// json compares the JSON that a command prints first.
func (w *wrangler) json(out, want string) {
	w.t.Helper()
	var got, wanted any
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&got); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		w.t.Fatal(err)
	}
	if !reflect.DeepEqual(got, wanted) {
		w.t.Errorf("got %s, want %s", short(out), short(want))
	}
}

func (w *wrangler) equal(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: got %q, want %q", what, short(got), short(want))
	}
}

func TestWranglerNamespaces(t *testing.T) {
	t.Parallel()
	server := serve(t, t.TempDir())
	w := newWrangler(t, server)
	w.kv("namespace", "create", "first")
	w.fails(`A KV namespace with the title "first" already exists.`, w.cmd("kv", "namespace", "create", "first"))
	second := server.create(t, "second")
	w.kv("namespace", "rename", "first", "--new-name", "the first")
	w.kv("namespace", "rename", "--namespace-id", second, "--new-name", "another")
	w.kv("namespace", "delete", "the first", "--skip-confirmation")
	w.json(w.kv("namespace", "list"), fmt.Sprintf(`[{"id":%q,"title":"another","supports_url_encoding":true}]`, second))

	t.Run("without an account", func(t *testing.T) {
		w := *w
		w.t = t
		cmd := w.cmd("kv", "namespace", "list")
		cmd.Env = w.env
		out, err := run(cmd)
		if err != nil {
			t.Fatal(err)
		}
		w.json(out, fmt.Sprintf(`[{"id":%q,"title":"another","supports_url_encoding":true}]`, second))
	})
	t.Run("whoami", func(t *testing.T) {
		w := *w
		w.t = t
		out, err := run(w.cmd("whoami"))
		if err != nil || !strings.Contains(out, "You are logged in") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("with a token that nobody knows", func(t *testing.T) {
		w := *w
		w.t = t
		cmd := w.cmd("kv", "namespace", "list")
		cmd.Env = append(cmd.Env, "CLOUDFLARE_API_TOKEN=nobody-knows-this-one")
		w.fails("[code: 10000]", cmd)
	})
}

func TestWranglerKeys(t *testing.T) {
	t.Parallel()
	server := serve(t, t.TempDir())
	w := newWrangler(t, server)
	w.id = server.create(t, "wrangler")

	w.on("key", "put", "plain", "a value")
	w.equal("plain", w.on("key", "get", "plain"), "a value")
	w.equal("as text", w.on("key", "get", "plain", "--text"), "a value\n")

	at := time.Now().Unix() + 1000
	const nasty = "a//b/%2F ü😀?x=1&y#z"
	w.on("key", "put", nasty, "v1", "--metadata", `{"m":["é",1,null]}`, "--expiration", fmt.Sprint(at))
	w.equal("nasty", w.on("key", "get", nasty), "v1")

	binary := "\x00\xff\r\n" + strings.Repeat("binary\x80", 100_000)
	w.on("key", "put", "binary", "--path", w.file("binary", binary))
	w.equal("binary", w.on("key", "get", "binary"), binary)
	w.on("key", "put", "binary with metadata", "--path", "binary", "--metadata", `"m"`, "--ttl", "6000")
	w.equal("binary with metadata", w.on("key", "get", "binary with metadata"), binary)

	w.json(w.on("key", "list", "--prefix", "a//"), fmt.Sprintf(`[{"name":%q,"expiration":%d,"metadata":{"m":["é",1,null]}}]`, nasty, at))
	w.on("key", "delete", nasty)
	w.on("key", "delete", "never there")
	w.fails("404", w.cmd("kv", "key", "get", nasty, "--namespace-id", w.id, "--remote"))
}

func TestWranglerBulk(t *testing.T) {
	t.Parallel()
	server := serve(t, t.TempDir())
	w := newWrangler(t, server)
	w.id = server.create(t, "wrangler")

	// More than a page of a list.
	type pair struct {
		Key      string         `json:"key"`
		Value    string         `json:"value"`
		Base64   bool           `json:"base64,omitempty"`
		TTL      int            `json:"expiration_ttl,omitempty"`
		Metadata map[string]any `json:"metadata,omitempty"`
	}
	type name struct {
		Name     string         `json:"name"`
		Metadata map[string]any `json:"metadata,omitempty"`
	}
	var written []pair
	var names []name
	for i := range 1234 {
		p := pair{Key: fmt.Sprintf("key/%04d", i), Value: fmt.Sprint(i)}
		if i == 1 {
			p.Value, p.Base64, p.Metadata = "AP9B", true, map[string]any{"m": "é"}
		}
		written = append(written, p)
		names = append(names, name{p.Key, p.Metadata})
	}
	marshal := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	w.on("bulk", "put", w.file("pairs.json", marshal(written)))
	list := w.on("key", "list")
	w.json(list, marshal(names))
	w.equal("base64", w.on("key", "get", "key/0001"), "\x00\xffA")
	w.json(w.on("bulk", "get", w.file("keys.json", `["key/0002","absent",{"name":"key/1000"}]`)),
		`{"key/0002":"2","absent":null,"key/1000":"1000"}`)
	w.on("bulk", "delete", w.file("list.json", list), "--force")
	w.json(w.on("key", "list"), `[]`)
}
