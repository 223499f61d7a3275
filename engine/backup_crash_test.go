package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// backupScript makes backups one after the other of a store that grows. The first
// and the second copy the live log, the third has it sealed by then.
type backupScript struct {
	*script
	states []*history // of the backups that were begun, from 1 on
	begun  atomic.Int64
	done   atomic.Int64
}

func newBackupScript(fsys vfs.FS, mode SyncMode, seed uint64) *backupScript {
	return &backupScript{
		script: newScript(fsys, mode, newHistory(), rand.New(rand.NewPCG(seed, 1))),
		states: []*history{nil},
	}
}

// bounds packs how many backups are there and how many steps the store has.
func (bs *backupScript) bounds() (least, most int) {
	durable, steps := bs.script.bounds()
	return int(bs.done.Load())<<16 | durable, int(bs.begun.Load())<<16 | steps
}

func (bs *backupScript) backup() (BackupReport, error) {
	bs.states = append(bs.states, bs.h.clone())
	bs.begun.Add(1)
	report, err := bs.s.Backup(bs.ctx, backupDir, nil)
	if err == nil {
		bs.synced()
		bs.done.Store(bs.begun.Load())
	}
	return report, err
}

// grow writes what makes the next backup differ: with values that are sealed for
// it now and then.
func (bs *backupScript) grow(i int) error {
	if err := bs.fill([]int{30, 18, 40}[i]); err != nil {
		return err
	}
	if i == 1 {
		_, err := bs.s.sealValues(bs.s.values.open[0])
		return err
	}
	return nil
}

// TestBackupCrashAtEveryOperation cuts backups at every operation of the file
// system. The directory holds the backup before, the new one, or, at the first
// one, none; never anything else. The store is not harmed, also not by somebody
// who opens what is there for writing, and the next backup works.
func TestBackupCrashAtEveryOperation(t *testing.T) {
	seed := testSeed(t)
	for _, mode := range syncModes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			mem := vfs.NewMem()
			mem.StaleData = seed%2 == 0
			rec := newRecorder(mem, 2, rng)
			bs := newBackupScript(rec.fault, mode.mode, seed)
			if err := bs.open(); err != nil {
				t.Fatal(err)
			}
			defer bs.s.Close()
			var points []*crashPoint
			for i := range 3 {
				if err := bs.grow(i); err != nil {
					t.Fatal(err)
				}
				if i != 1 {
					awaitSealed(t, bs.s)
				}
				rec.start(bs.bounds)
				report, err := bs.backup()
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%+v", report)
				points = rec.stop()
			}
			if underRace || testing.Short() {
				rng.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
				points = points[:60]
			}
			for _, p := range points {
				if err := bs.check(p, rng); err != nil {
					t.Fatalf("%v, backups %d to %d: %v", p.op, p.least>>16, p.most>>16, err)
				}
			}
			t.Logf("%d crashes", len(points))
		})
	}
}

// check looks at what a crash left of both directories.
func (bs *backupScript) check(p *crashPoint, rng *rand.Rand) error {
	if err := bs.checkDest(p.mem.Kill(), p.least>>16, p.most>>16); err != nil {
		return err
	}
	const steps = 1<<16 - 1
	if rng.IntN(2) == 0 {
		if err := bs.checkOpened(p.mem.Kill(), p.most&steps); err != nil {
			return fmt.Errorf("the backup was opened for writing: %w", err)
		}
	}
	at := &crashPoint{mem: p.mem, least: p.least & steps, most: p.most & steps}
	sc, err := recovered(p.mem, at, bs.mode, bs.h.clone(), rng)
	if err != nil {
		return fmt.Errorf("the store: %w", err)
	}
	defer func() { _ = sc.s.Close() }()
	if err := checkVerify(sc.ctx, sc.s); err != nil {
		return fmt.Errorf("the store: %w", err)
	}
	if rng.IntN(2) == 0 {
		if err := sc.fill(10); err != nil {
			return fmt.Errorf("the store: %w", err)
		}
	}
	if _, err := sc.s.Backup(sc.ctx, backupDir, nil); err != nil {
		return fmt.Errorf("the next backup: %w", err)
	}
	if err := sc.checkBackup(backupDir, sc.h); err != nil {
		return fmt.Errorf("the next backup: %w", err)
	}
	sc.fs = p.mem.Crash(rng)
	if err := sc.checkBackup(backupDir, sc.h); err != nil {
		return fmt.Errorf("the next backup, after a power loss: %w", err)
	}
	names, err := sc.fs.List(backupDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".tmp") {
			return fmt.Errorf("the next backup left %s", name)
		}
	}
	return nil
}

// checkDest checks that the directory holds one of the backups.
func (bs *backupScript) checkDest(mem *vfs.Mem, least, most int) error {
	opts := memOptions(mem, bs.mode, bs.clock)
	opts.ReadOnly = true
	s, err := Open(backupDir, opts)
	if err != nil {
		if least == 0 && (errors.Is(err, ErrNotStore) || errors.Is(err, fs.ErrNotExist)) {
			return nil
		}
		return fmt.Errorf("the backup: %w", err)
	}
	defer s.Close()
	if err := checkVerify(bs.ctx, s); err != nil {
		return fmt.Errorf("the backup: %w", err)
	}
	for i := max(least, 1); i <= most; i++ {
		if err = checkContents(bs.ctx, s, bs.states[i]); err == nil {
			return nil
		}
	}
	return fmt.Errorf("the backup is none of numbers %d to %d: %w", least, most, err)
}

// checkOpened opens what is there of the backup for writing, and writes to it. It
// does not change the store.
func (bs *backupScript) checkOpened(mem *vfs.Mem, most int) error {
	other := newScript(mem, bs.mode, newHistory(), rand.New(rand.NewPCG(1, 1)))
	s, err := other.opened(backupDir, false)
	if errors.Is(err, ErrNotStore) {
		return nil
	}
	if err != nil {
		return err
	}
	other.s = s
	err = other.fill(30)
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	sc, err := recovered(mem, &crashPoint{least: 0, most: most}, bs.mode, bs.h.clone(), other.rng)
	if err != nil {
		return fmt.Errorf("the store: %w", err)
	}
	defer sc.s.Close()
	if err := checkVerify(sc.ctx, sc.s); err != nil {
		return fmt.Errorf("the store: %w", err)
	}
	if _, err := sc.s.Backup(sc.ctx, backupDir, nil); !errors.Is(err, ErrNotBackup) {
		return fmt.Errorf("the store takes it for a backup: %w", err)
	}
	return nil
}

// TestBackupFaultOfEveryOperation fails each operation of backups in turn. The
// directory then holds a backup, the store works on unless its own sync failed,
// and the next backup works.
func TestBackupFaultOfEveryOperation(t *testing.T) {
	seed := testSeed(t)
	faults := newFaultTotal(t)
	for _, mode := range syncModes {
		for _, kind := range faultKinds {
			t.Run(mode.name+"/"+kind.name, func(t *testing.T) {
				t.Parallel()
				step := int64(1)
				if testing.Short() || underRace {
					step = 9
				}
				n := int64(seed % uint64(step))
				for again := true; again; n += step {
					var op vfs.Op
					var err error
					if again, err = failBackup(mode.mode, kind.err, n, seed, &op); err != nil {
						t.Fatalf("%v: %v", op, err)
					}
					if again {
						faults.add(op)
					}
				}
			})
		}
	}
}

// failBackup has operation number n of the backups of a script fail. It reports
// whether there was such a one.
func failBackup(mode SyncMode, with error, n int64, seed uint64, failed *vfs.Op) (again bool, err error) {
	mem := vfs.NewMem()
	fault := vfs.NewFault(mem)
	bs := newBackupScript(fault, mode, seed)
	if err := bs.open(); err != nil {
		return false, err
	}
	defer func() {
		_ = bs.s.Close()
		if err == nil {
			err = checkAllClosed(mem)
		}
	}()
	var ops atomic.Int64
	var done atomic.Bool
	for i := range 3 {
		if err := bs.grow(i); errors.Is(err, ErrReadOnly) && done.Load() {
			return true, nil // it was a sync of the background
		} else if err != nil {
			return done.Load(), err
		}
		fault.SetHook(func(op vfs.Op) error {
			var short vfs.ShortWrite
			if errors.As(with, &short) && op.Kind != vfs.KindWrite {
				return nil
			}
			if ops.Add(1)-1 != n {
				return nil
			}
			*failed = op
			done.Store(true)
			return with
		})
		_, err := bs.backup()
		fault.SetHook(nil)
		if err != nil && !done.Load() {
			return false, fmt.Errorf("backup %d, without a fault: %w", i+1, err)
		}
		if err == nil {
			if err := bs.checkDest(mem.Kill(), i+1, i+1); err != nil {
				return true, fmt.Errorf("backup %d: %w", i+1, err)
			}
			continue
		}
		return true, bs.afterFault(mem, err, i)
	}
	return done.Load(), nil
}

// afterFault checks what is left when backup number i+1 failed with err.
func (bs *backupScript) afterFault(mem *vfs.Mem, err error, i int) error {
	if !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, ErrReadOnly) {
		return fmt.Errorf("not the error that was injected: %w", err)
	}
	if err := bs.checkDest(mem.Kill(), i, i+1); err != nil {
		return fmt.Errorf("after the error: %w", err)
	}
	if bs.s.committer.check() != nil || bs.s.manifest.broken != nil {
		// A sync of its own failed: it may lose what was not durable.
		_ = bs.s.Close()
		if err := bs.open(); err != nil {
			return err
		}
		got, err := readContents(bs.ctx, bs.s)
		if err != nil {
			return fmt.Errorf("the store: %w", err)
		}
		if err := bs.h.settle(got, bs.durable, bs.h.len()); err != nil {
			return fmt.Errorf("the store: %w", err)
		}
	}
	if err := checkContents(bs.ctx, bs.s, bs.h); err != nil {
		return fmt.Errorf("the store: %w", err)
	}
	if _, err := bs.backup(); err != nil {
		return fmt.Errorf("the next backup: %w", err)
	}
	n := len(bs.states) - 1
	return bs.checkDest(mem.Kill(), n, n)
}
