package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	killDirEnv    = "FIRN_KILL_DIR"
	killRoundsEnv = "FIRN_KILL_ROUNDS"
	killWriters   = 16
)

func killOptions() *Options {
	return &Options{SegmentBytes: 256 << 10, Logger: slog.New(slog.DiscardHandler)}
}

// killStep returns what a writer writes as its step n. Each writer has keys of
// its own.
func killStep(seed uint64, writer, n int) []modelWrite {
	rng := rand.New(rand.NewPCG(seed, uint64(writer)<<32|uint64(n)))
	one := func() modelWrite {
		key := fmt.Sprintf("%02d/%d", writer, rng.IntN(12))
		size := rng.IntN(500)
		switch rng.IntN(40) {
		case 0:
			size = largeFrom + rng.IntN(200<<10)
		case 1, 2, 3:
			size = rng.IntN(20 << 10)
		case 4, 5, 6, 7, 8:
			return modelWrite{key: key}
		}
		return modelWrite{key, newModelPair(key, poolValue(rng, size), "", 0)}
	}
	writes := []modelWrite{one()}
	if rng.IntN(4) == 0 {
		for range 1 + rng.IntN(30) {
			writes = append(writes, one())
		}
	}
	return writes
}

// TestKill kills a process that writes, with one writer or many, at a random
// moment, over and over on the same store. What the process told of as written
// has to be there; of the writes that it was about to tell of, each is there as
// a whole or not at all.
func TestKill(t *testing.T) {
	if os.Getenv(killDirEnv) != "" {
		killChild(t)
		return
	}
	seed := testSeed(t)
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	if v := os.Getenv(killRoundsEnv); v != "" {
		var err error
		if rounds, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	k := &killRun{dir: t.TempDir(), seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
	for range killWriters {
		k.histories = append(k.histories, newHistory())
		k.next = append(k.next, 0)
	}
	for round := range rounds {
		writers := killWriters
		if round%3 == 1 {
			writers = 1
		}
		if err := k.round(writers, round%2 == 0); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	t.Logf("%d rounds, %d writes acknowledged", rounds, k.acked)
}

// killRun is what the parent knows.
type killRun struct {
	dir       string
	seed      uint64
	rng       *rand.Rand
	histories []*history // by writer
	next      []int      // number of the writer's next step
	acked     int
}

// round has a process write until it is killed, and checks what it left. If
// readOnly is set, recovery is left to the next process.
func (k *killRun) round(writers int, readOnly bool) error {
	if err := k.kill(writers); err != nil {
		return err
	}
	opts := killOptions()
	opts.ReadOnly = readOnly
	s, err := Open(k.dir, opts)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx := context.Background()
	got, err := readContents(ctx, s)
	if err != nil {
		return err
	}
	var want Usage
	for w, h := range k.histories {
		if err := k.settle(got, w); err != nil {
			return fmt.Errorf("writer %d: %w", w, err)
		}
		u := h.usage(got.now)
		want.Keys += u.Keys
		want.Bytes += u.Bytes
		want.Garbage.Overwritten.Records += u.Garbage.Overwritten.Records
		want.Garbage.Overwritten.Bytes += u.Garbage.Overwritten.Bytes
		want.Garbage.Deleted.Records += u.Garbage.Deleted.Records
		want.Garbage.Deleted.Bytes += u.Garbage.Deleted.Bytes
	}
	if !agreesCompacted(got.usage, want) {
		return fmt.Errorf("usage %+v, want %+v", got.usage, want)
	}
	if err := checkVerify(ctx, s); err != nil {
		return err
	}
	return s.Close()
}

// settle finds out whether the step that a writer was about to do is there.
func (k *killRun) settle(got *contents, w int) error {
	var sum uint64
	for key, s := range got.sums {
		if strings.HasPrefix(key, fmt.Sprintf("%02d/", w)) {
			sum ^= s
		}
	}
	h := k.histories[w]
	if sum == h.sum(got.now) {
		// A step that changes nothing may be there all the same, but then
		// the garbage is not: see whether it is one.
		if k.invisible(w, got.now) {
			return errors.New("the step under way cannot be told from none; use another seed")
		}
		return nil
	}
	h.do("under way", killStep(k.seed, w, k.next[w])...)
	k.next[w]++
	if sum != h.sum(got.now) {
		h.undo()
		return fmt.Errorf("it acknowledged %d steps, the store is neither there nor one step on", k.next[w]-1)
	}
	return nil
}

// invisible tells whether the next step of a writer leaves every pair as it is,
// but not the garbage.
func (k *killRun) invisible(w int, now int64) bool {
	h := k.histories[w].clone()
	before := h.usage(now)
	sum := h.sum(now)
	h.do("", killStep(k.seed, w, k.next[w])...)
	return sum == h.sum(now) && before != h.usage(now)
}

// kill starts the process, counts what it acknowledges, and kills it after a
// random number of that.
func (k *killRun) kill(writers int) error {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$", "-test.count=1")
	cmd.Env = append(os.Environ(), killDirEnv+"="+k.dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	fmt.Fprintf(in, "%d %d", k.seed, writers)
	for _, n := range k.next {
		fmt.Fprintf(in, " %d", n)
	}
	if err := in.Close(); err != nil {
		return err
	}
	left := 1 + k.rng.IntN(20*writers)
	for lines := bufio.NewScanner(out); lines.Scan(); left-- {
		var w, n int
		if _, err := fmt.Sscanf(lines.Text(), "ack %d %d", &w, &n); err != nil {
			return fmt.Errorf("the process said %q", lines.Text())
		}
		if n != k.next[w] {
			return fmt.Errorf("writer %d acknowledged step %d, not %d", w, n, k.next[w])
		}
		k.histories[w].do("", killStep(k.seed, w, n)...)
		k.histories[w].forget(n)
		k.next[w]++
		k.acked++
		if left == 0 {
			if err := cmd.Process.Kill(); err != nil {
				return err
			}
		}
	}
	return nil
}

// killChild writes until it is killed. Each write that worked is told of before
// the writer goes on.
func killChild(t *testing.T) {
	spec, err := io.ReadAll(os.Stdin)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, f := range strings.Fields(string(spec)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	seed, writers, next := uint64(numbers[0]), numbers[1], numbers[2:]
	s, err := Open(os.Getenv(killDirEnv), killOptions())
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := next[w]; ; n++ {
				if err := perform(context.Background(), s, killStep(seed, w, n)...); err != nil {
					t.Error(err)
					return
				}
				if _, err := fmt.Fprintf(os.Stdout, "ack %d %d\n", w, n); err != nil {
					return // nobody listens any more
				}
			}
		})
	}
	group.Wait()
}
