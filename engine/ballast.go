package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/firnkv/firn/compaction"
)

// ballast is a file that only takes space. On a full disk it is given up, so
// that deletes and edits of the manifest still go through: without them, nothing
// would ever make room. Until there is room to make it again, puts are refused;
// they would take what is left.
//
// A store that is still small does without. It is small enough to be copied to
// another disk.
type ballast struct {
	s     *Store
	state atomic.Int32 // changed with mu held
	wants atomic.Int64 // free bytes below which puts are refused now, 0 if they are not; see reserve

	// mu is held by who makes or removes the file. No other lock is taken
	// under it.
	mu   sync.Mutex
	file bool // it is there
}

const (
	ballastNone    int32 = iota // not wanted yet, or it could not be made for another reason than a full disk
	ballastHeld                 // it is there
	ballastMissing              // it is wanted and there is no room for it: puts are refused
)

const (
	ballastName = "BALLAST"

	// ballastSize is room for some 10,000 deletes that are synced one by one
	// at 80 bytes each, or for four log segments as they are made.
	ballastSize = 1 << 20

	// defaultBallastFrom is what a store takes on disk before it has one.
	defaultBallastFrom = 32 << 20
)

// errReserve refuses puts.
var errReserve = fmt.Errorf("%w: what is left of the disk is kept for compaction", ErrNoSpace)

// errBallast refuses puts.
var errBallast = fmt.Errorf("%w: what is left of the disk is kept for deletes", ErrNoSpace)

// open looks for the file of an earlier life. One of another size is of no use: a
// crash interrupted its making.
func (b *ballast) open(s *Store) {
	b.s = s
	if s.opts.ReadOnly {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	info, err := s.fs.Stat(s.path(ballastName))
	switch {
	case err != nil: // it is not there, or is made again
	case info.Mode.IsRegular() && info.Size == ballastSize:
		b.file = true
		b.state.Store(ballastHeld)
	default:
		_ = b.remove() // or who makes it does
	}
}

// tend makes the file if the store has grown to need it, or if there is room for
// it again. That it cannot be made is no error of the caller, who may hold any
// lock of the store.
func (b *ballast) tend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state.Load() {
	case ballastNone:
		if b.s.written() > b.s.opts.ballastFrom {
			_ = b.restore()
		}
	case ballastMissing:
		_ = b.restore()
	}
}

// grown has the background tend the ballast if a value segment has become large:
// nothing else may wake it.
func (b *ballast) grown(sg *seg) {
	if b.state.Load() == ballastNone && sg.end.Load() > b.s.opts.ballastFrom {
		b.s.background.wake()
	}
}

// written returns how many bytes the segments hold.
func (s *Store) written() int64 {
	var n int64
	for _, sg := range s.segs.all() {
		n += sg.end.Load()
	}
	return n
}

// reserve has puts refused while so little of the disk is free, beside the ballast,
// that compaction could not write a segment: then only what dies as a whole would
// ever make room. free is negative if it is not known. A store without a ballast is
// small enough to do without this too.
func (b *ballast) reserve(total, free int64) {
	wants := compaction.Reserve(total)
	if free < 0 || free >= wants || b.state.Load() == ballastNone {
		wants = 0
	}
	if b.wants.Swap(wants) == 0 && wants > 0 {
		b.s.log.Warn("the disk is nearly full; puts are refused until compaction or somebody else makes room",
			"dir", b.s.dir, "free", free, "wanted", wants)
	}
}

// reserved returns an error while puts are refused for the sake of compaction. Room
// that was made is noticed at once.
func (b *ballast) reserved() error {
	wants := b.wants.Load()
	if wants == 0 {
		return nil
	}
	if free, err := b.s.fs.Free(b.s.dir); err == nil && free < wants {
		return errReserve
	}
	b.wants.CompareAndSwap(wants, 0)
	return nil
}

// missing reports whether puts are refused.
func (b *ballast) missing() bool { return b.state.Load() == ballastMissing }

// admitPut returns why puts are refused, after it tried to make the file again.
func (b *ballast) admitPut() error {
	if err := b.reserved(); err != nil {
		return err
	}
	if !b.missing() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.missing() {
		return nil
	}
	return b.restore()
}

// restore makes the file again if there is room for it and as much beside it. It
// returns an error if puts are to be refused. mu is held.
func (b *ballast) restore() error {
	need := int64(2 * ballastSize)
	if b.file {
		need = ballastSize
	}
	if free, err := b.s.fs.Free(b.s.dir); err == nil && free < need {
		b.state.Store(ballastMissing)
		return errBallast
	}
	if !b.file {
		err := b.make()
		if isNoSpace(err) && b.missing() {
			return errBallast // a quota, which Free does not know
		}
		if err != nil {
			b.s.log.Warn("no ballast; deletes fail too if the disk is full", "dir", b.s.dir, "error", err)
			b.state.Store(ballastNone)
			return nil
		}
		b.file = true
	}
	if b.state.Swap(ballastHeld) == ballastMissing {
		b.s.background.wake() // what it put off
	}
	return nil
}

// make makes the file. It needs no sync: after a crash it is made again.
func (b *ballast) make() error {
	file, err := b.s.createTmp(ballastName)
	if err != nil {
		return fmt.Errorf("create %s: %w", ballastName, err)
	}
	err = file.Preallocate(0, ballastSize)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = b.remove()
		return fmt.Errorf("preallocate %s: %w", ballastName, err)
	}
	return nil
}

func (b *ballast) remove() error {
	err := b.s.fs.Remove(b.s.path(ballastName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// refusePuts has puts refused that are not admitted yet. It reports whether there
// is, or was, a ballast.
func (b *ballast) refusePuts() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.Load() == ballastNone {
		return false
	}
	b.state.Store(ballastMissing)
	return true
}

// give gives the ballast up. It reports whether that made room.
func (b *ballast) give() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.file {
		return false
	}
	b.state.Store(ballastMissing)
	if err := b.remove(); err != nil {
		b.s.log.Warn("the disk is full, and the ballast cannot be given up", "dir", b.s.dir, "error", err)
		return false
	}
	b.file = false
	b.s.log.Warn("the disk is full; puts are refused until there is room", "dir", b.s.dir)
	return true
}
