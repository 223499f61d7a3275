package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/engine/internal/cache"
	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// Store is an open store. All methods are safe for concurrent use.
type Store struct {
	dir   string
	opts  Options
	fs    vfs.FS
	log   *slog.Logger
	clock clock
	lock  io.Closer

	// state guards the manifest and changes of the segment table. It is
	// taken after the locks of the committer.
	state    sync.Mutex
	manifest *manifest

	segs      segTable
	index     *index.Index
	hasher    *index.Hasher
	cache     *cache.Cache
	committer committer
	values    valueLog

	ballast    ballast
	background background
	compactor  compactor
	throttle   throttle
	closed     atomic.Bool
	closeOnce  sync.Once
	closeErr   error
	recovered  recovery

	checkpointed    checkpointed
	checkpointBytes atomic.Int64 // written since the store was opened
}

const lockName = "LOCK"

// Open opens the store in dir, and creates it if the directory is empty or
// missing. opts may be nil. Only one Store at a time may have a directory open
// for writing; others get [ErrLocked].
//
// After a crash, Open recovers what was acknowledged: see the package
// documentation. If it finds damage in that, it changes nothing and returns an
// error that matches [ErrCorrupt].
func Open(dir string, opts *Options) (*Store, error) {
	o := opts.withDefaults()
	s := &Store{dir: filepath.Clean(dir), opts: o, fs: o.fs, log: o.Logger}
	s.clock.source = o.Clock
	if err := s.open(); err != nil {
		s.abandon()
		return nil, fmt.Errorf("open %s: %w", s.dir, s.diskError(err))
	}
	return s, nil
}

func (s *Store) open() error {
	if err := s.openDir(); err != nil {
		return err
	}
	if err := s.openOrCreateManifest(); err != nil {
		return err
	}
	if err := s.checkClock(s.manifest.state.maxTime); err != nil {
		return err
	}
	if err := s.checkFiles(); err != nil {
		return err
	}
	s.ballast.open(s)
	s.segs.init()
	s.index = index.New()
	s.hasher = index.NewHasher(s.manifest.state.indexKey)
	s.cache = cache.New(s.opts.CacheBytes)
	comp, err := segment.NewCompressor(segment.Fast, nil)
	if err != nil {
		return err
	}
	s.committer.init(s, comp)
	s.throttle.start = time.Now()
	s.compactor.init(s)
	s.values.init(s, comp)
	if err := s.recover(); err != nil {
		return err
	}
	if s.opts.ReadOnly {
		s.committer.failed = ErrReadOnly
		return nil
	}
	s.ballast.tend()
	s.compactor.unit.Store(compaction.Unit(s.diskBytes()))
	s.compactor.start()
	s.background.start(s)
	if s.committer.async {
		s.committer.flusher.start(&s.committer, s.opts.Sync.every)
	}
	return nil
}

// openDir takes the lock, in a directory that it makes if needed.
func (s *Store) openDir() error {
	if !s.opts.ReadOnly {
		if err := s.fs.MkdirAll(s.dir); err != nil {
			return notDirectory(err)
		}
		if err := s.checkDir(); err != nil {
			return err
		}
	}
	take := s.fs.Lock
	if s.opts.ReadOnly {
		take = s.fs.LockShared
	}
	lock, err := take(filepath.Join(s.dir, lockName))
	if errors.Is(err, fs.ErrNotExist) && s.opts.ReadOnly {
		return fmt.Errorf("%w: there is no %s", ErrNotStore, lockName)
	}
	if err != nil {
		return notDirectory(err)
	}
	s.lock = lock
	return nil
}

// notDirectory makes the error of a path that leads to a file, or by a symlink to
// nothing, match ErrNotStore.
func notDirectory(err error) error {
	switch {
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return fmt.Errorf("%w: %w", ErrNotStore, err)
	case errors.Is(err, fs.ErrExist): // though there was no such directory
		return fmt.Errorf("%w: a symlink that leads nowhere: %w", ErrNotStore, err)
	}
	return err
}

// checkDir keeps the lock file out of a directory that holds something else.
func (s *Store) checkDir() error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == lockName || name == manifestName || name == manifestTmpName {
			return nil
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("%w: it has a file %s but no %s", ErrNotStore, names[0], manifestName)
	}
	return nil
}

func (s *Store) openOrCreateManifest() error {
	m, err := openManifest(s.fs, s.dir, s.opts.ReadOnly)
	if errors.Is(err, fs.ErrNotExist) {
		if m, err = s.create(); err != nil {
			return err
		}
	}
	s.manifest = m
	return err
}

// create makes a new store in a directory that has to be empty: files without a
// manifest may be what is left of one.
func (s *Store) create() (*manifest, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name != lockName && name != manifestTmpName {
			return nil, fmt.Errorf("%w: it has a file %s but no %s", ErrNotStore, name, manifestName)
		}
	}
	if s.opts.ReadOnly {
		return nil, fmt.Errorf("%w: it has no %s", ErrNotStore, manifestName)
	}
	if err := s.syncNames(s.dir); err != nil {
		return nil, err
	}
	return createManifest(s.fs, s.dir)
}

// syncNames makes the names of the directory and of those above it durable. Who
// made them may not have: a process that was killed in between, or the user.
func (s *Store) syncNames(dir string) error {
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		err := s.fs.SyncDir(filepath.Dir(dir))
		if err != nil && !errors.Is(err, fs.ErrPermission) { // nothing to be done about that
			return &syncError{file: filepath.Dir(dir), err: err}
		}
	}
	return nil
}

// maxClockLag is how far, in seconds, the clock may be behind the store.
const maxClockLag = 24 * 60 * 60

func (s *Store) checkClock(recorded int64) error {
	now := s.clock.source().Unix()
	if recorded > now+maxClockLag && !s.opts.AllowClockBehind {
		return fmt.Errorf("%w: it recorded second %d, now is %d", ErrClock, recorded, now)
	}
	s.clock.last.Store(max(s.clock.last.Load(), recorded))
	return nil
}

// checkFiles notes what a crash left behind: files of segments that the manifest
// does not list. They are removed when everything else has turned out to be intact:
// until then, nobody knows whether an edit that listed them is lost.
func (s *Store) checkFiles() error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	leftover, err := s.manifest.checkFiles(names)
	if err != nil {
		return err
	}
	whole, err := s.manifest.checkListed(names)
	if whole {
		s.recovered.leftover = leftover
	}
	return err
}

// removeLeftover removes what checkFiles noted.
func (s *Store) removeLeftover() error {
	for _, name := range s.recovered.leftover {
		if err := s.fs.Remove(s.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// checkFiles returns which of the files in the directory do not belong to the store.
// A segment whose id the manifest has not given out yet means that the manifest is
// not the newest.
func (m *manifest) checkFiles(names []string) (leftover []string, err error) {
	backup := slices.Contains(names, backupName)
	for _, name := range names {
		id, isSegment := segmentID(name)
		switch {
		case isSegment && id >= m.state.nextID:
			return nil, manifestCorrupt(m.off, fmt.Sprintf("it does not know of %s: it is not the newest", name))
		case isSegment && m.state.segments[id] == nil:
			if err := m.checkUnlisted(id, backup); err != nil {
				return nil, err
			}
			leftover = append(leftover, name)
		case name == manifestTmpName, name == checkpointTmpName:
			leftover = append(leftover, name)
		}
	}
	return leftover, nil
}

// checkListed reports whether all segments are there that the manifest lists. A
// segment is removed only when the edit that drops it is on disk. If one is missing,
// that edit may have been lost to damage, and with it what came in the place of the
// segment: so nothing may be removed then.
func (m *manifest) checkListed(names []string) (bool, error) {
	for _, info := range m.state.sorted() {
		name := segmentName(info.id)
		if _, ok := slices.BinarySearch(names, name); ok {
			continue
		}
		if m.torn {
			return false, manifestCorrupt(m.off, fmt.Sprintf("no valid edit, and %s, which is listed, was removed", name))
		}
		return false, nil // opening it gives the error
	}
	return true, nil
}

// checkUnlisted tells a segment whose making a crash interrupted from one that
// was listed by an edit that is damaged now. Both may leave the last edit invalid.
// But a log or value segment gets frames only when that edit is on disk.
//
// Of a lost edit, nothing may be left. A value segment may also have been dropped by
// the last edit, before its file was removed, but never the last log segment: there
// is always one that takes frames. In a backup, files come before the edit that lists
// them.
func (m *manifest) checkUnlisted(id uint64, backup bool) error {
	if id != m.state.nextID-1 {
		return nil
	}
	file, err := m.fs.Open(filepath.Join(m.dir, segmentName(id)))
	if errors.Is(err, ErrNotRegular) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return err
	}
	reader, err := segment.NewReader(file)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) {
		return nil
	}
	if err != nil {
		return err
	}
	h := reader.Header()
	if h.StoreID != m.state.storeID || h.ID != id || h.Kind == segment.Packed || !m.torn && (h.Kind != segment.Log || backup) {
		return nil
	}
	size = min(size, segment.MaxSize)
	var frames bool
	if m.torn {
		frames, err = hasBytes(&seg{id: id, file: file}, segment.HeaderSize, size)
	} else {
		// The space of a file that was never synced may hold what was there before.
		scan := reader.Scan(segment.HeaderSize, size)
		frames = scan.Next() || scan.Search(segment.HeaderSize)
		if err = scan.Err(); errors.Is(err, ErrCorrupt) {
			err = nil
		}
	}
	if err == nil && frames {
		err = manifestCorrupt(m.off, fmt.Sprintf("no valid edit, but %s has frames", segmentName(id)))
	}
	return err
}

// abandon releases everything after a failed open.
func (s *Store) abandon() {
	if s.segs.bySlot.Load() != nil {
		for _, sg := range s.segs.all() {
			sg.release()
		}
	}
	if s.manifest != nil {
		_ = s.manifest.close()
	}
	if s.index != nil {
		s.index.Close()
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

// Close makes everything that was acknowledged durable, whatever the mode, and
// closes the store. Writes under way are completed, but for values that are still
// being streamed in: these are given up with [ErrClosed]. Values that are being
// streamed out stay readable. It is safe to call it more than once.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	s.closed.Store(true)
	var err error
	if !s.opts.ReadOnly {
		s.values.close()
		err = s.committer.drain()
		s.compactor.halt()
		s.background.halt()
		if err == nil {
			err = s.closeCleanly()
		}
	}
	s.abandon()
	if err != nil {
		return fmt.Errorf("close %s: %w", s.dir, s.diskError(err))
	}
	return nil
}

// closeCleanly leaves the directory so that the next open has nothing to
// recover. The log is trimmed and its end noted, so that it can be continued.
func (s *Store) closeCleanly() error {
	if err := s.closeCheckpoint(); err != nil {
		s.log.Warn("no checkpoint; the next open takes longer", "dir", s.dir, "error", err)
	}
	s.state.Lock()
	defer s.state.Unlock()
	c := &s.committer
	end := c.active.end.Load()
	size, err := c.active.file.Size()
	if err != nil {
		return err
	}
	info := s.manifest.state.segments[c.active.id]
	unwritten := info.end == end && size == end
	if unwritten {
		return s.closeUnwritten()
	}
	for _, sg := range c.next {
		if err := sg.file.Truncate(segment.HeaderSize); err != nil {
			return err
		}
	}
	if size != end {
		if err := c.active.file.Truncate(end); err != nil {
			return err
		}
		if err := c.active.file.Sync(); err != nil {
			return &syncError{file: c.active.name(), err: err}
		}
	}
	e := edit(nil).closed(c.active.id, end).reached(s.clock.now(), c.seq)
	return s.commitEdit(e)
}

// closeUnwritten is closeCleanly if nothing was written. The time is noted even so
// if a pair may have expired since the last note: it must not come back if the
// clock is set back.
func (s *Store) closeUnwritten() error {
	now := s.clock.now()
	if now <= s.recovered.maxTime || s.index.Totals(now).ExpiredKeys == 0 {
		return nil
	}
	return s.commitEdit(edit(nil).reached(now, s.committer.seq))
}

// Sync makes everything that was acknowledged before durable. With SyncAlways
// that is so already.
func (s *Store) Sync(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	return s.committer.syncAll()
}

// createTmp makes a file under a name that a crash may have left one with.
func (s *Store) createTmp(name string) (vfs.File, error) {
	if err := s.fs.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return s.fs.Create(s.path(name))
}

// check reports whether an operation may start.
func (s *Store) check(ctx context.Context) error {
	if s.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

// createLog makes a log segment. The first allocation is that of a file that
// may stay small; the log asks for more as it grows.
func (s *Store) createLog() (*seg, error) {
	s.state.Lock()
	defer s.state.Unlock()
	sg, err := s.createSegment(segment.Log, minAllocation)
	if err != nil {
		return nil, err
	}
	sg.allocated = minAllocation
	sg.spare.Store(minAllocation - segment.HeaderSize)
	sg.incarnation = 1
	return sg, nil
}

func (s *Store) createValues() (*seg, error) {
	s.state.Lock()
	defer s.state.Unlock()
	return s.createSegment(segment.Value, 0)
}

// freeze notes that a log segment takes no more frames, and has its footer
// written in the background.
func (s *Store) freeze(sg *seg, end int64) error {
	s.state.Lock()
	defer s.state.Unlock()
	if err := s.manifest.commit(edit(nil).freeze(sg.id, end)); err != nil {
		return err
	}
	s.background.wake()
	return nil
}

// apply makes a record visible that stands in home, or for a large value at loc
// in another segment, and accounts for what it replaces. It reports whether that
// was read lately.
func (s *Store) apply(fr *frameRecord, loc index.Location, home *seg) (hot bool) {
	if fr.tombstone {
		home.counts.tombstones.Add(1)
		if old, ok := s.index.Delete(fr.hash); ok {
			if was := s.segs.at(old.Location.Slot()); was != nil {
				was.counts.deleted.add(old.Size)
			}
		}
		return false
	}
	if fr.at != 0 {
		home = s.segs.at(loc.Slot())
	}
	home.counts.puts.add(fr.size)
	old, replaced := s.index.Put(fr.hash, index.Entry{Location: loc, Size: fr.size, Expiration: fr.expiration})
	if !replaced {
		return false
	}
	was := s.segs.at(old.Location.Slot())
	if was == nil {
		return false // compaction has replaced it, and counted
	}
	was.counts.overwritten.add(old.Size)
	return old.Location.Unit()&pendingUnit != 0 || s.cache.Remove(cacheID(was, old.Location))
}

// remember puts a record that was just written into the cache, if the version
// before it was there, or was read lately and would have been there at the next
// read: the cache stays warm without every put passing through it. A key that is
// read before each write would never be seen twice at one place otherwise.
func (s *Store) remember(sg *seg, loc index.Location, fr *frameRecord, rec *segment.Record) {
	if fr.hot && fr.at == 0 {
		s.cache.Put(cacheID(sg, loc), cacheRecord(rec))
	}
}

// syncError is a failed sync. What is on disk is not known after it.
type syncError struct {
	file string
	err  error
}

func (e *syncError) Error() string { return fmt.Sprintf("sync %s: %v", e.file, e.err) }
func (e *syncError) Unwrap() error { return e.err }

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// diskError makes errors of a full disk match ErrNoSpace.
func (s *Store) diskError(err error) error {
	if err != nil && isNoSpace(err) && !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// keyBytes returns the bytes of a key without copying them. They must not be
// changed.
func keyBytes(key string) []byte { return unsafe.Slice(unsafe.StringData(key), len(key)) }
