package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// BACKUP says that a directory takes the backups of a store. It is there before
// anything else, and never changes. All integers are little-endian.
//
//	offset size
//	     0    8  magic "FIRNBKP\n"
//	     8    4  format version, 1
//	    12    4  zero
//	    16   16  id of the store
//	    32    8  XXH64(0, bytes 0 to 31)
//
// When the directory is opened for writing, the manifest notes a branch, and the
// file is removed.
const (
	backupName      = "BACKUP"
	backupTmpName   = "BACKUP.tmp"
	backupTmpSuffix = ".tmp" // of segments that are being copied
	backupMagic     = "FIRNBKP\n"
	backupVersion   = 1
	backupSize      = 40
)

// branchOff makes a backup that is opened for writing a store of its own. From
// then on, a backup of the other does not take it for an older copy of that.
func (s *Store) branchOff() error {
	if _, err := s.fs.Stat(s.path(backupName)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	b := branch{randomUint64(), s.manifest.state.lastSeq}
	if err := s.manifest.commit(edit(nil).branch(b)); err != nil {
		return err
	}
	return s.fs.Remove(s.path(backupName))
}

func (b *backup) path(name string) string { return filepath.Join(b.dir, name) }

func notBackup(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotBackup, fmt.Sprintf(format, args...))
}

// openDest locks the directory, which it makes if needed, and opens the backup
// in it.
func (b *backup) openDest() error {
	if err := b.checkPlace(); err != nil {
		return err
	}
	if _, err := b.checkDest(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := b.s.fs.MkdirAll(b.dir); err != nil {
		return err
	}
	lock, err := b.s.fs.Lock(b.path(lockName))
	if err != nil {
		return err
	}
	b.lock = lock
	empty, err := b.checkDest() // again: nobody can change it now
	if err != nil {
		return err
	}
	if empty {
		if err := b.s.syncNames(b.dir); err != nil {
			return err
		}
		return b.mark()
	}
	m, err := openManifest(b.s.fs, b.dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the first backup was interrupted
	}
	if err != nil {
		return err
	}
	b.manifest, b.old = m, m.state.clone()
	if b.old.storeID != b.storeID {
		return notBackup("it is of another store")
	}
	return nil
}

// checkPlace refuses the directory of the store and what is inside of it, also of
// a backup of it.
func (b *backup) checkPlace() error {
	own, err := filepath.Abs(b.s.dir)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(b.dir)
	if err != nil {
		return err
	}
	if dir == own {
		return notBackup("it is the directory of the store")
	}
	for up := filepath.Dir(dir); up != filepath.Dir(up); up = filepath.Dir(up) {
		// By what is in it: there may be symlinks on the way.
		m, err := openManifest(b.s.fs, up, true)
		if up == own || err == nil && m.state.storeID == b.storeID {
			return notBackup("it is inside of the store, or of a copy of it")
		}
	}
	return nil
}

// checkDest reports whether the directory is empty, and refuses it if it does not
// take backups of the store.
func (b *backup) checkDest() (empty bool, err error) {
	names, err := b.s.fs.List(b.dir)
	if err != nil {
		return false, err
	}
	foreign, store := "", false
	for _, name := range names {
		switch name {
		case backupName:
			return false, b.checkMark()
		case manifestName:
			store = true
		case lockName, backupTmpName:
		default:
			foreign = name
		}
	}
	if store {
		return false, notBackup("it is a store of its own, or a backup that was opened for writing")
	}
	if foreign != "" {
		return false, notBackup("it has a file %s but no %s", foreign, backupName)
	}
	return true, nil
}

func (b *backup) checkMark() error {
	file, err := b.s.fs.Open(b.path(backupName))
	if err != nil {
		return err
	}
	defer file.Close()
	mark := make([]byte, backupSize+1)
	n, err := file.ReadAt(mark, 0)
	if err != nil && err != io.EOF {
		return err
	}
	mark = mark[:n]
	switch {
	case bytes.Equal(mark, b.appendMark(nil)):
		return nil
	case len(mark) == backupSize && string(mark[:8]) == backupMagic && binary.LittleEndian.Uint32(mark[8:]) != backupVersion:
		return fmt.Errorf("%s: %w: format version %d, this program knows %d",
			backupName, ErrVersion, binary.LittleEndian.Uint32(mark[8:]), backupVersion)
	case len(mark) == backupSize && string(mark[:8]) == backupMagic:
		return notBackup("it is of another store")
	}
	return notBackup("its file %s is something else", backupName)
}

func (b *backup) appendMark(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, backupMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, backupVersion)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = append(dst, b.storeID[:]...)
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[start:]))
}

// mark makes an empty directory one that takes backups.
func (b *backup) mark() error {
	if err := b.remove(backupTmpName); err != nil {
		return err
	}
	file, err := b.s.fs.Create(b.path(backupTmpName))
	if err != nil {
		return err
	}
	if _, err = file.WriteAt(b.appendMark(nil), 0); err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = b.s.fs.Rename(b.path(backupTmpName), b.path(backupName))
	}
	if err == nil {
		err = b.s.fs.SyncDir(b.dir)
	}
	return err
}

// checkDescent refuses to replace a backup that holds what the store does not
// have: because it was opened for writing, or because the store was, after it was
// restored from an earlier one.
func (b *backup) checkDescent() error {
	if b.manifest == nil {
		return nil
	}
	old, now := &b.old, &b.state
	if len(old.branches) > len(now.branches) {
		return notBackup("it was opened for writing, and is a store of its own")
	}
	most := now.lastSeq
	if n := len(old.branches); n < len(now.branches) {
		most = min(most, now.branches[n].seq)
	}
	for i, branch := range old.branches {
		if branch != now.branches[i] {
			return notBackup("it was opened for writing, and is a store of its own")
		}
	}
	if old.lastSeq > most || old.nextID > now.nextID {
		return notBackup("it holds writes that the store does not have, which goes on from an earlier state")
	}
	for _, p := range b.parts {
		if info := old.segments[p.info.id]; info != nil {
			if err := b.checkSame(p, info); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSame checks that the backup holds an earlier state of a segment.
func (b *backup) checkSame(p backupPart, old *segmentInfo) error {
	other := notBackup("its %s is not the one of the store, or a later state of it", p.sg.name())
	switch {
	case old.kind != p.info.kind || old.salt != p.info.salt,
		old.state == stateSealed && (p.info.state != stateSealed || old.end != p.info.end):
		return other
	case old.state != stateFrozen:
		return nil
	case old.end > p.end:
		return other
	}
	file, err := b.open(b.s.fs.Open, old)
	if file == nil {
		return err
	}
	defer file.Close()
	same, err := sameBytes(p.sg.file, file, max(0, old.end-compareTail), old.end)
	if err == nil && !same {
		return other
	}
	return err
}

// compareTail is how many bytes at the end of a log are compared: frames say what
// was before them by their sequence numbers.
const compareTail = 64 << 10

func sameBytes(a, b vfs.File, from, to int64) (bool, error) {
	bufs := [2][]byte{make([]byte, to-from), make([]byte, to-from)}
	for i, file := range []vfs.File{a, b} {
		if _, err := file.ReadAt(bufs[i], from); err != nil && err != io.EOF {
			return false, err
		}
	}
	return bytes.Equal(bufs[0], bufs[1]), nil
}

// open opens the file of a segment in the backup. It returns nil if it is not
// there, or not the one that is meant.
func (b *backup) open(open func(name string) (vfs.File, error), info *segmentInfo) (vfs.File, error) {
	file, err := open(b.path(segmentName(info.id)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	reader, err := segment.NewReader(file)
	if err == nil && reader.Header() == b.state.header(info) {
		return file, nil
	}
	_ = file.Close()
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) {
		err = nil
	}
	return nil, err
}

// prepare removes what an interrupted backup left, and has the ids reserved of
// all segments that may come.
//
// Segments that were complete when it was interrupted are kept, but value segments
// not: they may be from before they were sealed, and have gaps.
func (b *backup) prepare() error {
	if err := b.sweep(func(info *segmentInfo) bool {
		return info.state == stateSealed && info.kind != segment.Value
	}); err != nil {
		return err
	}
	if b.manifest == nil {
		return nil
	}
	return b.manifest.commit(edit(nil).next(b.state.nextID))
}

// sweep removes files that belong to neither the backup that is there nor, if keep
// says so, the one that is being made.
func (b *backup) sweep(keep func(info *segmentInfo) bool) error {
	names, err := b.s.fs.List(b.dir)
	if err != nil {
		return err
	}
	var listed map[uint64]*segmentInfo
	if b.manifest != nil {
		listed = b.manifest.state.segments
	}
	for _, name := range names {
		leftover := name == manifestTmpName || name == backupTmpName || name == checkpointName || name == checkpointTmpName
		base := strings.TrimSuffix(name, backupTmpSuffix)
		if id, ok := segmentID(base); ok {
			info := b.state.segments[id]
			leftover = base != name || listed[id] == nil && (keep == nil || info == nil || !keep(info))
		}
		if leftover {
			if err := b.remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *backup) remove(name string) error {
	if err := b.s.fs.Remove(b.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
