package workerd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/workerd"
	"go.uber.org/goleak"
)

// actAs, in the environment, makes the test binary act as a workerd.
const actAs = "FIRN_TEST_ACT_AS"

func TestMain(m *testing.M) {
	if role := os.Getenv(actAs); role != "" {
		os.Exit(act(role))
	}
	goleak.VerifyTestMain(m)
}

// act is a workerd that has no Worker. Instead of serving, it shows its
// configuration.
func act(role string) int {
	if os.Args[1] == "--version" {
		fmt.Println(role)
		return 0
	}
	if role == "failing" {
		fmt.Println("the script is bad")
		return 1
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	config, err := os.ReadFile(os.Args[len(os.Args)-1])
	fmt.Printf("%q %s %v\n", os.Args[1:], config, err)
	control := os.NewFile(3, "control")
	fmt.Fprintln(control, `{"event":"listen","socket":"http","port":1234}`)
	<-interrupted
	return 0
}

func acting(t *testing.T, role string) (*workerd.Program, *strings.Builder) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("processes there inherit no files")
	}
	t.Setenv(actAs, role)
	var out strings.Builder
	return &workerd.Program{Path: os.Args[0], Output: &out}, &out
}

func script(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), `wörk "er".js`)
	if runtime.GOOS == "windows" {
		path = filepath.Join(t.TempDir(), "worker.js")
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestParseBinding(t *testing.T) {
	if b, err := workerd.ParseBinding("KV_1=a=b"); err != nil || b != (workerd.Binding{Name: "KV_1", Namespace: "a=b"}) {
		t.Errorf("got %v, %v", b, err)
	}
	for _, s := range []string{"", "KV", "=a", "KV=", "1K=a", "K V=a", "é=a"} {
		if b, err := workerd.ParseBinding(s); err == nil {
			t.Errorf("%q is taken as %v", s, b)
		}
	}
}

func TestFind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no mode that makes them programs")
	}
	project, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	install := func(dir string) string {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "workerd")
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	below := filepath.Join(project, "src", "deep")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	want := func(path string, fails error) {
		t.Helper()
		if got, err := workerd.Find(below); got != path || !errors.Is(err, fails) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	t.Setenv("PATH", elsewhere)
	want("", workerd.ErrNotFound)
	onPath := install(elsewhere)
	want(onPath, nil)
	modules := filepath.Join(project, "node_modules")
	inBin := install(filepath.Join(modules, ".bin"))
	want(inBin, nil)

	// npm puts a link there, to a script that starts the program for this machine.
	script := install(filepath.Join(modules, "workerd", "bin"))
	if err := os.Remove(inBin); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(script, inBin); err != nil {
		t.Fatal(err)
	}
	want(inBin, nil)
	arch := strings.TrimPrefix(runtime.GOARCH, "amd")
	want(install(filepath.Join(modules, "@cloudflare", "workerd-"+runtime.GOOS+"-"+arch, "bin")), nil)
}

func TestDate(t *testing.T) {
	p, _ := acting(t, "workerd 2026-11-17")
	if date, err := p.Date(t.Context()); date != "2026-11-17" || err != nil {
		t.Errorf("got %q, %v", date, err)
	}
	p, _ = acting(t, "something else")
	if date, err := p.Date(t.Context()); err == nil {
		t.Errorf("got %q", date)
	}
}

// TestRun runs a program until it is interrupted, and looks at what it was
// given.
func TestRun(t *testing.T) {
	p, out := acting(t, "serving")
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	w := workerd.Worker{
		Script: script(t, ""), Address: "127.0.0.1:0", CompatibilityDate: "2026-01-01",
		Server: "127.0.0.1:8787", Token: `"quoted\`, Bindings: []workerd.Binding{{"A", "1"}, {"B", "é"}},
	}
	addr := ""
	err := p.Run(ctx, &w, func(a string) {
		addr = a
		cancel()
	})
	if err != nil || addr != "127.0.0.1:1234" {
		t.Errorf("%q, %v", addr, err)
	}
	for _, want := range []string{
		`"serve" "--control-fd=3" "--watch"`, `"Bearer \"quoted\\"`, `kvNamespace = "kv:A"`, `value = "1"`, `value = "\xc3\xa9"`,
		`compatibilityDate = "2026-01-01"`, `address = "127.0.0.1:0"`, `w\xc3\xb6rk \"er\".js"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestRunFails(t *testing.T) {
	p, out := acting(t, "failing")
	err := p.Run(t.Context(), &workerd.Worker{Script: script(t, "")}, func(string) { t.Error("it listens") })
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(out.String(), "the script is bad") {
		t.Errorf("got %v: %s", err, out)
	}
	p.Path = filepath.Join(t.TempDir(), "missing")
	if err := p.Run(t.Context(), &workerd.Worker{Script: script(t, "")}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := p.Run(t.Context(), &workerd.Worker{Script: "missing"}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

const worker = `export default {
  async fetch(request, env) {
    await env.KV.put("k", "sent");
    return new Response("version 1: " + await env.KV.get("k"));
  },
};
`

// TestWorkerd has the real workerd run a Worker against a server that shows what
// it is asked.
func TestWorkerd(t *testing.T) {
	path, err := workerd.Find(".")
	if err != nil {
		t.Skip(err)
	}
	kv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == "PUT" && string(body) != "sent" {
			t.Errorf("put %q", body)
		}
		fmt.Fprint(w, r.Header.Get("Authorization"), ", ", r.Header.Get("Firn-Namespace"), ", ", r.URL.Path)
	}))
	defer kv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out strings.Builder
	p := &workerd.Program{Path: path, Output: &out}
	date, err := p.Date(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := workerd.Worker{
		Script: script(t, worker), Address: "127.0.0.1:0", CompatibilityDate: date,
		Server: kv.Listener.Addr().String(), Token: `t"\o`, Bindings: []workerd.Binding{{"KV", "é"}},
	}
	addr, ended := make(chan string, 8), make(chan error, 1)
	go func() { ended <- p.Run(ctx, &w, func(a string) { addr <- a }) }()
	select {
	case err := <-ended:
		t.Fatalf("%v\n%s", err, &out)
	case a := <-addr:
		want(t, a, `version 1: Bearer t"\o, é, /k`)
		if err := os.WriteFile(w.Script, []byte(strings.Replace(worker, "version 1", "version 2", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for answered := false; !answered; {
		select {
		case err := <-ended:
			t.Fatalf("%v\n%s", err, &out)
		case a := <-addr: // with port 0, each time another
			want(t, a, `version 2: Bearer t"\o, é, /k`)
			answered = true
		case <-time.After(time.Minute):
			t.Fatalf("the changed script does not run\n%s", &out)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

func want(t *testing.T, addr, text string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != text {
		t.Errorf("got %s %q, want %q", resp.Status, body, text)
	}
}
