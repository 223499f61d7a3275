package main_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTwoProcesses has one process hold a namespace that another wants.
func TestTwoProcesses(t *testing.T) {
	f := newFirn(t)
	f.ok("kv", "namespace", "create", "other")
	f.ok("kv", "key", "put", "k", "v")
	in, out := io.Pipe()
	holder := f.command(in, "kv", "bulk", "put", "-")
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	// It opens the store when the first bytes come.
	io.WriteString(out, `{"key":"k","value":"new"}`)
	waitUntilHeld(t, f)
	f.fails(1, []string{`namespace "default" is in use`, f.dir}, "kv", "key", "put", "k", "late")
	f.ok("kv", "key", "put", "k", "v", "-n", "other")
	f.ok("kv", "namespace", "create", "third")
	out.Close()
	if err := holder.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := f.ok("kv", "key", "get", "k"); got != "new" {
		t.Errorf("got %q", got)
	}
}

func waitUntilHeld(t *testing.T, f firn) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; {
		time.Sleep(50 * time.Millisecond) // leaves the holder a chance to open it
		if r := f.run(nil, "kv", "key", "get", "k"); strings.Contains(r.err, "in use") {
			return
		}
	}
	t.Fatal("the namespace was never held")
}

// TestManyWriters has more processes write at once than can: they wait for
// each other.
func TestManyWriters(t *testing.T) { onBoth(t, testManyWriters) }

func testManyWriters(t *testing.T, f firn) {
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() { f.ok("kv", "key", "put", fmt.Sprint(i), "v") })
	}
	wg.Wait()
	if got := names(t, f.ok("kv", "key", "list")); len(got) != 6 {
		t.Errorf("got %q", got)
	}
}

// TestPipelines has both ends of a pipe work on one namespace, with more
// between them than the pipe holds.
func TestPipelines(t *testing.T) { onBoth(t, testPipelines) }

func testPipelines(t *testing.T, f firn) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	f.okWith(lines(films()), "kv", "bulk", "put", "-")
	pipe := func(line string) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(line, "firn ", "'"+program+"' "))
		cmd.Env = f.environment()
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, &errOut)
		}
		return string(out)
	}
	got := decode[map[string]any](t, pipe("firn kv key list | firn kv bulk get -"))
	if len(got) != len(films()) {
		t.Errorf("got %d pairs", len(got))
	}
	pipe("firn kv key get 'film/00049 é' | firn kv key put copy --path -")
	if got := f.ok("kv", "key", "get", "copy"); got != films()[49].Value {
		t.Errorf("copied %q", got)
	}
	pipe("firn kv key list --prefix film/ | firn kv bulk delete -")
	if got := names(t, f.ok("kv", "key", "list")); len(got) != 1 {
		t.Errorf("%d keys are left", len(got))
	}
}

// TestInterrupt stops a bulk write that waits for input: what it has written
// stays, and it says how much that is.
func TestInterrupt(t *testing.T) { onBoth(t, testInterrupt) }

func testInterrupt(t *testing.T, f firn) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	f.ok("kv", "key", "put", "k", "v")
	in, out := io.Pipe()
	defer out.Close()
	cmd := f.command(nil, "kv", "bulk", "put", "-", "--json")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(stdin, in)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(out, lines(films()[:12_000]))
	if f.url == "" {
		waitUntilHeld(t, f)
		time.Sleep(500 * time.Millisecond) // for the first batch; less only makes the test weaker
	}
	for f.url != "" && f.ok("kv", "key", "list", "--prefix", "film/", "--limit", "1") == "[]\n" {
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	if !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("got %s", &stderr)
	}
	said := decode[struct{ Pairs int }](t, stdout.String()).Pairs
	if got := len(names(t, f.ok("kv", "key", "list", "--prefix", "film/"))); got != said {
		t.Errorf("said %d pairs, wrote %d", said, got)
	}
}

// TestInterruptCompact stops a compaction: nothing is lost, and it can be done
// again.
func TestInterruptCompact(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	f := newFirn(t)
	seed := rand.Uint64()
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	all := make([]film, 20_000) // takes longer to compact than to interrupt
	noise := make([]byte, 600)
	for i := range all {
		for j := range noise {
			noise[j] = byte(rng.Uint32())
		}
		all[i] = film{fmt.Sprint(i), hex.EncodeToString(noise), nil}
	}
	f.okWith(lines(all), "kv", "bulk", "put", "-")
	cmd := f.command(nil, "compact", "-n", "default")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for len(ended) == 0 && !strings.Contains(f.run(nil, "kv", "key", "get", "x").err, "in use") {
	}
	cmd.Process.Signal(os.Interrupt)
	if err := <-ended; err == nil {
		t.Log("it was done before it could be interrupted")
	} else if cmd.ProcessState.ExitCode() != 1 || stderr.String() != "firn: interrupted\n" {
		t.Errorf("ended with %v: %s", err, &stderr)
	}
	f.ok("verify")
	if got := names(t, f.ok("kv", "key", "list")); len(got) != len(all) {
		t.Errorf("%d keys are left", len(got))
	}
	f.ok("compact")
	f.ok("verify")
}
