package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/firnkv/firn/cmd/torture/internal/workload"
	"github.com/firnkv/firn/engine"
)

// damagesPerCopy is how often a copy is damaged, one damage at a time.
const damagesPerCopy = 12

// damage damages a copy of the store, which was closed, at random places. Whoever
// opens or reads it then has to be told, or to get what was written.
func (r *Run) damage(ctx context.Context) error {
	if err := r.store.Close(); err != nil {
		return err
	}
	r.tally.add(cleanOpens)
	dir := r.newPath("damaged")
	if err := errors.Join(copyAtRest(ctx, r.path, dir), r.open()); err != nil {
		return err
	}
	for i := range damagesPerCopy {
		d, err := newDamage(dir, r.rng)
		if err != nil {
			return err
		}
		opts := r.readOnly()
		if i == damagesPerCopy-1 {
			opts.ReadOnly = false // changes the copy: this is the last
		}
		if err := r.tryDamage(ctx, dir, d, opts); err != nil {
			return fmt.Errorf("%v: %w", d, err)
		}
	}
	return os.RemoveAll(dir)
}

// damaged is a place in a file.
type damaged struct {
	path     string
	off      int64
	old, new []byte
}

func (d *damaged) String() string {
	return fmt.Sprintf("%s at %d: %x instead of %x", d.path, d.off, d.new, d.old)
}

// newDamage picks a place. Half of the time all files are as likely, and otherwise
// all bytes.
func newDamage(dir string, rng *rand.Rand) (*damaged, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	var sizes []int64
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if info.Size() > 0 {
			paths, sizes = append(paths, filepath.Join(dir, e.Name())), append(sizes, info.Size())
			total += info.Size()
		}
	}
	i := rng.IntN(len(paths))
	off := rng.Int64N(sizes[i])
	if rng.IntN(2) == 0 {
		off = rng.Int64N(total)
		for i = 0; off >= sizes[i]; i++ {
			off -= sizes[i]
		}
	}
	content, err := os.ReadFile(paths[i])
	if err != nil {
		return nil, err
	}
	d := &damaged{path: paths[i], off: off, old: content[off:min(off+16, int64(len(content)))]}
	d.new = make([]byte, len(d.old))
	if rng.IntN(3) > 0 || bytes.Equal(d.old, d.new) {
		d.old = d.old[:1]
		d.new = []byte{d.old[0] ^ 1<<rng.IntN(8)}
	}
	return d, nil
}

func (d *damaged) put(b []byte) error {
	f, err := os.OpenFile(d.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, d.off)
	return errors.Join(err, f.Close())
}

func (r *Run) tryDamage(ctx context.Context, dir string, d *damaged, opts *engine.Options) error {
	if err := d.put(d.new); err != nil {
		return err
	}
	r.tally.add(damages)
	found, err := r.readDamaged(ctx, dir, opts)
	if err != nil {
		return err
	}
	r.tally.add(found)
	if !opts.ReadOnly {
		return nil // the file may be gone
	}
	return d.put(d.old)
}

// readDamaged reads a damaged store in every way, and returns what found the
// damage.
func (r *Run) readDamaged(ctx context.Context, dir string, opts *engine.Options) (what, error) {
	store, err := engine.Open(dir, opts)
	if errors.Is(err, engine.ErrCorrupt) || errors.Is(err, engine.ErrVersion) {
		return damageOpen, nil
	}
	if err != nil {
		return "", err
	}
	defer store.Close()
	if !opts.ReadOnly {
		// What is rewritten must not get a checksum that makes it right.
		if err := store.Compact(ctx); err != nil && !errors.Is(err, engine.ErrCorrupt) {
			return "", err
		}
	}
	found := damageNone
	report, err := store.Verify(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("verify: %w", err)
	}
	if len(report.Damage) > 0 {
		found = damageVerify
	}
	for w := range writers {
		missed, err := r.readKeys(ctx, store, w)
		if err != nil {
			return "", err
		}
		if missed {
			if found == damageNone {
				return "", errors.New("reads fail, but verify finds nothing")
			}
			found = damageRead
		}
	}
	return found, nil
}

// readKeys reads a writer's keys and lists them. It returns whether that failed as it
// may; anything wrong is an error.
func (r *Run) readKeys(ctx context.Context, store *engine.Store, w int) (failed bool, err error) {
	l, sp := r.ledgers[w], r.begin(w)
	r.end(w, &sp)
	infos, err := list(ctx, store, workload.Prefix(w), 0)
	switch {
	case errors.Is(err, engine.ErrCorrupt):
		failed = true
	case err != nil:
		return false, err
	default:
		if err := fitsListing(l, w, infos, sp); err != nil {
			return false, err
		}
	}
	for i, key := range workload.Keys(w) {
		s, err := workload.Look(ctx, store, key, i%2 == 0)
		switch {
		case errors.Is(err, engine.ErrCorrupt):
			failed = true
		case err != nil:
			return false, err
		default:
			if err := l.Fits(key, s, sp); err != nil {
				return false, err
			}
		}
	}
	return failed, nil
}
