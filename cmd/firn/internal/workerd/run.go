package workerd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

// endPatience is how long workerd may take to end when it is told to.
const endPatience = 5 * time.Second

// Program is workerd itself.
type Program struct {
	Path   string
	Output io.Writer // of the Worker and of workerd
}

var versionDate = regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}\b`)

// Date returns the newest day whose behaviour the program has: it carries its
// day as a version.
func (p *Program) Date(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, p.Path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", p.Path, err)
	}
	date := versionDate.Find(out)
	if date == nil {
		return "", fmt.Errorf("%s --version says no date: %q", p.Path, out)
	}
	return string(date), nil
}

// Run runs a Worker until ctx ends, and returns nil then, or until workerd ends
// by itself, which is an error. A change of the script takes effect at once. The
// address of the Worker is passed to listening once it answers.
func (p *Program) Run(ctx context.Context, w *Worker, listening func(addr string)) (err error) {
	dir, err := os.MkdirTemp("", "firn-dev-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path, err := w.writeFile(dir)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, p.Path, "serve", "--watch", path)
	cmd.Stdout, cmd.Stderr = p.Output, p.Output
	cmd.Cancel = func() error { return end(cmd.Process) }
	cmd.WaitDelay = endPatience
	ended, err := p.start(cmd, w, listening)
	if err != nil {
		return err
	}
	err = cmd.Wait()
	ended()
	if interrupted(ctx) {
		return nil
	}
	if err == nil {
		err = errors.New("it ended by itself")
	}
	return fmt.Errorf("%s: %w", p.Path, err)
}

// interrupted reports whether ctx has ended, or is about to: a terminal
// interrupts this process and workerd at once, and workerd may be the first to
// see it.
func interrupted(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	case <-time.After(100 * time.Millisecond):
		return false
	}
}

// start starts workerd, and listens to what it says of its port, until ended is
// called.
func (p *Program) start(cmd *exec.Cmd, w *Worker, listening func(string)) (ended func(), err error) {
	if runtime.GOOS == "windows" { // where a process inherits no files
		listening(w.Address)
		return func() {}, cmd.Start()
	}
	events, control, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{control}
	cmd.Args = slices.Insert(cmd.Args, 2, "--control-fd=3")
	err = cmd.Start()
	control.Close()
	if err != nil {
		events.Close()
		return nil, err
	}
	var listener sync.WaitGroup
	listener.Go(func() { listen(events, w.Address, listening) })
	return func() {
		events.Close()
		listener.Wait()
	}, nil
}

// listen reads what workerd says until that ends.
func listen(events io.Reader, address string, listening func(string)) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	last := ""
	for lines := bufio.NewScanner(events); lines.Scan(); {
		var event struct {
			Event, Socket string
			Port          int
		}
		if json.Unmarshal(lines.Bytes(), &event) != nil || event.Event != "listen" {
			continue
		}
		// After a change of the script it listens again.
		if addr := net.JoinHostPort(host, strconv.Itoa(event.Port)); addr != last {
			listening(addr)
			last = addr
		}
	}
}

// end asks a process to end.
func end(p *os.Process) error {
	if runtime.GOOS == "windows" {
		return p.Kill()
	}
	return p.Signal(os.Interrupt)
}
