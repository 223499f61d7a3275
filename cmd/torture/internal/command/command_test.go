package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firnkv/firn/cmd/torture/internal/kill"
	"github.com/firnkv/firn/cmd/torture/internal/soak"
)

// TestMain is also the child that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == kill.ChildArg {
		os.Exit(Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// passes runs a command that has to find no violation, and to leave nothing.
func passes(t *testing.T, args ...string) (out string) {
	t.Helper()
	dir := t.TempDir()
	args = append(args, "--dir", dir)
	if seed := os.Getenv("FIRN_SEED"); seed != "" {
		args = append(args, "--seed", seed)
	}
	var stdout, stderr bytes.Buffer
	if status := Run(args, strings.NewReader(""), &stdout, &stderr); status != 0 {
		t.Fatalf("torture %q: status %d\n%s%s", args, status, &stdout, &stderr)
	}
	t.Logf("%s", &stdout)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
	return stdout.String()
}

func TestKill(t *testing.T) {
	out := passes(t, "kill", "--rounds", "5")
	if !strings.Contains(out, "5 rounds: ") || !strings.Contains(out, "\n0 violations\n") {
		t.Errorf("got %s", out)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, line := range []string{"kil", "kill 5", "", "kill --rounds x"} {
		var stdout, stderr bytes.Buffer
		if status := Run(strings.Fields(line), strings.NewReader(""), &stdout, &stderr); status != 1 || stderr.Len() == 0 {
			t.Errorf("torture %s: status %d, %q", line, status, &stderr)
		}
	}
}

func TestSoak(t *testing.T) {
	out := passes(t, "soak", "--steps", "8", "--json")
	var report soak.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if report.Steps != 8 || report.Violations != 0 || len(report.Counts) == 0 {
		t.Errorf("got %s", out)
	}
}

// TestChildFails: a child that cannot do what it is told is a violation.
func TestChildFails(t *testing.T) {
	dir := t.TempDir()
	store := filepath.Join(dir, "store")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(store, "foreign"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for run := kill.New(dir, 1); ; {
		err := run.Round(t.Context())
		if err == nil {
			continue // it was killed before it could open the store
		}
		if !strings.Contains(err.Error(), "not a store") {
			t.Error(err)
		}
		return
	}
}
