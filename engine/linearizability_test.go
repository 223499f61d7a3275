package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/firnkv/firn/engine/internal/vfs"
)

const historiesEnv = "FIRN_HISTORIES"

// TestLinearizability records what concurrent clients do to few keys, and see of
// them, while segments are rewritten and the log rolls. It checks that the
// operations on each key can be put into one order, in which none is before
// another that had returned when it was called, and each read finds the write
// before it.
//
// A batch is one write to each of its keys, and a listing one read of each key, at
// some instant of its own between call and return.
func TestLinearizability(t *testing.T) {
	seed := testSeed(t)
	histories := 360
	if underRace || testing.Short() {
		histories = 60
	}
	if v := os.Getenv(historiesEnv); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("%s: %v", historiesEnv, err)
		}
		histories = n
	}
	each := (histories + len(syncModes) - 1) / len(syncModes)
	for i, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			r := newLinearRun(mode.mode, rand.New(rand.NewPCG(seed, uint64(i))))
			defer func() { _ = r.s.Close() }()
			for n := range each {
				if err := r.history(); err != nil {
					t.Fatalf("history %d: %v", n, err)
				}
			}
			if r.rewrites == 0 {
				t.Error("nothing was rewritten")
			}
			t.Logf("%d histories of %d operations, with %d rewrites", each, r.operations, r.rewrites)
		})
	}
}

// linearRun is a store that goes through one history after the other.
type linearRun struct {
	ctx     context.Context
	mode    SyncMode
	rng     *rand.Rand
	fs      vfs.FS
	s       *Store
	keys    []string
	found   map[string]int64 // versions that the last history left, 0 for none
	time    atomic.Int64     // orders calls and returns
	version atomic.Int64     // written last

	operations int
	rewrites   int
}

// newLinearRun makes a store on a disk in memory. Who waits for that has others go
// on, as if it took its time.
func newLinearRun(mode SyncMode, rng *rand.Rand) *linearRun {
	disk := vfs.NewFault(vfs.NewMem())
	disk.SetHook(func(vfs.Op) error {
		runtime.Gosched()
		return nil
	})
	return &linearRun{
		ctx: context.Background(), mode: mode, rng: rng, fs: disk,
		keys: []string{"key0", "key1", "key2", "key3"}, found: map[string]int64{},
	}
}

func (r *linearRun) open() error {
	opts := memOptions(r.fs, r.mode, newTestClock())
	if r.rng.IntN(2) == 0 {
		opts.CacheBytes = -1
	}
	s, err := Open(memDir, opts)
	r.s = s
	return err
}

// history has some clients at work at once, and checks what they saw. Then one
// reads everything, in half of the cases after a reopen.
func (r *linearRun) history() error {
	if r.s == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	clients := []*linearClient{r.client()}
	for key, n := range r.found {
		clients[0].record(key, true, n, r.now(), r.now())
	}
	more, err := r.concurrently()
	if err != nil {
		return err
	}
	if r.rng.IntN(2) == 0 {
		if err := r.s.Close(); err != nil {
			return err
		}
		if err := r.open(); err != nil {
			return err
		}
	}
	last := r.client()
	for _, key := range r.keys {
		if r.found[key], err = last.get(key); err != nil {
			return err
		}
	}
	return r.check(append(append(clients, more...), last))
}

// concurrently has some clients do some operations each, and meanwhile rewrites
// segments.
func (r *linearRun) concurrently() ([]*linearClient, error) {
	clients := make([]*linearClient, 2+r.rng.IntN(7))
	errs := make([]error, len(clients)+1)
	var work, rest sync.WaitGroup
	var done atomic.Bool
	own := rand.New(rand.NewPCG(r.rng.Uint64(), 0))
	rest.Go(func() {
		for !done.Load() && errs[len(clients)] == nil {
			errs[len(clients)] = r.disturb(own)
		}
	})
	for i := range clients {
		clients[i] = r.client()
		work.Go(func() {
			for n := 0; n < 50 && errs[i] == nil; n++ {
				errs[i] = clients[i].step()
				runtime.Gosched()
			}
		})
	}
	work.Wait()
	done.Store(true)
	rest.Wait()
	return clients, errors.Join(errs...)
}

// disturb does what no client may notice.
func (r *linearRun) disturb(rng *rand.Rand) error {
	if rng.IntN(4) == 0 {
		return r.s.Sync(r.ctx)
	}
	job, err := randomJob(r.s, rng)
	if err != nil || len(job.Victims) == 0 {
		return err
	}
	err = r.s.rewrite(r.ctx, job, rng.IntN(2) == 0)
	if err == errNotReady {
		return nil // others write all the time
	}
	r.rewrites++
	return err
}

func (r *linearRun) now() int64 { return r.time.Add(1) }

// access is what an operation does to one key: it writes a version, 0 to delete
// it, or reads.
type access struct {
	write   bool
	version int64
}

// oneKey is the model: a key has the version that was written last.
var oneKey = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(access); in.write {
			return true, in.version
		}
		return output == state, state
	},
}

// check looks at what the clients did, one key after the other.
func (r *linearRun) check(clients []*linearClient) error {
	for _, key := range r.keys {
		var all []porcupine.Operation
		for i, c := range clients {
			for _, op := range c.log[key] {
				op.ClientId = i
				all = append(all, op)
			}
		}
		r.operations += len(all)
		if !porcupine.CheckOperations(oneKey, all) {
			return fmt.Errorf("what was done to %s cannot be put into an order:\n%s", key, describeOperations(all))
		}
	}
	return nil
}

func describeOperations(ops []porcupine.Operation) string {
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range ops {
		what := fmt.Sprint("reads ", op.Output)
		if in := op.Input.(access); in.write {
			what = fmt.Sprint("writes ", in.version)
		}
		fmt.Fprintf(&b, "\t%d to %d: client %d %s\n", op.Call, op.Return, op.ClientId, what)
	}
	return b.String()
}

// linearClient does one operation after the other and keeps a log for each key.
type linearClient struct {
	r   *linearRun
	rng *rand.Rand
	log map[string][]porcupine.Operation
}

func (r *linearRun) client() *linearClient {
	return &linearClient{r: r, rng: rand.New(rand.NewPCG(r.rng.Uint64(), 0)), log: map[string][]porcupine.Operation{}}
}

func (c *linearClient) record(key string, write bool, version, from, to int64) {
	op := porcupine.Operation{Input: access{}, Output: version, Call: from, Return: to}
	if write {
		op.Input = access{true, version}
	}
	c.log[key] = append(c.log[key], op)
}

func (c *linearClient) step() error {
	key := c.r.keys[c.rng.IntN(len(c.r.keys))]
	switch c.rng.IntN(20) {
	case 0:
		return c.list()
	case 1, 2:
		return c.batch()
	case 3, 4:
		from := c.r.now()
		err := c.r.s.Delete(c.r.ctx, key)
		c.record(key, true, 0, from, c.r.now())
		return err
	case 5, 6, 7, 8, 9:
		n := c.r.version.Add(1)
		value, opts := counterValue(c.rng, n), counterOptions(n)
		from := c.r.now()
		err := c.r.s.Put(c.r.ctx, key, value, opts)
		c.record(key, true, n, from, c.r.now())
		return err
	}
	_, err := c.get(key)
	return err
}

// batch writes some keys, each once.
func (c *linearClient) batch() error {
	var b Batch
	wrote := map[string]int64{}
	for _, i := range c.rng.Perm(len(c.r.keys))[:2+c.rng.IntN(3)] {
		key := c.r.keys[i]
		if c.rng.IntN(4) == 0 {
			wrote[key] = 0
			b.Delete(key)
			continue
		}
		n := c.r.version.Add(1)
		wrote[key] = n
		b.Put(key, counterValue(c.rng, n), counterOptions(n))
	}
	from := c.r.now()
	err := c.r.s.Write(c.r.ctx, &b)
	to := c.r.now()
	for key, n := range wrote {
		c.record(key, true, n, from, to)
	}
	return err
}

// get reads a key in one of the ways there are.
func (c *linearClient) get(key string) (int64, error) {
	from := c.r.now()
	n, err := c.read(key)
	c.record(key, false, n, from, c.r.now())
	return n, err
}

func (c *linearClient) read(key string) (int64, error) {
	if c.rng.IntN(4) > 0 {
		p, err := c.r.s.GetPair(c.r.ctx, key)
		if err != nil {
			return 0, present(err)
		}
		return counterVersion(p.Value, string(p.Metadata))
	}
	v, err := c.r.s.GetReader(c.r.ctx, key)
	if err != nil {
		return 0, present(err)
	}
	defer v.Close()
	value, err := io.ReadAll(v)
	if err != nil {
		return 0, err
	}
	return counterVersion(value, string(v.Info().Metadata))
}

// present returns nil for the error of a key that is not there.
func present(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// list reads all keys.
func (c *linearClient) list() error {
	found := map[string]int64{}
	from := c.r.now()
	for info, err := range c.r.s.Keys(c.r.ctx, "") {
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(info.Metadata), 10, 64)
		if err != nil {
			return err
		}
		found[info.Name] = n
	}
	to := c.r.now()
	for _, key := range c.r.keys {
		c.record(key, false, found[key], from, to)
	}
	return nil
}
