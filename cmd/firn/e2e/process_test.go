package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience is how long a program may take to start or to stop. The tests wait
// for what it says, so only a failure takes that long.
const patience = 30 * time.Second

// process is a program that runs beside a test. It ends with the test at the
// latest.
type process struct {
	cmd    *exec.Cmd
	output output // standard error, shown if the test fails
	exited chan struct{}
	err    error // of Wait, once exited is closed
	stop   func(*exec.Cmd) error
}

// start runs cmd; stop asks it to end, nil for one that may simply be killed.
func start(t testing.TB, cmd *exec.Cmd, stop func(*exec.Cmd) error) *process {
	t.Helper()
	p := &process{cmd: cmd, stop: stop, exited: make(chan struct{})}
	cmd.Stderr = &p.output
	endWithTests(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		if err := p.end(); err != nil {
			t.Errorf("%s: %v", cmd.Path, err)
		}
		if t.Failed() {
			t.Logf("%s wrote:\n%s", cmd.Path, p.output.String())
		}
	})
	return p
}

// end asks the process to end, waits for it, and says how it ended. A process
// that does not listen is killed.
func (p *process) end() error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if p.stop == nil {
		return p.kill()
	}
	if err := p.stop(p.cmd); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return p.err
	case <-time.After(patience):
		err := p.kill()
		return errors.Join(errors.New("killed, since it did not stop when asked to"), err)
	}
}

// kill ends the process as a crash would.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.exited
	return err
}

// await polls ready until it succeeds.
func (p *process) await(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ready(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-p.exited:
			t.Fatalf("%s ended before %s: %v\n%s", p.cmd.Path, what, p.err, p.output.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: no %s after %v", p.cmd.Path, what, patience)
		}
	}
}

func interrupt(cmd *exec.Cmd) error { return cmd.Process.Signal(os.Interrupt) }

// output collects what a process writes while others look at it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*output)(nil)

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
