package kill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/firnkv/firn/cmd/torture/internal/workload"
	"github.com/firnkv/firn/engine"
)

// writers is how many there are; in every other round only one of them writes.
const writers = 16

// Counts are what a run has done.
type Counts struct {
	Rounds           int   `json:"rounds"`
	Acknowledged     int64 `json:"acknowledged"`      // writes, of which a batch is one
	UnderWay         int64 `json:"under_way"`         // writes that were there, but not acknowledged
	DuringOpen       int   `json:"during_open"`       // kills before the store was open
	DuringCompaction int   `json:"during_compaction"` // kills, by what was last heard of
	DuringBackup     int   `json:"during_backup"`     // kills
	Backups          int   `json:"backups"`           // that were compared
}

// Add adds the counts of another run.
func (c *Counts) Add(o Counts) {
	c.Rounds += o.Rounds
	c.Acknowledged += o.Acknowledged
	c.UnderWay += o.UnderWay
	c.DuringOpen += o.DuringOpen
	c.DuringCompaction += o.DuringCompaction
	c.DuringBackup += o.DuringBackup
	c.Backups += o.Backups
}

func (c Counts) String() string {
	return fmt.Sprintf("%d rounds: %d writes acknowledged, %d more were there; %d kills during opening, %d during compaction, %d during a backup; %d backups compared",
		c.Rounds, c.Acknowledged, c.UnderWay, c.DuringOpen, c.DuringCompaction, c.DuringBackup, c.Backups)
}

// Run is a store with what it has to hold.
type Run struct {
	Counts Counts

	dir     string
	seed    uint64
	rng     *rand.Rand
	now     int64 // seconds
	next    [writers]int
	ledgers [writers]*workload.Ledger
	backup  backups
}

// New begins a run in an empty directory.
func New(dir string, seed uint64) *Run {
	r := &Run{dir: dir, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), now: 1_800_000_000}
	for w := range r.ledgers {
		r.ledgers[w] = workload.NewLedger()
	}
	return r
}

func (r *Run) store() string { return filepath.Join(r.dir, "store") }

// Round has a child write until it is killed, and checks what it left. An error is
// a violation, unless ctx has ended or the child could not be started.
func (r *Run) Round(ctx context.Context) error {
	o := r.order()
	w, err := r.kill(ctx, o)
	if err != nil {
		return fmt.Errorf("round %d: %w", r.Counts.Rounds, err)
	}
	r.now += roundSeconds
	if err := r.check(ctx, w); err != nil {
		return fmt.Errorf("round %d, with %d writers: %w", r.Counts.Rounds, len(o.Next), err)
	}
	r.Counts.Rounds++
	return nil
}

func (r *Run) order() *order {
	o := &order{Store: r.store(), Seed: r.seed, Now: r.now, Next: map[int]int{}}
	switch r.rng.IntN(10) {
	case 0, 1:
		o.Compact = true
	case 2, 3, 4:
		o.Manual = true
	}
	if r.rng.IntN(3) == 0 {
		o.Backup = r.backup.dir(r.dir)
	}
	if r.Counts.Rounds%2 == 0 {
		for w, n := range r.next {
			o.Next[w] = n
		}
	} else {
		w := r.rng.IntN(writers)
		o.Next[w] = r.next[w]
	}
	return o
}

// kill runs a child and keeps the ledgers.
func (r *Run) kill(ctx context.Context, o *order) (*witness, error) {
	w := &witness{}
	err := observe(ctx, o, pick(r.rng, o), w, func(line string) error { return r.hear(w, line) })
	if err != nil {
		return nil, err
	}
	switch {
	case !w.opened:
		r.Counts.DuringOpen++
	case w.backingUp:
		r.Counts.DuringBackup++
	}
	if w.compacting {
		r.Counts.DuringCompaction++
	}
	for writer := range o.Next {
		// The store may be open without the parent having heard of it.
		r.ledgers[writer].Begin(r.plan(writer))
	}
	return w, nil
}

func (r *Run) plan(writer int) workload.Step {
	return workload.Plan(r.seed, writer, r.next[writer], r.now, expires)
}

func (r *Run) hear(w *witness, line string) error {
	switch line {
	case reportOpen:
		w.opened = true
		return nil
	case reportBackupBegin:
		w.backingUp = true
		r.backup.begin(&r.ledgers)
		return nil
	case reportBackupEnd:
		w.backingUp = false
		r.backup.end(&r.ledgers)
		return nil
	}
	var writer, n int
	var running string
	if _, err := fmt.Sscanf(line, reportAck, &writer, &n, &running); err != nil || n != r.next[writer] {
		return fmt.Errorf("the child reports %q, which is not what it was told to do", line)
	}
	r.ledgers[writer].Begin(r.plan(writer))
	r.ledgers[writer].Acknowledge()
	r.next[writer]++
	r.Counts.Acknowledged++
	w.acks++
	w.compacting = running != noCompaction
	return nil
}

// check opens the store as it was left and compares it with the ledgers. In two of
// four rounds it is opened read-only, so that recovery is left to the next child.
func (r *Run) check(ctx context.Context, w *witness) error {
	opts := options(func() time.Time { return time.Unix(r.now, 0) })
	opts.ReadOnly = r.Counts.Rounds%4 < 2
	store, err := engine.Open(r.store(), opts)
	if errors.Is(err, engine.ErrNotStore) && opts.ReadOnly && !w.opened && r.neverOpened() {
		return nil
	}
	if err != nil {
		return err
	}
	defer store.Close()
	reached, err := r.match(ctx, store)
	if err != nil {
		return err
	}
	if err := workload.Verify(ctx, store); err != nil {
		return err
	}
	if !opts.ReadOnly && r.rng.IntN(2) == 0 {
		if err := r.compact(ctx, store, reached); err != nil {
			return fmt.Errorf("after a full compaction: %w", err)
		}
	}
	if err := r.checkBackup(ctx); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	r.settle(reached)
	return store.Close()
}

// neverOpened reports whether no child is known to have opened the store.
func (r *Run) neverOpened() bool { return r.Counts.DuringOpen == r.Counts.Rounds+1 }

// match returns after how many of its steps the store is, by writer.
func (r *Run) match(ctx context.Context, store *engine.Store) (reached [writers]int, err error) {
	got, err := workload.Contents(ctx, store, writers)
	if err != nil {
		return reached, err
	}
	for w, l := range r.ledgers {
		if reached[w], err = l.Match(got[w], r.now, l.Done(), l.Begun()); err != nil {
			return reached, fmt.Errorf("writer %d: %w", w, err)
		}
	}
	return reached, nil
}

// compact packs everything, which must not change anything.
func (r *Run) compact(ctx context.Context, store *engine.Store, want [writers]int) error {
	if err := store.Compact(ctx); err != nil {
		return err
	}
	reached, err := r.match(ctx, store)
	if err == nil && reached != want {
		err = fmt.Errorf("it was at steps %v, now it is at %v", want, reached)
	}
	if err != nil {
		return err
	}
	return workload.Verify(ctx, store)
}

// settle makes what was found the state that the next round begins with. A step
// that was under way is never done again, lest it be taken for the one that was
// lost.
func (r *Run) settle(reached [writers]int) {
	for w, l := range r.ledgers {
		if l.Begun() > l.Done() {
			r.next[w]++
		}
		if reached[w] > l.Done() {
			r.Counts.UnderWay++
		}
		l.Settle(reached[w])
	}
}

// backups are what a backup directory may hold.
type backups struct {
	n     int
	path  string
	last  *version // that was there before this round, or was completed in it
	begun *version // that may have replaced it
}

// version is a state of the store that lies between two others.
type version struct {
	ledgers   *[writers]*workload.Ledger
	low, high [writers]int
}

// dir returns where to the next backup goes: mostly to where the last one is.
func (b *backups) dir(parent string) string {
	if b.path == "" || b.n%8 == 0 {
		if b.path != "" {
			_ = os.RemoveAll(b.path) // only takes space
		}
		b.path = filepath.Join(parent, fmt.Sprintf("backup-%d", b.n))
		b.last, b.begun = nil, nil
	}
	b.n++
	return b.path
}

func (b *backups) begin(ledgers *[writers]*workload.Ledger) {
	v := &version{ledgers: ledgers}
	for w, l := range ledgers {
		v.low[w], v.high[w] = l.Done(), 1<<30
	}
	b.begun = v
}

func (b *backups) end(ledgers *[writers]*workload.Ledger) {
	b.last, b.begun = b.begun, nil
	for w, l := range ledgers {
		b.last.high[w] = l.Done() + 1
	}
}

// checkBackup compares the backup that is there with those that may be.
func (r *Run) checkBackup(ctx context.Context) error {
	b := &r.backup
	if b.last == nil && b.begun == nil {
		return nil
	}
	opts := options(func() time.Time { return time.Unix(r.now, 0) })
	opts.ReadOnly = true
	store, err := engine.Open(b.path, opts)
	if errors.Is(err, engine.ErrNotStore) && b.last == nil {
		b.begun = nil // the first one was interrupted; the next one goes on with it
		return nil
	}
	if err != nil {
		return err
	}
	defer store.Close()
	got, err := workload.Contents(ctx, store, writers)
	if err != nil {
		return err
	}
	if err := workload.Verify(ctx, store); err != nil {
		return err
	}
	var problems []string
	for _, v := range []*version{b.begun, b.last} {
		if v == nil {
			continue
		}
		found, err := v.match(got, r.now)
		if err == nil {
			b.last, b.begun = found, nil
			r.Counts.Backups++
			return store.Close()
		}
		problems = append(problems, err.Error())
	}
	return errors.New(strings.Join(problems, "\nand as the one before: "))
}

// match returns the version as exactly as it was found.
func (v *version) match(got []map[string]workload.State, now int64) (*version, error) {
	found := &version{ledgers: &[writers]*workload.Ledger{}}
	for w, l := range v.ledgers {
		n, err := l.Match(got[w], now, v.low[w], v.high[w])
		if err != nil {
			return nil, fmt.Errorf("writer %d: %w", w, err)
		}
		found.ledgers[w] = l.Clone()
		found.ledgers[w].Settle(n)
	}
	return found, nil
}
