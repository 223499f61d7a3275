package main_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

var answersAt = regexp.MustCompile(`answers at (http://\S+)\n`)

// TestDev runs a Worker until it is interrupted.
func TestDev(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	workerd := realWorkerd(t)
	f := newFirn(t)
	script := filepath.Join(t.TempDir(), "worker.js")
	text := `export default { fetch(request, env) { return new Response(Object.keys(env).sort().join()) } }`
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := f.command(nil, "dev", script, "--addr", "127.0.0.1:0", "--workerd", workerd, "--bind", "A=default", "--bind", "B=b")
	log := &shared{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var match []string
	for match == nil {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s", err, log)
		case <-time.After(10 * time.Millisecond):
			match = answersAt.FindStringSubmatch(log.String())
		}
	}
	resp, err := (&http.Client{Timeout: patience}).Get(match[1])
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "A,B" {
		t.Errorf("got %q\n%s", body, log)
	}
	cmd.Process.Signal(os.Interrupt)
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v\n%s", err, log)
	}
	if _, err := (&http.Client{Timeout: patience}).Get(match[1]); err == nil {
		t.Error("the Worker is still there")
	}
	all := decode[[]struct{ Title string }](t, f.ok("kv", "namespace", "list", "--json"))
	if len(all) != 2 || all[0].Title != "b" || all[1].Title != "default" {
		t.Errorf("got %v", all)
	}
}

// realWorkerd returns the path of workerd, which npm installs.
func realWorkerd(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("FIRN_WORKERD"), "node_modules/.bin/workerd", "e2e/node_modules/.bin/workerd", "workerd"} {
		if path, err := exec.LookPath(name); err == nil {
			if path, err = filepath.Abs(path); err == nil {
				return path
			}
		}
	}
	t.Skip("there is no workerd: set FIRN_WORKERD, or npm install workerd")
	return ""
}

func TestDevFails(t *testing.T) {
	f := newFirn(t)
	script := write(t, "export default {}")
	f.fails(1, []string{"missing.js"}, "dev", "missing.js")
	f.fails(1, []string{"nowhere"}, "dev", script, "--workerd", filepath.Join(t.TempDir(), "nowhere"))
	cmd := f.command(nil, "dev", script)
	cmd.Env = append(cmd.Env, "PATH=")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "npm install workerd") {
		t.Errorf("got %v, %s", err, out)
	}
	if _, err := os.Stat(f.dir); err == nil {
		t.Error("it made a data directory")
	}
}
