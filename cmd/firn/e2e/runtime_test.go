package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

// workerd runs a directory of modules, main.js first, with its binding KV on
// the namespace that id names, and returns the Worker's address.
func workerd(t testing.TB, modules, worker string, server *firn, id string) string {
	t.Helper()
	config := workerdConfig{Addr: server.addr, CA: server.ca, Namespace: id, Token: token}
	files, err := os.ReadDir(worker)
	if err != nil {
		t.Fatal(err)
	}
	config.Modules = append(config.Modules, "main.js")
	for _, file := range files {
		if file.Name() != "main.js" {
			config.Modules = append(config.Modules, file.Name())
		}
	}
	dir := t.TempDir()
	for _, name := range config.Modules {
		data, err := os.ReadFile(filepath.Join(worker, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if config.CA != "" {
		if err := os.Symlink(config.CA, filepath.Join(dir, "ca.pem")); err != nil {
			t.Fatal(err)
		}
	}
	var text strings.Builder
	if err := workerdTemplate.Execute(&text, config); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.capnp")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}

	// workerd tells the port that it was given on a descriptor of our choice.
	events, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	binary, err := run(exec.CommandContext(soon(t), "node", "-p", "require(process.argv[1]).default",
		filepath.Join(modules, "node_modules", "workerd")))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(strings.TrimSpace(binary), "serve", "--control-fd=3", path)
	cmd.ExtraFiles = []*os.File{write}
	p := start(t, cmd, nil)
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	return "http://127.0.0.1:" + listening(t, p, events)
}

type workerdConfig struct {
	Addr, CA, Namespace, Token string
	Modules                    []string
}

var workerdTemplate = template.Must(template.New("config.capnp").Parse(`using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "kv", external = (address = "{{.Addr}}",
{{- if .CA}}
      https = (options = .headers, tlsOptions = (trustedCertificates = [embed "ca.pem"])))),
{{- else}}
      http = .headers)),
{{- end}}
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const headers :Workerd.HttpOptions = (injectRequestHeaders = [
  (name = "Firn-Namespace", value = "{{.Namespace}}"),
  (name = "Authorization", value = "Bearer {{.Token}}"),
]);

const worker :Workerd.Worker = (
  modules = [
{{- range .Modules}}
    (name = "{{.}}", esModule = embed "{{.}}"),
{{- end}}
  ],
  compatibilityDate = "2026-04-01",
  bindings = [
    (name = "KV", kvNamespace = "kv"),
    (name = "TARGET", text = "firn"),
  ],
);
`))

// listening waits for the event that names the port of the socket.
func listening(t testing.TB, p *process, events io.Reader) string {
	t.Helper()
	lines := bufio.NewScanner(events)
	for lines.Scan() {
		var event struct {
			Event, Socket string
			Port          int
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("workerd: %q: %v", lines.Text(), err)
		}
		if event.Event == "listen" && event.Socket == "http" {
			return fmt.Sprint(event.Port)
		}
	}
	t.Fatalf("workerd does not listen\n%s", p.output.String())
	return ""
}

// simulator runs a Worker on the official local simulator, which keeps its
// data in dir, and returns the Worker's address.
func simulator(t testing.TB, modules, worker, dir string) string {
	t.Helper()
	cmd := exec.Command("node", script(t, "simulator.mjs"), modules, worker, dir)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stdout output
	cmd.Stdout = &stdout
	p := start(t, cmd, func(*exec.Cmd) error { return stdin.Close() })
	p.await(t, "an address", func() bool { return strings.HasSuffix(stdout.String(), "\n") })
	return strings.TrimRight(stdout.String(), "/\n")
}
