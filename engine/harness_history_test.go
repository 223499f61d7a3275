package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// modelPair is a pair as the model holds it. Nil means that there is none.
type modelPair struct {
	value      []byte // never modified: shared with the pool of values
	meta       string
	expiration int64
	size       int64
	sum        uint64 // over key, metadata, expiration and value
}

func newModelPair(key string, value []byte, meta string, expiration int64) *modelPair {
	return &modelPair{
		value: value, meta: meta, expiration: expiration,
		size: int64(len(key) + len(meta) + len(value)),
		sum:  pairSum(key, value, meta, expiration),
	}
}

func pairSum(key string, value []byte, meta string, expiration int64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(expiration))
	binary.LittleEndian.PutUint64(b[8:], uint64(len(key))<<32|uint64(len(meta)))
	d := xxhash.New()
	_, _ = d.Write(b[:])
	_, _ = d.WriteString(key)
	_, _ = d.WriteString(meta)
	_, _ = d.Write(value)
	return d.Sum64()
}

func (p *modelPair) visible(now int64) bool {
	return p != nil && (p.expiration == 0 || p.expiration > now)
}

// modelWrite is one put, or with a nil pair a delete.
type modelWrite struct {
	key  string
	pair *modelPair
}

// history is a map, the garbage that making it left, and the steps that led
// there, so that it can go back to any of them. A step is what the store has to
// keep whole: a put, a delete or a batch.
type history struct {
	pairs   map[string]*modelPair
	garbage Garbage
	first   int // steps that are forgotten
	steps   []historyStep

	// compacted is set once the store may have dropped garbage.
	compacted bool
}

type historyStep struct {
	what    string
	changes []historyChange
	before  Garbage
}

type historyChange struct {
	key      string
	old, new *modelPair
}

func newHistory() *history { return &history{pairs: map[string]*modelPair{}} }

func (h *history) clone() *history {
	c := &history{pairs: make(map[string]*modelPair, len(h.pairs)), garbage: h.garbage, first: h.first, compacted: h.compacted}
	for k, p := range h.pairs {
		c.pairs[k] = p
	}
	c.steps = slices.Clone(h.steps)
	return c
}

// len returns the number of steps so far.
func (h *history) len() int { return h.first + len(h.steps) }

// do makes a step of the writes.
func (h *history) do(what string, writes ...modelWrite) {
	step := historyStep{what: what, before: h.garbage}
	for _, w := range writes {
		old := h.pairs[w.key]
		switch {
		case old == nil:
		case w.pair == nil:
			h.garbage.Deleted.add(old.size)
		default:
			h.garbage.Overwritten.add(old.size)
		}
		step.changes = append(step.changes, historyChange{w.key, old, w.pair})
		h.set(w.key, w.pair)
	}
	h.steps = append(h.steps, step)
}

func (h *history) set(key string, p *modelPair) {
	if p == nil {
		delete(h.pairs, key)
	} else {
		h.pairs[key] = p
	}
}

// undo goes one step back.
func (h *history) undo() historyStep {
	last := len(h.steps) - 1
	step := h.steps[last]
	h.steps = h.steps[:last]
	for _, c := range slices.Backward(step.changes) {
		h.set(c.key, c.old)
	}
	h.garbage = step.before
	return step
}

// forget drops what is needed to go back to before the given number of steps.
func (h *history) forget(n int) {
	if n > h.first {
		h.steps = slices.Clone(h.steps[n-h.first:])
		h.first = n
	}
}

// expired counts the pairs that are expired at now.
func (h *history) expired(now int64) Count {
	var c Count
	for _, p := range h.pairs {
		if !p.visible(now) {
			c.add(p.size)
		}
	}
	return c
}

// usage is what the store has to say at now, but for the bytes on disk.
func (h *history) usage(now int64) Usage {
	u := Usage{Garbage: h.garbage}
	u.Garbage.Expired = h.expired(now)
	for _, p := range h.pairs {
		u.Keys++
		u.Bytes += p.size
	}
	u.Keys -= u.Garbage.Expired.Records
	u.Bytes -= u.Garbage.Expired.Bytes
	return u
}

// agrees tells whether that is what the store says at now. After a compaction it
// may say less of garbage.
func (h *history) agrees(got Usage, now int64) bool {
	want := h.usage(now)
	if !h.compacted {
		return got == want
	}
	return agreesCompacted(got, want)
}

// agreesCompacted tells whether got is what compaction may have left of want.
func agreesCompacted(got, want Usage) bool {
	sum := func(g Garbage) (c Count) {
		c.addCount(g.Overwritten)
		c.addCount(g.Deleted)
		c.addCount(g.Expired)
		return c
	}
	is, most := sum(got.Garbage), sum(want.Garbage)
	return got.Keys == want.Keys && got.Bytes == want.Bytes && is.Records >= 0 && is.Records <= most.Records && is.Bytes <= most.Bytes
}

// visible returns the keys with the prefix that are live at now, in byte order.
func (h *history) visible(prefix string, now int64) []string {
	var keys []string
	for k, p := range h.pairs {
		if p.visible(now) && strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// sum is over all pairs that are live at now, in no order.
func (h *history) sum(now int64) uint64 {
	var sum uint64
	for _, p := range h.pairs {
		if p.visible(now) {
			sum ^= p.sum
		}
	}
	return sum
}

// settle goes back to the last step, but not to before lo steps, after which the
// history agrees with what a recovered store holds.
func (h *history) settle(got *contents, lo, hi int) error {
	sum := h.sum(got.now)
	top := h.len()
	for {
		if n := h.len(); n <= hi && sum == got.sum && h.agrees(got.usage, got.now) {
			return nil
		}
		if h.len() == lo {
			break
		}
		for _, c := range h.undo().changes {
			if c.old.visible(got.now) {
				sum ^= c.old.sum
			}
			if c.new.visible(got.now) {
				sum ^= c.new.sum
			}
		}
	}
	return fmt.Errorf("the store is at none of steps %d to %d (of %d); against step %d:%s", lo, hi, top, lo, h.differences(got))
}

// differences lists what sets the store apart from the history.
func (h *history) differences(got *contents) string {
	var b strings.Builder
	n := 0
	note := func(format string, args ...any) {
		if n++; n <= 12 {
			fmt.Fprintf(&b, "\n\t"+format, args...)
		}
	}
	for _, key := range h.visible("", got.now) {
		p := h.pairs[key]
		switch sum, ok := got.sums[key]; {
		case !ok:
			note("lacks %.40q (%d bytes)", key, p.size)
		case sum != p.sum:
			note("has another version of %.40q", key)
		}
	}
	for key := range got.sums {
		if !h.pairs[key].visible(got.now) {
			note("has %.40q, which should not be there", key)
		}
	}
	if n > 12 {
		note("and %d more", n-12)
	}
	fmt.Fprintf(&b, "\n\tusage %+v\n\twant  %+v", got.usage, h.usage(got.now))
	return b.String()
}

// contents is all that a store holds, read through its interface.
type contents struct {
	now   int64
	sums  map[string]uint64
	sum   uint64
	usage Usage
}

func readContents(ctx context.Context, s *Store) (*contents, error) {
	got := &contents{now: s.clock.now(), sums: map[string]uint64{}}
	for info, err := range s.Keys(ctx, "") {
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		if _, twice := got.sums[info.Name]; twice {
			return nil, fmt.Errorf("list: %q twice", info.Name)
		}
		p, err := s.GetPair(ctx, info.Name)
		if err != nil {
			return nil, fmt.Errorf("get %q, which the list has: %w", info.Name, err)
		}
		if p.Expiration != info.Expiration || string(p.Metadata) != string(info.Metadata) {
			return nil, fmt.Errorf("list and get differ on %q: %d %q, %d %q", info.Name, info.Expiration, info.Metadata, p.Expiration, p.Metadata)
		}
		sum := pairSum(info.Name, p.Value, string(p.Metadata), p.Expiration)
		got.sums[info.Name] = sum
		got.sum ^= sum
	}
	var err error
	got.usage, err = usageOf(s)
	return got, err
}

// usageOf returns the usage without the bytes on disk, after checking that the
// counts by segment add up to it.
func usageOf(s *Store) (Usage, error) {
	u := s.Usage()
	u.DiskBytes = 0
	var in Count
	for _, sg := range s.segs.all() {
		live := sg.counts.live()
		if live.Records < 0 || live.Bytes < 0 || (live.Records == 0) != (live.Bytes == 0) {
			return u, fmt.Errorf("usage of %s: puts %+v, overwritten %+v, deleted %+v, expired %+v", sg.name(),
				sg.counts.puts.count(), sg.counts.overwritten.count(), sg.counts.deleted.count(), sg.counts.expired.count())
		}
		in.Records += live.Records
		in.Bytes += live.Bytes
	}
	t := s.index.Totals(s.clock.now())
	want := Count{t.Keys, t.Bytes}
	if in != want {
		return u, fmt.Errorf("usage: the segments hold %+v, the index %+v", in, want)
	}
	return u, nil
}

// checkContents compares the store with the history.
func checkContents(ctx context.Context, s *Store, h *history) error {
	got, err := readContents(ctx, s)
	if err != nil {
		return err
	}
	if len(got.sums) != len(h.visible("", got.now)) || got.sum != h.sum(got.now) || !h.agrees(got.usage, got.now) {
		return fmt.Errorf("the store differs from the model:%s", h.differences(got))
	}
	return nil
}

// checkPair compares what the store says of one key with the history.
func checkPair(ctx context.Context, s *Store, h *history, key string) error {
	got, err := s.GetPair(ctx, key)
	want := h.pairs[key]
	switch {
	case err == nil && !want.visible(s.clock.now()):
		return fmt.Errorf("get %q: there is a pair, there should be none", key)
	case err != nil && want.visible(s.clock.now()):
		return fmt.Errorf("get %q: %w, there should be a pair of %d bytes", key, err, want.size)
	case err == nil && pairSum(key, got.Value, string(got.Metadata), got.Expiration) != want.sum:
		return fmt.Errorf("get %q: %d bytes, metadata %q, expiration %d; it should be %d, %q, %d",
			key, len(got.Value), got.Metadata, got.Expiration, len(want.value), want.meta, want.expiration)
	}
	return nil
}

// checkPairs is checkPair for all keys that there are or have been lately.
func checkPairs(ctx context.Context, s *Store, h *history) error {
	for key := range h.pairs {
		if err := checkPair(ctx, s, h, key); err != nil {
			return err
		}
	}
	for _, step := range h.steps {
		for _, c := range step.changes {
			if err := checkPair(ctx, s, h, c.key); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkVerify has the store check itself.
func checkVerify(ctx context.Context, s *Store) error {
	report, err := s.Verify(ctx, nil)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if len(report.Damage) > 0 {
		return fmt.Errorf("verify: %v", report.Damage[0])
	}
	return nil
}

// valuePool is what values are cut from: the first half compresses well, the
// second does not at all.
var valuePool = makeValuePool()

func makeValuePool() []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	pool := make([]byte, 0, 2<<20)
	for len(pool) < 1<<20 {
		pool = fmt.Appendf(pool, `{"id":%d,"name":"user %d","tags":["a","b"]},`, rng.IntN(1e6), rng.IntN(1000))
	}
	for len(pool) < 2<<20 {
		pool = binary.LittleEndian.AppendUint64(pool, rng.Uint64())
	}
	return pool
}

func poolValue(rng *rand.Rand, n int) []byte {
	at := rng.IntN(len(valuePool) - n + 1)
	return valuePool[at : at+n : at+n]
}

// noise is poolValue of what does not compress.
func noise(rng *rand.Rand, n int) []byte {
	at := 1<<20 + rng.IntN(1<<20-n)
	return valuePool[at : at+n : at+n]
}

// testClock is a clock that stands still until it is moved.
type testClock struct{ second atomic.Int64 }

func newTestClock() *testClock {
	c := &testClock{}
	c.second.Store(1_800_000_000)
	return c
}

func (c *testClock) now() time.Time        { return time.Unix(c.second.Load(), 0) }
func (c *testClock) advance(seconds int64) { c.second.Add(seconds) }

const memDir = "/srv/firn/db"

// memOptions are those of a store with small segments on a file system of its
// own.
func memOptions(fsys vfs.FS, mode SyncMode, c *testClock) *Options {
	return &Options{
		Sync: mode, SegmentBytes: minSegmentBytes, CacheBytes: 256 << 10,
		Limits: Limits{MinTTL: time.Second}, ManualCompaction: true,
		Clock: c.now, Logger: slog.New(slog.DiscardHandler), fs: fsys,
	}
}

// slowSync is SyncEvery of a time that no test lives to see.
var slowSync = SyncEvery(time.Hour)

var syncModes = []struct {
	name string
	mode SyncMode
}{{"always", SyncAlways}, {"every", slowSync}, {"never", SyncNever}}

// options returns those that put the pair.
func (p *modelPair) options() *PutOptions {
	if p.meta == "" && p.expiration == 0 {
		return nil
	}
	opts := &PutOptions{Expiration: p.expiration}
	if p.meta != "" {
		opts.Metadata = []byte(p.meta)
	}
	return opts
}

// perform does what a step of a history says: a put, a delete, or a batch.
func perform(ctx context.Context, s *Store, writes ...modelWrite) error {
	if len(writes) > 1 {
		var b Batch
		for _, w := range writes {
			if w.pair == nil {
				b.Delete(w.key)
			} else {
				b.Put(w.key, w.pair.value, w.pair.options())
			}
		}
		return s.Write(ctx, &b)
	}
	w := writes[0]
	if w.pair == nil {
		return s.Delete(ctx, w.key)
	}
	return s.Put(ctx, w.key, w.pair.value, w.pair.options())
}

// trickle reads like a slow network connection: little at a time.
type trickle struct {
	b   []byte
	rng *rand.Rand
}

func (r *trickle) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := min(1+r.rng.IntN(16<<10), len(r.b), len(p))
	copy(p, r.b[:n])
	r.b = r.b[n:]
	return n, nil
}
