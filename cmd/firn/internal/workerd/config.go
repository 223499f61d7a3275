package workerd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

// Worker is a Worker and what is bound to it.
type Worker struct {
	Script            string // path of an ES module
	Address           string // where the Worker answers
	CompatibilityDate string // the day whose behaviour of the runtime it expects

	Server   string // address of the server, HOST:PORT or unix:PATH
	Token    string // for the server
	Bindings []Binding
}

// Binding is a namespace under a name in the environment of a Worker.
type Binding struct {
	Name      string
	Namespace string // id or title
}

// isIdentifier matches what a Worker can write after "env.".
var isIdentifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`).MatchString

// ParseBinding reads NAME=NAMESPACE.
func ParseBinding(s string) (Binding, error) {
	name, namespace, found := strings.Cut(s, "=")
	switch {
	case !found || namespace == "":
		return Binding{}, fmt.Errorf("binding %q is not NAME=NAMESPACE", s)
	case !isIdentifier(name):
		return Binding{}, fmt.Errorf("binding %q: %q is not a name in JavaScript", s, name)
	}
	return Binding{name, namespace}, nil
}

// The values are written as texts of Cap'n Proto, whose escapes are those of C.
var config = template.Must(template.New("").Funcs(template.FuncMap{"text": text}).Parse(
	`using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
{{- range .Bindings}}
    (name = {{text (print "kv:" .Name)}}, external = (address = {{text $.Server}}, http = (injectRequestHeaders = [
      (name = "Authorization", value = {{text (print "Bearer " $.Token)}}),
      (name = "Firn-Namespace", value = {{text .Namespace}}),
    ]))),
{{- end}}
  ],
  sockets = [(name = "http", address = {{text .Address}}, http = (), service = "worker")],
);

const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed {{text .Script}})],
  compatibilityDate = {{text .CompatibilityDate}},
  bindings = [
{{- range .Bindings}}
    (name = {{text .Name}}, kvNamespace = {{text (print "kv:" .Name)}}),
{{- end}}
  ],
);
`))

// write writes the configuration of a Worker.
func (w *Worker) write(to io.Writer) error { return config.Execute(to, w) }

// writeFile writes the configuration into dir, and returns its path. Only the
// user may read it, for it has the token.
func (w *Worker) writeFile(dir string) (string, error) {
	script, err := filepath.Abs(w.Script)
	if err != nil {
		return "", err
	}
	// Cap'n Proto takes paths relative to the file; those with a slash in front
	// it looks for among its libraries. dir must not be a symbolic link then.
	if script, err = filepath.EvalSymlinks(script); err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	c := *w
	if c.Script, err = filepath.Rel(dir, script); err != nil {
		return "", err
	}
	c.Script = filepath.ToSlash(c.Script)
	path := filepath.Join(dir, "config.capnp")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	err = c.write(file)
	if closing := file.Close(); err == nil {
		err = closing
	}
	return path, err
}

// text returns s as a text of Cap'n Proto. Bytes that are not printable ASCII
// are escaped one by one, so that UTF-8 arrives as it is.
func text(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
