package kill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/firnkv/firn/cmd/torture/internal/workload"
	"github.com/firnkv/firn/engine"
)

// ChildArg is the argument with which the program has to call [Child].
const ChildArg = "kill-child"

// order is what the parent wants of a child.
type order struct {
	Store   string
	Seed    uint64
	Now     int64       // second at which it begins
	Next    map[int]int // the next step of each writer that writes
	Compact bool        // everything, all the time
	Manual  bool        // nothing is compacted, so that recovery reads a long log from a checkpoint on
	Backup  string      // where to, all the time; empty: nowhere
}

// What the child reports, one a line.
const (
	reportOpen        = "open"
	reportAck         = "ack %d %d %s" // writer, step, and what compaction is doing
	reportBackupBegin = "backup begins"
	reportBackupEnd   = "backup ends"
	noCompaction      = "-"
)

// roundSeconds is how far a child's clock goes, at a second each tick of the real
// one. No pair that is written in a round expires in it.
const (
	roundSeconds = 10
	tick         = 50 * time.Millisecond
)

var expires = workload.Window{From: roundSeconds + 1, To: 8 * roundSeconds}

// options are those of the store, for child and parent.
func options(clock func() time.Time) *engine.Options {
	return &engine.Options{
		SegmentBytes: 64 << 10,
		CacheBytes:   1 << 20,
		Clock:        clock,
		Limits:       engine.Limits{MinTTL: time.Second},
		Logger:       slog.New(slog.DiscardHandler),
	}
}

// Child writes to a store until it is killed. It reads from in what to do.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return err
	}
	begin := time.Now()
	opts := options(func() time.Time {
		return time.Unix(o.Now+min(int64(time.Since(begin)/tick), roundSeconds-1), 0)
	})
	if o.Manual {
		opts.ManualCompaction, opts.SegmentBytes = true, 4<<20
	}
	store, err := engine.Open(o.Store, opts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &child{order: o, store: store, out: out, ctx: ctx, cancel: cancel}
	c.report(reportOpen)
	for w, n := range o.Next {
		c.run(func() error { return c.write(w, n) })
	}
	if o.Compact {
		c.run(func() error { return store.Compact(ctx) })
	}
	if o.Backup != "" {
		c.run(c.backup)
	}
	c.group.Wait()
	return errors.Join(context.Cause(ctx), store.Close())
}

type child struct {
	order
	store *engine.Store

	mu  sync.Mutex
	out io.Writer

	ctx    context.Context
	cancel context.CancelCauseFunc
	group  sync.WaitGroup
}

// run calls f over and over until somebody fails.
func (c *child) run(f func() error) {
	c.group.Go(func() {
		for c.ctx.Err() == nil {
			if err := f(); err != nil {
				c.cancel(err)
			}
		}
	})
}

// report tells the parent, in one call so that half a line can only be the last.
// If nobody listens any more, the process ends: the parent is gone.
func (c *child) report(format string, args ...any) {
	line := fmt.Appendf(nil, format+"\n", args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.out.Write(line); err != nil {
		os.Exit(1)
	}
}

func (c *child) write(writer, n int) error {
	for ; c.ctx.Err() == nil; n++ {
		step := workload.Plan(c.Seed, writer, n, c.Now, expires)
		if err := step.Do(c.ctx, c.store); err != nil {
			return fmt.Errorf("writer %d, step %d: %w", writer, n, err)
		}
		running := c.store.CompactionStats().Running
		if running == "" {
			running = noCompaction
		}
		c.report(reportAck, writer, n, running)
	}
	return nil
}

func (c *child) backup() error {
	c.report(reportBackupBegin)
	if _, err := c.store.Backup(c.ctx, c.Backup, nil); err != nil {
		return err
	}
	c.report(reportBackupEnd)
	return nil
}
