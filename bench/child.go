package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/bench/machine"
)

// order is what a process of its own is told to do, on its standard input. It
// answers with a line and waits to be killed, so that nothing is closed.
type order struct {
	Task   string       `json:"task"`
	Engine string       `json:"engine"`
	Dir    string       `json:"dir"`
	Data   dataset.Spec `json:"data"`
}

const (
	taskFill   = "fill"   // fill a store; the answer is empty
	taskMemory = "memory" // open a store; the answer is by how many bytes that makes the process grow
)

// Child does what a [Run] with the same engines asks for on in, another process's
// standard input, and answers on out. It returns when in ends.
func Child(ctx context.Context, engines []Engine, in io.Reader, out io.Writer) error {
	lines := json.NewDecoder(in)
	var o order
	if err := lines.Decode(&o); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	for _, e := range engines {
		if e.Name != o.Engine {
			continue
		}
		s, answer, err := o.do(ctx, e)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, answer)
		_, err = io.Copy(io.Discard, in)
		return closing(s, err)
	}
	return fmt.Errorf("there is no engine %q", o.Engine)
}

func (o *order) do(ctx context.Context, e Engine) (s Store, answer string, err error) {
	before := residentAfterGC()
	s, err = e.Open(o.Dir, Options{Writers: 1})
	if err != nil {
		return nil, "", err
	}
	switch o.Task {
	case taskMemory:
		return s, fmt.Sprint(residentAfterGC() - before), nil
	case taskFill:
		d, err := o.Data.New()
		if err == nil {
			err = Fill(ctx, s, d, 1)
		}
		if err == nil {
			err = s.Sync() // or the kill takes the last puts along
		}
		if err == nil {
			return s, "", nil
		}
		return nil, "", closing(s, err)
	}
	return nil, "", closing(s, fmt.Errorf("unknown task %q", o.Task))
}

func residentAfterGC() int64 {
	runtime.GC()
	debug.FreeOSMemory()
	return machine.ResidentBytes()
}

// child has a process carry out an order, kills it, and returns its answer.
func (r *runner) child(ctx context.Context, o order) (answer string, err error) {
	if len(r.config.Child) == 0 {
		return "", skipped("it needs a process of its own")
	}
	text, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, r.config.Child[0], r.config.Child[1:]...)
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	_, _ = in.Write(append(text, '\n')) // if it does not read that, it does not answer either
	answer, err = bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // says that it was killed
	if err != nil {
		return "", fmt.Errorf("%s in a process of its own: %w: %s", o.Task, err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSuffix(answer, "\n"), nil
}
