package kill

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// moment says when a child is killed.
type moment struct {
	on    trigger
	acks  int // that have to come before
	delay time.Duration
}

type trigger int

const (
	onStart      trigger = iota // while it opens the store, maybe
	onAck                       // once there were so many
	onCompaction                // once it is at work
	onBackup                    // once one has begun
)

// pick returns a random moment, such that a round takes less than a second on an
// idle machine.
func pick(rng *rand.Rand, o *order) moment {
	m := moment{acks: 1 + rng.IntN(12*len(o.Next)), delay: time.Duration(rng.IntN(6000)) * time.Microsecond}
	switch k := rng.IntN(16); {
	case k < 2:
		return moment{delay: time.Duration(rng.IntN(120)) * time.Millisecond}
	case k < 7 && o.Backup != "":
		m.on = onBackup
	case k < 11 && !o.Manual:
		m.on = onCompaction
	case k < 13:
		m.on = onAck
		m.delay = time.Duration(rng.IntN(500)) * time.Millisecond
	default:
		m.on = onAck
	}
	return m
}

// patience is how many acknowledgements a moment waits for its trigger.
const patience = 4000

// witness is what the parent has heard of a child.
type witness struct {
	opened     bool
	acks       int
	compacting bool // when it was last heard of
	backingUp  bool
}

func (m moment) come(w *witness) bool {
	if m.on == onStart || w.acks < m.acks {
		return false
	}
	return m.on == onAck || m.on == onCompaction && w.compacting || m.on == onBackup && w.backingUp || w.acks >= patience
}

// stall is how long a child may say nothing.
const stall = 3 * time.Minute

// observe runs a child until the moment has come, kills it, and calls hear with each
// line that it has written until then. It is an error if the child ends by itself.
func observe(ctx context.Context, o *order, m moment, w *witness, hear func(line string) error) error {
	spec, err := json.Marshal(o)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd := exec.Command(program, ChildArg)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(spec), &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var killed, stalled atomic.Bool
	kill := func() {
		killed.Store(true)
		_ = cmd.Process.Kill() // fails if it has ended, and then it has said why
	}
	defer context.AfterFunc(ctx, kill)()
	watchdog := time.AfterFunc(stall, func() { stalled.Store(true); kill() })
	defer watchdog.Stop()
	var timer *time.Timer
	if m.on == onStart {
		timer = time.AfterFunc(m.delay, kill)
	}
	err = listen(out, func(line string) error {
		watchdog.Reset(stall)
		err := hear(line)
		if err == nil && timer == nil && m.come(w) {
			timer = time.AfterFunc(m.delay, kill)
		}
		return err
	})
	byItself := !killed.Load()
	if err != nil {
		kill()
	}
	_ = cmd.Wait() // that it was killed is no news
	if timer != nil {
		timer.Stop()
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case stalled.Load():
		return fmt.Errorf("the child has said nothing for %v: %s", stall, said.String())
	case byItself || said.Len() > 0:
		return fmt.Errorf("the child ended by itself: %v: %s", cmd.ProcessState, strings.TrimSpace(said.String()))
	}
	return nil
}

// listen calls hear with all whole lines.
func listen(out io.Reader, hear func(string) error) error {
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = hear(strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			return err
		}
	}
}
