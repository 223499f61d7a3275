package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// testSeed returns the seed of a run: FIRN_SEED, or another one each time.
func testSeed(t testing.TB) uint64 {
	seed := rand.Uint64() >> 32
	if v := os.Getenv("FIRN_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("FIRN_SEED: %v", err)
		}
	}
	t.Logf("FIRN_SEED=%d", seed)
	return seed
}

// keySets are the ways in which the model chooses keys.
var keySets = []struct {
	name string
	key  func(rng *rand.Rand) string
}{
	{"hot", func(rng *rand.Rand) string { return "hot" + strconv.Itoa(rng.IntN(8)) }},
	{"many", func(rng *rand.Rand) string { return fmt.Sprintf("k%05d", rng.IntN(1500)) }},
	{"prefixes", func(rng *rand.Rand) string {
		const part = "a/b/c/"
		key := part[:rng.IntN(len(part))] + strings.Repeat("x", rng.IntN(3)*rng.IntN(3)*60)
		return key + strconv.Itoa(rng.IntN(30))
	}},
	{"unicode", func(rng *rand.Rand) string {
		words := []string{"ключ", "鍵", "🔑", "clé", "\x00", "\u00ff", "e\u0301"}
		key := words[rng.IntN(len(words))]
		for range rng.IntN(2) {
			key += words[rng.IntN(len(words))]
		}
		return key + strconv.Itoa(rng.IntN(5))
	}},
}

// modelOpsEnv sets how many operations TestModel does in all.
const modelOpsEnv = "FIRN_MODEL_OPS"

// TestModel does random operations on a store and on a map, with clean closes,
// kills and power losses in between, and compares everything that can be seen.
// An operation depends on the seed and its number alone, so that a failing run
// can be made shorter by leaving others out.
func TestModel(t *testing.T) {
	seed := testSeed(t)
	ops := 8400 // in each of 12 runs
	if underRace {
		ops = 1600
	}
	if testing.Short() {
		ops = 600
	}
	if v := os.Getenv(modelOpsEnv); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		ops = n / 12
	}
	t.Logf("%d operations", 12*ops)
	for _, mode := range syncModes {
		for k, keys := range keySets {
			t.Run(mode.name+"/"+keys.name, func(t *testing.T) {
				t.Parallel()
				r := modelRun{mode: mode.mode, key: keys.key, seed: seed + uint64(k)}
				numbers := make([]int, ops)
				for i := range numbers {
					numbers[i] = i
				}
				failed, err := r.run(numbers)
				if err == nil {
					return
				}
				recent := slices.Clone(r.recent)
				short, shortErr := r.shrink(numbers[:failed+1])
				t.Fatalf("operation %d: %v\nthe last operations:\n\t%s\na run of %d that fails: %v\n\t%s", failed, err,
					strings.Join(recent, "\n\t"), len(short), shortErr, strings.Join(r.recent, "\n\t"))
			})
		}
	}
}

// modelRun is a store beside its model.
type modelRun struct {
	mode SyncMode
	key  func(*rand.Rand) string
	seed uint64

	ctx     context.Context
	clock   *testClock
	mem     *vfs.Mem
	s       *Store
	h       *history
	durable int // steps of h that no crash may lose
	rng     *rand.Rand
	recent  []string // the last operations
}

// run does the operations with the given numbers on a new store. It returns
// the place of the first that failed.
func (r *modelRun) run(numbers []int) (int, error) {
	if err := r.begin(); err != nil {
		return 0, err
	}
	defer func() { _ = r.s.Close() }()
	for i, n := range numbers {
		r.rng = rand.New(rand.NewPCG(r.seed, uint64(n)))
		if err := r.operation(); err != nil {
			return i, err
		}
		if r.rng.IntN(4) == 0 {
			if err := r.checkUsage(); err != nil {
				return i, err
			}
		}
	}
	return len(numbers) - 1, checkContents(r.ctx, r.s, r.h)
}

// begin opens a new store.
func (r *modelRun) begin() error {
	r.ctx = context.Background()
	r.clock = newTestClock()
	r.mem = vfs.NewMem()
	r.mem.StaleData = r.seed%2 == 0
	r.h = newHistory()
	r.durable = 0
	r.recent = r.recent[:0]
	return r.open()
}

// shrink leaves operations out as long as the run keeps failing, for some
// seconds.
func (r *modelRun) shrink(numbers []int) ([]int, error) {
	deadline := time.Now().Add(10 * time.Second)
	last, err := r.run(numbers)
	if err == nil {
		return numbers, errors.New("it did not fail again")
	}
	best, bestErr := slices.Clone(numbers[:last+1]), err
	for size := len(best) / 2; size > 0; size /= 2 {
		for from := 0; from < len(best) && time.Now().Before(deadline); {
			without := slices.Delete(slices.Clone(best), from, min(from+size, len(best)))
			if last, err := r.run(without); err != nil {
				best, bestErr = without[:last+1], err
			} else {
				from += size
			}
		}
	}
	_, err = r.run(best)
	if err == nil {
		return best, fmt.Errorf("%w (not each time)", bestErr)
	}
	return best, err
}

func (r *modelRun) open() error {
	if err := sameWithoutCheckpoint(r.mem, r.clock); err != nil {
		return err
	}
	s, err := Open(memDir, memOptions(r.mem, r.mode, r.clock))
	if err != nil {
		return err
	}
	r.s = s
	return nil
}

func (r *modelRun) note(format string, args ...any) string {
	what := fmt.Sprintf(format, args...)
	if len(r.recent) == 40 {
		r.recent = slices.Delete(r.recent, 0, 20)
	}
	r.recent = append(r.recent, what)
	return what
}

func (r *modelRun) operation() error {
	switch n := r.rng.IntN(1000); {
	case n < 420:
		return r.put()
	case n < 450:
		return r.putReader()
	case n < 560:
		return r.delete()
	case n < 620:
		return r.batch()
	case n < 640:
		return r.compact()
	case n < 650:
		return r.checkpoint()
	case n < 850:
		return r.get()
	case n < 900:
		return r.list()
	case n < 950:
		return r.jump()
	case n < 975:
		return r.sync()
	case n < 977:
		return r.check()
	case n < 980:
		return r.reopen(false)
	case n < 983:
		return r.reopen(true)
	case n < 985:
		return r.readOnly()
	case n < 991:
		return r.crash(true)
	default:
		return r.crash(false)
	}
}

// pair returns a random pair for a key.
func (r *modelRun) pair(key string) *modelPair {
	rng := r.rng
	var n int
	switch p := rng.IntN(200); {
	case p == 0:
		n = largeFrom - 2 + rng.IntN(5)
	case p == 1:
		n = largeFrom + rng.IntN(300<<10)
	case p < 10:
		n = rng.IntN(largeFrom)
	case p < 30:
		n = rng.IntN(3000)
	default:
		n = rng.IntN(200)
	}
	meta := ""
	if rng.IntN(4) == 0 {
		meta = fmt.Sprintf(`{"m":"%s"}`, strings.Repeat("y", rng.IntN(40)*rng.IntN(20)))
	}
	var expiration int64
	switch rng.IntN(12) {
	case 0, 1:
		expiration = r.clock.second.Load() + 1 + rng.Int64N(100)
	case 2:
		expiration = r.clock.second.Load() + 1 + rng.Int64N(20_000)
	case 3:
		expiration = []int64{1 << 32, 1<<32 - 1, 1 << 40}[rng.IntN(3)]
	}
	return newModelPair(key, poolValue(rng, n), meta, expiration)
}

// wrote notes what was written in the history, and checks one of the keys.
func (r *modelRun) wrote(what string, err error, writes ...modelWrite) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	r.h.do(what, writes...)
	if r.mode == SyncAlways {
		r.advance()
	}
	if r.rng.IntN(4) == 0 {
		return checkPair(r.ctx, r.s, r.h, writes[r.rng.IntN(len(writes))].key)
	}
	return nil
}

// advance notes that everything so far is durable.
func (r *modelRun) advance() {
	r.durable = r.h.len()
	r.h.forget(r.durable)
}

func (r *modelRun) put() error {
	key := r.key(r.rng)
	p := r.pair(key)
	what := r.note("put %q, %d bytes, expiration %d", key, len(p.value), p.expiration)
	w := modelWrite{key, p}
	if ttl := p.expiration - r.clock.second.Load(); ttl > 0 && ttl < 1000 && r.rng.IntN(2) == 0 {
		opts := p.options()
		opts.TTL = time.Duration(ttl)*time.Second - time.Duration(r.rng.IntN(1000))*time.Millisecond
		opts.Expiration = r.rng.Int64N(2) // the TTL wins
		if ttl == 1 {
			opts.TTL = time.Second
		}
		return r.wrote(what, r.s.Put(r.ctx, key, p.value, opts), w)
	}
	return r.wrote(what, perform(r.ctx, r.s, w), w)
}

func (r *modelRun) putReader() error {
	key := r.key(r.rng)
	p := r.pair(key)
	if r.rng.IntN(20) == 0 {
		p = newModelPair(key, poolValue(r.rng, 100<<10+r.rng.IntN(500<<10)), p.meta, p.expiration)
	}
	what := r.note("put %q from a reader, %d bytes", key, len(p.value))
	return r.wrote(what, r.s.PutReader(r.ctx, key, &trickle{p.value, r.rng}, p.options()), modelWrite{key, p})
}

func (r *modelRun) delete() error {
	w := modelWrite{key: r.key(r.rng)}
	return r.wrote(r.note("delete %q", w.key), perform(r.ctx, r.s, w), w)
}

func (r *modelRun) batch() error {
	n := 2 + r.rng.IntN(20)
	if r.rng.IntN(10) == 0 {
		n += 300 // more than a frame takes
	}
	writes := make([]modelWrite, n)
	for i := range writes {
		key := r.key(r.rng)
		writes[i].key = key
		if r.rng.IntN(4) > 0 {
			writes[i].pair = r.pair(key)
		}
	}
	what := r.note("batch of %d, first %q", n, writes[0].key)
	return r.wrote(what, perform(r.ctx, r.s, writes...), writes...)
}

// compact rewrites some of the segments, whichever they are.
func (r *modelRun) compact() error {
	job, err := randomJob(r.s, r.rng)
	r.note("compact %v to %v", job.Victims, job.Form)
	if err != nil {
		return err
	}
	r.h.compacted = true
	if err := r.s.rewrite(r.ctx, job, r.rng.IntN(2) == 0); err != nil {
		return fmt.Errorf("compact %v: %w", job.Victims, err)
	}
	return r.checkUsage()
}

// checkpoint writes a checkpoint, and does other things meanwhile.
func (r *modelRun) checkpoint() error {
	r.note("checkpoint")
	r.h.compacted = true
	each := 1 + r.rng.IntN(100)
	if err := r.s.checkpointBeside(func() error {
		if r.rng.IntN(each) > 0 {
			return nil
		}
		switch n := r.rng.IntN(10); {
		case n < 5:
			return r.put()
		case n < 7:
			return r.delete()
		case n < 8:
			return r.batch()
		case n < 9:
			return r.jump()
		}
		r.note("roll")
		_, err := r.s.committer.rollNow()
		return err
	}); err != nil {
		return err
	}
	r.advance() // it has synced what it has
	return r.checkUsage()
}

func (r *modelRun) get() error {
	key := r.key(r.rng)
	want := r.h.pairs[key]
	switch r.rng.IntN(3) {
	case 0:
		return checkPair(r.ctx, r.s, r.h, key)
	case 1:
		value, err := r.s.Get(r.ctx, key)
		if !want.visible(r.clock.second.Load()) {
			if !errors.Is(err, ErrNotFound) {
				return fmt.Errorf("get %q, which is not there: %w", key, err)
			}
			return nil
		}
		if err != nil || !bytes.Equal(value, want.value) {
			return fmt.Errorf("get %q: %d bytes, %w; want %d", key, len(value), err, len(want.value))
		}
		return nil
	}
	return r.stream(key, want)
}

// stream reads a value in pieces, and writes in between: the reader has to
// stay with what it found.
func (r *modelRun) stream(key string, want *modelPair) error {
	v, err := r.s.GetReader(r.ctx, key)
	if !want.visible(r.clock.second.Load()) {
		if !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("stream of %q, which is not there: %w", key, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("stream of %q: %w", key, err)
	}
	defer v.Close()
	head := make([]byte, min(int(v.Len()), 1+r.rng.IntN(1000)))
	if _, err := io.ReadFull(v, head); err != nil && v.Len() > 0 {
		return fmt.Errorf("stream of %q: %w", key, err)
	}
	if r.rng.IntN(4) == 0 {
		if err := r.put(); err != nil {
			return err
		}
	}
	rest, err := io.ReadAll(v)
	if value := append(head, rest...); err != nil || !bytes.Equal(value, want.value) {
		return fmt.Errorf("stream of %q: %d bytes, %w; want %d", key, len(value), err, len(want.value))
	}
	return nil
}

// list reads some pages, from the first key or from anywhere.
func (r *modelRun) list() error {
	opts := ListOptions{Limit: 1 + r.rng.IntN(50)}
	if key := []rune(r.key(r.rng)); r.rng.IntN(3) > 0 {
		opts.Prefix = string(key[:r.rng.IntN(len(key)+1)])
	}
	keys := r.h.visible(opts.Prefix, r.clock.second.Load())
	if r.rng.IntN(3) == 0 {
		after := r.key(r.rng)
		opts.Cursor = base64.RawURLEncoding.EncodeToString([]byte(after))
		at, found := slices.BinarySearch(keys, after)
		if found {
			at++
		}
		keys = keys[at:]
	}
	r.note("list %q, limit %d", opts.Prefix, opts.Limit)
	for pages := 0; pages < 8; pages++ {
		page, err := r.s.List(r.ctx, opts)
		if err != nil {
			return fmt.Errorf("list %q: %w", opts.Prefix, err)
		}
		for _, k := range page.Keys {
			if len(keys) == 0 || keys[0] != k.Name {
				return fmt.Errorf("list %q: %q, the next should be %q", opts.Prefix, k.Name, slices.Concat(keys, []string{"none"})[0])
			}
			if p := r.h.pairs[k.Name]; p.meta != string(k.Metadata) || p.expiration != k.Expiration {
				return fmt.Errorf("list %q: %q has metadata %q, expiration %d; it should be %q, %d", opts.Prefix, k.Name, k.Metadata, k.Expiration, p.meta, p.expiration)
			}
			keys = keys[1:]
		}
		if opts.Cursor = page.Cursor; page.Cursor == "" {
			break
		}
		if len(page.Keys) > opts.Limit {
			return fmt.Errorf("list %q: %d keys on a page of %d", opts.Prefix, len(page.Keys), opts.Limit)
		}
	}
	if opts.Cursor == "" && len(keys) > 0 {
		return fmt.Errorf("list %q: %d keys are missing at the end, the first is %q", opts.Prefix, len(keys), keys[0])
	}
	return nil
}

func (r *modelRun) jump() error {
	seconds := r.rng.Int64N(5)
	switch r.rng.IntN(20) {
	case 0:
		seconds = r.rng.Int64N(3 * 3600)
	case 1, 2:
		seconds = r.rng.Int64N(200)
	}
	r.note("clock + %d s", seconds)
	r.clock.advance(seconds)
	return r.checkUsage()
}

func (r *modelRun) checkUsage() error {
	if onDisk := r.s.Usage().DiskBytes; onDisk <= 0 {
		return fmt.Errorf("usage: %d bytes on disk", onDisk)
	}
	got, err := usageOf(r.s)
	if err != nil {
		return err
	}
	if now := r.clock.second.Load(); !r.h.agrees(got, now) {
		return fmt.Errorf("usage %+v, want %+v", got, r.h.usage(now))
	}
	return nil
}

func (r *modelRun) sync() error {
	r.note("sync")
	if err := r.s.Sync(r.ctx); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	r.advance()
	return nil
}

func (r *modelRun) check() error {
	r.note("verify")
	if err := checkVerify(r.ctx, r.s); err != nil {
		return err
	}
	return checkContents(r.ctx, r.s, r.h)
}

func (r *modelRun) close() error {
	if err := r.s.Close(); err != nil {
		return err
	}
	r.advance()
	return nil
}

// reopen closes the store and opens it again, with the checkpoint or without.
func (r *modelRun) reopen(forget bool) error {
	r.note("reopen, without the checkpoint: %v", forget)
	before, err := usageOf(r.s)
	if err != nil {
		return err
	}
	if err := r.close(); err != nil {
		return err
	}
	if forget {
		_ = r.mem.Remove(memDir + "/" + checkpointName)
	}
	if err := r.open(); err != nil {
		return err
	}
	if cut := r.s.recovered.cutBytes; cut != 0 {
		return fmt.Errorf("%d bytes were cut after a clean close", cut)
	}
	after, err := usageOf(r.s)
	if err != nil {
		return err
	}
	if all(after.Garbage) != all(before.Garbage) {
		return fmt.Errorf("garbage %+v, before the close %+v", after.Garbage, before.Garbage)
	}
	return checkContents(r.ctx, r.s, r.h)
}

// readOnly closes the store and opens it read-only, twice at once, and then
// again for writing.
func (r *modelRun) readOnly() error {
	r.note("read-only")
	if err := r.close(); err != nil {
		return err
	}
	opts := memOptions(r.mem, r.mode, r.clock)
	opts.ReadOnly = true
	for range 2 {
		s, err := Open(memDir, opts)
		if err != nil {
			return fmt.Errorf("read-only: %w", err)
		}
		defer s.Close()
		if err := checkContents(r.ctx, s, r.h); err != nil {
			return fmt.Errorf("read-only: %w", err)
		}
		if err := s.Put(r.ctx, "k", nil, nil); !errors.Is(err, ErrReadOnly) {
			return fmt.Errorf("read-only: put: %w", err)
		}
		if err := s.Close(); err != nil {
			return fmt.Errorf("read-only: close: %w", err)
		}
	}
	return r.open()
}

// crash goes on with what is left after a kill or a power loss.
func (r *modelRun) crash(kill bool) error {
	r.note("crash, only of the process: %v", kill)
	before := r.mem
	if kill {
		r.mem = before.Kill()
	} else {
		r.mem = before.Crash(r.rng)
	}
	_ = r.s.Close() // of the store that is no more
	if err := r.open(); err != nil {
		return fmt.Errorf("after a crash: %w", err)
	}
	got, err := readContents(r.ctx, r.s)
	if err != nil {
		return fmt.Errorf("after a crash: %w", err)
	}
	if err := r.h.settle(got, r.durable, r.h.len()); err != nil {
		return fmt.Errorf("after a crash: %w", err)
	}
	r.advance()
	return nil
}

// TestModelOfConcurrentReadersAndWriters proves that time goes forward for
// everybody: once a version of a key was acknowledged, or seen by anybody, nobody
// who begins to read later finds an older one, in gets, streams and lists.
func TestModelOfConcurrentReadersAndWriters(t *testing.T) {
	seed := testSeed(t)
	steps := 3000
	if testing.Short() {
		steps = 400
	}
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem()
			s, err := Open(memDir, memOptions(mem, mode.mode, newTestClock()))
			if err != nil {
				t.Fatal(err)
			}
			c := &concurrent{s: s}
			for i := range 8 {
				c.keys = append(c.keys, &counterKey{name: "key" + strconv.Itoa(i)})
			}
			var group sync.WaitGroup
			for g := range 8 {
				rng := rand.New(rand.NewPCG(seed, uint64(g)))
				group.Go(func() {
					for range steps {
						if err := c.step(rng, g); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			if err := checkVerify(context.Background(), s); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if c.s, err = Open(memDir, memOptions(mem, mode.mode, newTestClock())); err != nil {
				t.Fatal(err)
			}
			defer c.s.Close()
			for _, k := range c.keys {
				if err := c.get(k); err != nil {
					t.Errorf("after a reopen: %v", err)
				}
			}
		})
	}
}
