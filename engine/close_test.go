package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// randomValue returns bytes that do not compress.
func randomValue(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// A value that is still being streamed in when the store is closed must not write
// where the next opener writes.
func TestStreamDoesNotOutliveClose(t *testing.T) {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	first, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- first.PutReader(ctx, "slow", r, nil) }()
	// The write returns when the second chunk has been begun.
	if _, err := w.Write(randomValue(rng, 200<<10)); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	value := randomValue(rng, 300<<10)
	if err := second.Put(ctx, "large", value, nil); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = w.Write(randomValue(rng, 300<<10))
		_ = w.Close()
	}()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("stream into a closed store: %v", err)
	}
	_ = r.Close()
	if got, err := second.Get(ctx, "large"); err != nil || !bytes.Equal(got, value) {
		t.Fatalf("value of the next opener: %v", err)
	}
}

// A writer that waits for the next log segment while the store is closed must not
// slip in behind Close.
func TestNoWriteBehindClose(t *testing.T) {
	ctx := context.Background()
	s, err := Open(t.TempDir(), &Options{SegmentBytes: minSegmentBytes})
	if err != nil {
		t.Fatal(err)
	}
	c := &s.committer
	s.background.halt() // it has a part here, which the test plays
	// As if the background made a segment while a full group is being written.
	c.mu.Lock()
	c.making = true
	c.ahead += minSegmentBytes
	c.mu.Unlock()
	done := make(chan error, 1)
	passed := make(chan struct{})
	go func() { done <- s.Put(&admitted{Context: ctx, passed: passed}, "late", []byte("1"), nil) }()
	<-passed
	c.mu.Lock() // which the writer gives up only to wait
	c.ahead -= minSegmentBytes
	c.failed = ErrClosed
	c.room.Broadcast()
	c.mu.Unlock()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("put behind close: %v", err)
	}
	c.mu.Lock()
	c.failed, c.making = nil, false
	c.mu.Unlock()
	s.background.halting.Store(false)
	s.background.start(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// admitted is a context that tells when a commit asks for its error, which it does
// with the committer's lock held.
type admitted struct {
	context.Context
	asked  int
	passed chan struct{}
}

func (a *admitted) Err() error {
	if a.asked++; a.asked == 2 { // first by Put, then by the commit
		close(a.passed)
	}
	return nil
}

// Any failed sync makes the store read-only: also one of the manifest, of a new
// segment or of the directory, on the way of a large value.
func TestFailedSyncOnTheWayOfALargeValue(t *testing.T) {
	for _, what := range []string{manifestName, segmentName(2), "directory"} {
		t.Run(what, func(t *testing.T) {
			ctx := context.Background()
			fault := vfs.NewFault(vfs.NewMem())
			s, err := Open("/store", &Options{fs: fault})
			if err != nil {
				t.Fatal(err)
			}
			var hit atomic.Bool
			fault.SetHook(func(op vfs.Op) error {
				match := op.Kind == vfs.KindSync && strings.Contains(op.Name, what) ||
					op.Kind == vfs.KindSyncDir && what == "directory"
				if match && hit.CompareAndSwap(false, true) {
					return syscall.EIO
				}
				return nil
			})
			if err := s.Put(ctx, "large", make([]byte, largeFrom), nil); !errors.Is(err, ErrReadOnly) {
				t.Errorf("put: %v", err)
			}
			if err := s.Put(ctx, "small", nil, nil); !errors.Is(err, ErrReadOnly) || !hit.Load() {
				t.Errorf("put after it: %v", err)
			}
			if err := s.Close(); !errors.Is(err, ErrReadOnly) {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// Many streams at once may need several value segments; those are used again.
func TestValueSegmentsAreUsedAgain(t *testing.T) {
	ctx := context.Background()
	s, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var counts []int
	for range 3 {
		var streams sync.WaitGroup
		var writers []*io.PipeWriter
		for i := range 60 {
			r, w := io.Pipe()
			writers = append(writers, w)
			streams.Go(func() {
				if err := s.PutReader(ctx, fmt.Sprint(i), r, nil); err != nil {
					t.Error(err)
				}
			})
		}
		for _, w := range writers { // all of them have begun when this is through
			_, _ = w.Write(make([]byte, largeFrom+1))
		}
		for _, w := range writers {
			_ = w.Close()
		}
		streams.Wait()
		counts = append(counts, len(s.segs.all()))
	}
	if counts[2] != counts[0] {
		t.Errorf("segments after each burst of streams: %v", counts)
	}
}

// With a full table of segments, nothing is listed in the manifest that the next
// open could not open.
func TestFullSegmentTable(t *testing.T) {
	s, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	table := s.segs.bySlot.Load()
	full := make([]*seg, maxSegments+1)
	for i := range full {
		full[i] = (*table)[1]
	}
	s.segs.bySlot.Store(&full)
	listed := len(s.manifest.state.segments)
	if err := s.Put(context.Background(), "large", make([]byte, largeFrom), nil); !errors.Is(err, errTooManySegments) {
		t.Errorf("put: %v", err)
	}
	if n := len(s.manifest.state.segments); n != listed {
		t.Errorf("%d segments listed, there were %d", n, listed)
	}
	s.segs.bySlot.Store(table)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Without SyncAlways, what was acknowledged but found no room is written when
// there is room, without anybody calling.
func TestStalledFramesAreRetried(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	fault := vfs.NewFault(mem)
	s, err := Open("/store", &Options{fs: fault, Sync: SyncNever})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	failed, written := make(chan struct{}), make(chan struct{})
	var fails, writes sync.Once
	var room atomic.Bool
	fault.SetHook(func(op vfs.Op) error {
		if op.Kind != vfs.KindWrite && op.Kind != vfs.KindPreallocate {
			return nil
		}
		if room.Load() {
			writes.Do(func() { close(written) })
			return nil
		}
		fails.Do(func() { close(failed) })
		return syscall.ENOSPC
	})
	if err := s.Put(ctx, "a", []byte("1"), nil); err != nil {
		t.Fatal(err)
	}
	<-failed
	room.Store(true)
	<-written
}
