package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// script does steps on a store and keeps the history of them. It is not safe
// for concurrent use, but for the numbers, which tell what a crash at this very
// moment may lose.
type script struct {
	ctx   context.Context
	clock *testClock
	mode  SyncMode
	fs    vfs.FS
	s     *Store
	h     *history
	rng   *rand.Rand
	tune  func(*Options) // nil, or changes those it opens with

	mu      sync.Mutex
	durable int // steps that no crash may lose
	acked   int // steps that no reader misses
	begun   int // steps that may be there
}

func newScript(fsys vfs.FS, mode SyncMode, h *history, rng *rand.Rand) *script {
	n := h.len()
	return &script{
		ctx: context.Background(), clock: newTestClock(), mode: mode, fs: fsys, h: h, rng: rng,
		durable: n, acked: n, begun: n,
	}
}

// bounds returns how many steps a store has at least and at most that is found
// now.
func (sc *script) bounds() (least, most int) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.durable, sc.begun
}

func (sc *script) open() error {
	opts := memOptions(sc.fs, sc.mode, sc.clock)
	if sc.tune != nil {
		sc.tune(opts)
	}
	s, err := Open(memDir, opts)
	sc.s = s
	return err
}

func (sc *script) close() error {
	if err := sc.s.Close(); err != nil {
		return err
	}
	sc.synced()
	return nil
}

func (sc *script) synced() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.durable = sc.acked
}

func (sc *script) sync() error {
	if err := sc.s.Sync(sc.ctx); err != nil {
		return err
	}
	sc.synced()
	return nil
}

// step does one write, or several as a batch, that has to work.
func (sc *script) step(writes ...modelWrite) error {
	return sc.perform(func() error { return perform(sc.ctx, sc.s, writes...) }, writes...)
}

// perform has do make a step of the writes.
func (sc *script) perform(do func() error, writes ...modelWrite) error {
	sc.h.do(fmt.Sprintf("step %d", sc.h.len()), writes...)
	sc.mu.Lock()
	sc.begun++
	sc.mu.Unlock()
	if err := do(); err != nil {
		return err
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.acked++
	if sc.mode == SyncAlways {
		sc.durable = sc.acked
	}
	return nil
}

// stream puts a value of n bytes that is read little by little.
func (sc *script) stream(key string, n int) error {
	w := sc.put(key, n)
	return sc.perform(func() error {
		return sc.s.PutReader(sc.ctx, key, &trickle{w.pair.value, sc.rng}, nil)
	}, w)
}

// put is a write of a value of n bytes that does not compress.
func (sc *script) put(key string, n int) modelWrite {
	return modelWrite{key, newModelPair(key, noise(sc.rng, n), "", 0)}
}

// compact rewrites some of the segments.
func (sc *script) compact() error {
	job, err := randomJob(sc.s, sc.rng)
	if err != nil {
		return err
	}
	return sc.s.rewrite(sc.ctx, job, false)
}

// churn does n random steps over few keys: puts, some of which soon expire or are
// large, deletes, and time that passes.
func (sc *script) churn(n int) error {
	for i := range n {
		key := fmt.Sprintf("key%d", sc.rng.IntN(12))
		w := sc.put(key, sc.rng.IntN(6000))
		switch sc.rng.IntN(8) {
		case 0, 1:
			w.pair = nil
		case 2:
			w.pair = newModelPair(key, w.pair.value, `{"a":1}`, sc.clock.second.Load()+1+sc.rng.Int64N(20))
		case 3:
			if i%2 == 0 {
				w = sc.put(key, largeFrom+sc.rng.IntN(20<<10))
			}
		case 4:
			sc.clock.advance(sc.rng.Int64N(5))
		}
		if err := sc.step(w); err != nil {
			return err
		}
		if i%20 == 19 {
			if _, err := sc.s.committer.rollNow(); err != nil {
				return err
			}
		}
	}
	return nil
}

// crashPoint is what the disk may hold after a cut at some operation.
type crashPoint struct {
	mem         *vfs.Mem
	op          vfs.Op
	kill        bool // only of the process
	least, most int  // steps of the history that are there
}

func (p *crashPoint) String() string {
	what := "power loss"
	if p.kill {
		what = "kill"
	}
	return fmt.Sprintf("%s at %v, steps %d to %d", what, p.op, p.least, p.most)
}

// recorder takes copies of a file system before every operation that changes
// something: as after a kill, and some as after a power loss.
type recorder struct {
	mem    *vfs.Mem
	fault  *vfs.Fault
	rng    *rand.Rand
	copies int
	bounds func() (least, most int)
	one    bool // only one operation is of interest, by chance
	skip   func(op vfs.Op) bool

	mu     sync.Mutex
	ops    int64
	points []*crashPoint
}

// newRecorder returns one for what is done through its fault.
func newRecorder(mem *vfs.Mem, copies int, rng *rand.Rand) *recorder {
	// Of its own: copies are taken by whoever touches the file system.
	own := rand.New(rand.NewPCG(rng.Uint64(), 0))
	return &recorder{mem: mem, fault: vfs.NewFault(mem), rng: own, copies: copies}
}

func (r *recorder) start(bounds func() (least, most int)) {
	r.bounds = bounds
	r.fault.SetHook(func(op vfs.Op) error {
		r.take(op)
		return nil
	})
}

func (r *recorder) stop() []*crashPoint {
	r.fault.SetHook(nil)
	r.take(vfs.Op{Kind: vfs.KindWrite, Name: "the end"})
	return r.points
}

// changes tells whether a crash before the operation may leave something else
// than one before the operation before it.
func changes(kind vfs.Kind) bool {
	switch kind {
	case vfs.KindOpen, vfs.KindList, vfs.KindStat, vfs.KindRead, vfs.KindClose, vfs.KindLock:
		return false
	}
	return true
}

func (r *recorder) take(op vfs.Op) {
	if !changes(op.Kind) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops++
	if r.one && r.rng.Int64N(r.ops) > 0 || r.skip != nil && r.skip(op) {
		return
	}
	if r.one {
		r.points = nil // this one instead
	}
	least, _ := r.bounds()
	mems := []*vfs.Mem{r.mem.Kill()}
	for range r.copies {
		mems = append(mems, r.mem.Crash(r.rng))
	}
	_, most := r.bounds()
	for i, mem := range mems {
		r.points = append(r.points, &crashPoint{mem, op, i == 0, least, most})
	}
}

// recovered opens what a crash left and finds out where in the history it is.
// What was accepted has to survive from then on, whatever the mode.
func recovered(fsys vfs.FS, p *crashPoint, mode SyncMode, h *history, rng *rand.Rand) (*script, error) {
	sc := newScript(fsys, mode, h, rng)
	if err := sc.recover(p); err != nil {
		return nil, err
	}
	return sc, nil
}

// recover opens the store and makes the script one of what is found.
func (sc *script) recover(p *crashPoint) error {
	if err := sc.open(); err != nil {
		return err
	}
	got, err := readContents(sc.ctx, sc.s)
	if err == nil {
		err = sc.h.settle(got, min(p.least, sc.h.len()), p.most)
	}
	if err != nil {
		_ = sc.s.Close()
		return err
	}
	n := sc.h.len()
	sc.durable, sc.acked, sc.begun = n, n, n
	return nil
}
