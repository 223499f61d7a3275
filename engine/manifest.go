package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// The manifest names what belongs to the store. It is a log of edits, each on
// disk with one sync; an edit takes effect as a whole or not at all. All
// integers are little-endian.
//
//	offset size
//	     0    8  magic "FIRNMAN\n"
//	     8    4  format version, 1
//	    12    4  zero
//	    16   16  id of the store
//	    32   16  key of the index's hash
//	    48    8  salt, new in each manifest file
//	    56    8  XXH64(0, bytes 0 to 55)
//	    64       edits, each at a multiple of 8:
//	               u64  XXH64(salt XOR offset, the rest without padding)
//	               u32  length of the payload
//	               payload: items (manifest_edit.go)
//	               zeros up to a multiple of 8
//
// The file is preallocated with zeros. When it is full, a new one with a single
// edit that says everything is written beside it, synced, and renamed over it.
const (
	manifestName    = "MANIFEST"
	manifestTmpName = "MANIFEST.tmp"
	manifestMagic   = "FIRNMAN\n"
	manifestVersion = 1
	manifestHeader  = 64
	manifestSpace   = 16 << 10
	editHeader      = 12
	// maxManifest bounds what a reader takes into memory. 65,536 segments at
	// some 40 bytes are 2.6 MB.
	maxManifest = 64 << 20
)

// manifest is the open manifest file and what it says. Its methods are not safe
// for concurrent use: the store calls them with its state lock held.
type manifest struct {
	fs    vfs.FS
	dir   string
	file  vfs.File // nil when read-only
	salt  uint64
	off   int64 // end of the last edit
	space int64 // up to here the file is preallocated
	torn  bool  // when it was opened, there was something behind the last edit
	state manifestState

	// broken is a failed sync. What the file says is not known after it, so
	// no more edits are taken.
	broken error
}

func (m *manifest) path() string { return filepath.Join(m.dir, manifestName) }

// createManifest writes the manifest of a new store.
func createManifest(fsys vfs.FS, dir string) (*manifest, error) {
	m := &manifest{fs: fsys, dir: dir}
	m.state = manifestState{nextID: 1, segments: map[uint64]*segmentInfo{}}
	randomBytes(m.state.storeID[:])
	randomBytes(m.state.indexKey[:])
	if err := m.rewrite(m.state); err != nil {
		_ = m.close() // it may be there under its name
		return nil, err
	}
	return m, nil
}

// openManifest reads the manifest. It returns fs.ErrNotExist if there is none.
func openManifest(fsys vfs.FS, dir string, readOnly bool) (*manifest, error) {
	m := &manifest{fs: fsys, dir: dir}
	open := fsys.OpenReadWrite
	if readOnly {
		open = fsys.Open
	}
	file, err := open(m.path())
	if err != nil {
		return nil, err
	}
	last, err := m.read(file)
	if err == nil && !readOnly {
		err = m.secure(file, last)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	if readOnly {
		return m, file.Close()
	}
	m.file = file
	return m, nil
}

// secure makes sure that the last edit and the name of the file are on disk:
// the process that wrote them may have been killed before its sync, or its sync
// may have failed, after which the system takes pages for written that are not.
// So the edit is written again. The edits before it were on disk when it was
// written.
func (m *manifest) secure(file vfs.File, last []byte) error {
	if _, err := file.WriteAt(last, m.off-int64(len(last))); err != nil {
		return fmt.Errorf("write %s: %w", manifestName, err)
	}
	if err := file.SyncData(); err != nil {
		return &syncError{file: manifestName, err: err}
	}
	if err := m.fs.SyncDir(m.dir); err != nil {
		return &syncError{file: m.dir, err: err}
	}
	return nil
}

// read returns the bytes of the last edit.
func (m *manifest) read(file vfs.File) (last []byte, err error) {
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	if size > maxManifest {
		return nil, manifestCorrupt(0, fmt.Sprintf("%d bytes are too many", size))
	}
	b := make([]byte, (size+7)&^7)
	if _, err := file.ReadAt(b[:size], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := m.decodeHeader(b); err != nil {
		return nil, err
	}
	m.space = size
	return m.replay(b)
}

func (m *manifest) decodeHeader(b []byte) error {
	if len(b) < manifestHeader {
		return manifestCorrupt(0, "header cut short")
	}
	if string(b[:8]) != manifestMagic {
		return manifestCorrupt(0, "wrong magic")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != manifestVersion {
		if segment.VersionDamaged(b, manifestVersion) {
			return manifestCorrupt(8, "header: checksum mismatch")
		}
		return fmt.Errorf("%s: %w: format version %d, this program knows %d", manifestName, ErrVersion, v, manifestVersion)
	}
	if xxhash.Sum64(b[:56]) != binary.LittleEndian.Uint64(b[56:]) {
		return manifestCorrupt(0, "header: checksum mismatch")
	}
	m.state = manifestState{segments: map[uint64]*segmentInfo{}}
	copy(m.state.storeID[:], b[16:])
	copy(m.state.indexKey[:], b[32:])
	m.salt = binary.LittleEndian.Uint64(b[48:])
	return nil
}

// replay applies the edits in b, the whole file. The last one may be torn: it
// was never acknowledged. One that does not verify although a later one does is
// damage. It returns the bytes of the last valid one.
func (m *manifest) replay(b []byte) (last []byte, err error) {
	off := manifestHeader
	for {
		payload, n := m.edit(b, off)
		if payload == nil {
			break
		}
		if err := m.state.apply(payload); err != nil {
			return nil, manifestCorrupt(int64(off), err.Error())
		}
		if off == manifestHeader && int64(len(b)) < manifestSize(off+n) {
			return nil, manifestCorrupt(int64(len(b)), "file cut short")
		}
		last = b[off : off+n]
		off += n
	}
	if off == manifestHeader {
		return nil, manifestCorrupt(manifestHeader, "no edit")
	}
	m.off = int64(off)
	m.torn = len(bytes.Trim(b[off:], "\x00")) > 0
	for ; off < len(b); off += 8 {
		if payload, _ := m.edit(b, off); payload != nil {
			return nil, manifestCorrupt(m.off, "no valid edit, but there are later ones")
		}
	}
	return last, nil
}

// edit returns the payload of the edit at off and the bytes that the edit
// takes; nil if there is no valid one.
func (m *manifest) edit(b []byte, off int) (payload []byte, n int) {
	if off+editHeader > len(b) {
		return nil, 0
	}
	length := int(binary.LittleEndian.Uint32(b[off+8:]))
	if length == 0 || length > len(b)-off-editHeader {
		return nil, 0
	}
	end := off + editHeader + length
	if editSum(m.salt, int64(off), b[off+8:end]) != binary.LittleEndian.Uint64(b[off:]) {
		return nil, 0
	}
	return b[off+editHeader : end], (editHeader + length + 7) &^ 7
}

func editSum(salt uint64, off int64, b []byte) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(salt ^ uint64(off))
	_, _ = d.Write(b)
	return d.Sum64()
}

func appendEdit(dst []byte, salt uint64, off int64, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, editHeader)...)
	dst = append(dst, payload...)
	binary.LittleEndian.PutUint32(dst[start+8:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(dst[start:], editSum(salt, off, dst[start+8:]))
	for (len(dst)-start)%8 != 0 {
		dst = append(dst, 0)
	}
	return dst
}

// commit makes the edit durable and then applies it. If it fails, the edit may
// or may not be found by the next open; every edit is made so that both are
// right. A failed sync comes back as errSync.
func (m *manifest) commit(e edit) error {
	if m.broken != nil {
		return m.broken
	}
	err := m.append(e)
	var failed *syncError
	if errors.As(err, &failed) {
		m.broken = err
	}
	return err
}

func (m *manifest) append(e edit) error {
	b := appendEdit(nil, m.salt, m.off, e)
	if m.off+int64(len(b)) > m.space {
		next := m.state.clone()
		if err := next.apply(e); err != nil {
			return manifestCorrupt(m.off, err.Error())
		}
		return m.rewrite(next)
	}
	if _, err := m.file.WriteAt(b, m.off); err != nil {
		return fmt.Errorf("write %s: %w", manifestName, err)
	}
	if err := m.file.SyncData(); err != nil {
		return &syncError{file: manifestName, err: err}
	}
	m.off += int64(len(b))
	return m.state.apply(e)
}

// rewrite replaces the manifest by one with a single edit, which makes state.
func (m *manifest) rewrite(state manifestState) error {
	tmp := filepath.Join(m.dir, manifestTmpName)
	if err := m.fs.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := m.fs.Create(tmp)
	if err != nil {
		return err
	}
	if err := m.replaceWith(file, tmp, state); err != nil {
		if m.file != file {
			_ = file.Close()
		}
		return fmt.Errorf("rewrite %s: %w", manifestName, err)
	}
	return nil
}

// manifestSize returns the size of a file that starts with n bytes of header and
// first edit. It is synced before the file gets its name, so one that is smaller
// has lost edits.
func manifestSize(n int) int64 { return max(manifestSpace, int64(4*n)) }

func (m *manifest) replaceWith(file vfs.File, tmp string, state manifestState) error {
	salt := randomUint64()
	b := m.appendHeader(nil, salt)
	b = appendEdit(b, salt, manifestHeader, state.snapshot())
	space := manifestSize(len(b))
	if err := file.Preallocate(0, space); err != nil {
		return err
	}
	if _, err := file.WriteAt(b, 0); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return &syncError{file: manifestTmpName, err: err}
	}
	if err := m.fs.Rename(tmp, m.path()); err != nil {
		return err
	}
	// From here on the new file is the one that counts, whatever the disk
	// says of the directory.
	old := m.file
	m.file, m.salt, m.off, m.space, m.state = file, salt, int64(len(b)), space, state
	if old != nil {
		_ = old.Close()
	}
	if err := m.fs.SyncDir(m.dir); err != nil {
		return &syncError{file: m.dir, err: err}
	}
	return nil
}

func (m *manifest) appendHeader(dst []byte, salt uint64) []byte {
	dst = append(dst, manifestMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, manifestVersion)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = append(dst, m.state.storeID[:]...)
	dst = append(dst, m.state.indexKey[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, salt)
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst))
}

func (m *manifest) close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}

// sorted returns the segments by id.
func (s *manifestState) sorted() []*segmentInfo {
	infos := make([]*segmentInfo, 0, len(s.segments))
	for _, info := range s.segments {
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b *segmentInfo) int { return int(int64(a.id - b.id)) })
	return infos
}

// clone returns a copy that shares nothing with s.
func (s *manifestState) clone() manifestState {
	c := *s
	c.branches = slices.Clone(s.branches)
	c.segments = make(map[uint64]*segmentInfo, len(s.segments))
	for id, info := range s.segments {
		copied := *info
		copied.cuts = slices.Clone(info.cuts)
		c.segments[id] = &copied
	}
	return c
}

func manifestCorrupt(off int64, reason string) error {
	return &CorruptError{File: manifestName, Offset: off, Reason: reason}
}

// segmentName returns the file name of a segment.
func segmentName(id uint64) string { return fmt.Sprintf("%06d.seg", id) }

// segmentID returns the id of the segment with a file name.
func segmentID(name string) (id uint64, ok bool) {
	n, err := fmt.Sscanf(name, "%d.seg", &id)
	return id, err == nil && n == 1 && name == segmentName(id)
}

// header returns the file header of the segment.
func (s *manifestState) header(info *segmentInfo) segment.Header {
	return segment.Header{Kind: info.kind, StoreID: s.storeID, ID: info.id, Salt: info.salt}
}
