package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	_ "github.com/firnkv/firn/cmd/firn/internal/command" // so that results are not cached when it has changed
)

// program is the binary under test.
var program string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "firn-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "firn")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
		return 1
	}
	return m.Run()
}

// firn runs the binary on a data directory of its own, or on a server.
type firn struct {
	t   *testing.T
	dir string
	url string // empty: on the data directory
}

func newFirn(t *testing.T) firn {
	t.Parallel()
	return firn{t: t, dir: filepath.Join(t.TempDir(), "data")}
}

// onBoth runs a test on a data directory and on a server, which have to behave alike.
func onBoth(t *testing.T, test func(*testing.T, firn)) {
	t.Run("directory", func(t *testing.T) { test(t, newFirn(t)) })
	t.Run("server", func(t *testing.T) {
		f := newFirn(t)
		f.url = "http://" + f.serve().addr
		test(t, f)
	})
}

// environment is that of the binary.
func (f firn) environment() []string {
	env := append(os.Environ(), "FIRN_TOKEN=", "FIRN_ACCOUNT=", "FIRN_CA_FILE=", "FIRN_URL="+f.url)
	if f.url != "" {
		return append(env, "FIRN_DIR=")
	}
	return append(env, "FIRN_DIR="+f.dir)
}

// patience is far more than any command of these tests takes.
const patience = 2 * time.Minute

func (f firn) command(in io.Reader, args ...string) *exec.Cmd {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	f.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = f.environment()
	cmd.Stdin = in
	return cmd
}

type result struct {
	out, err string
	status   int
}

func (f firn) run(in io.Reader, args ...string) result {
	f.t.Helper()
	var out, errOut bytes.Buffer
	cmd := f.command(in, args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		f.t.Fatalf("firn %q: %v", args, err)
	}
	return result{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
}

// ok runs a command that has to succeed, and returns its standard output.
func (f firn) ok(args ...string) string {
	f.t.Helper()
	return f.okWith("", args...)
}

func (f firn) okWith(in string, args ...string) string {
	f.t.Helper()
	r := f.run(strings.NewReader(in), args...)
	if r.status != 0 {
		f.t.Fatalf("firn %q: status %d\n%s", args, r.status, r.err)
	}
	return r.out
}

// fails runs a command that has to end with status, without a result, and
// with every one of words on standard error.
func (f firn) fails(status int, words []string, args ...string) {
	f.t.Helper()
	f.failsWith(nil, status, words, args...)
}

func (f firn) failsWith(in io.Reader, status int, words []string, args ...string) {
	f.t.Helper()
	r := f.run(in, args...)
	if r.status != status || r.out != "" {
		f.t.Errorf("firn %q: status %d, want %d; standard output %q, want none\n%s", args, r.status, status, r.out, r.err)
	}
	for _, word := range words {
		if !strings.Contains(r.err, word) {
			f.t.Errorf("firn %q: no %q in %s", args, word, r.err)
		}
	}
}

// decode decodes a JSON result.
func decode[T any](t *testing.T, s string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%v in %q", err, s)
	}
	return v
}

// names returns the names in the output of list.
func names(t *testing.T, list string) []string {
	t.Helper()
	names := []string{}
	for _, key := range decode[[]struct{ Name string }](t, list) {
		names = append(names, key.Name)
	}
	return names
}

func write(t *testing.T, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
