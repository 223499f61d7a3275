package engine

import (
	"errors"
	"fmt"

	"github.com/firnkv/firn/engine/internal/vfs"
	"github.com/firnkv/firn/segment"
)

// What the store answers. All are matched with errors.Is; the errors that come
// back carry the offending size and limit, or the file and offset, in their text.
var (
	// ErrNotFound: there is no such key, or it has expired.
	ErrNotFound = errors.New("key not found")

	// ErrKeyEmpty, ErrKeyTooLong, ErrKeyReserved ("." and "..") and
	// ErrKeyNotUTF8 refuse a key.
	ErrKeyEmpty    = errors.New("key is empty")
	ErrKeyTooLong  = errors.New("key is too long")
	ErrKeyReserved = errors.New("key is reserved")
	ErrKeyNotUTF8  = errors.New("key is not UTF-8")

	// ErrValueTooLarge refuses a value.
	ErrValueTooLarge = errors.New("value is too large")

	// ErrMetadataTooLarge and ErrMetadataNotJSON refuse metadata.
	ErrMetadataTooLarge = errors.New("metadata is too large")
	ErrMetadataNotJSON  = errors.New("metadata is not JSON")

	// ErrTTLTooShort refuses a TTL that is not positive or below the limit;
	// ErrExpirationPast an expiration that is not in the future, and
	// ErrExpirationTooSoon one that is closer than the limit.
	ErrTTLTooShort       = errors.New("TTL is too short")
	ErrExpirationPast    = errors.New("expiration is in the past")
	ErrExpirationTooSoon = errors.New("expiration is too soon")

	// ErrBatchTooLong refuses a batch of too many pairs, ErrBatchTooLarge
	// one of too many bytes.
	ErrBatchTooLong  = errors.New("batch has too many pairs")
	ErrBatchTooLarge = errors.New("batch is too large")

	// ErrListLimit, ErrPrefixTooLong and ErrCursor refuse a listing.
	ErrListLimit     = errors.New("list limit is out of range")
	ErrPrefixTooLong = errors.New("prefix is too long")
	ErrCursor        = errors.New("cursor is not valid")

	// ErrClosed: the store is closed.
	ErrClosed = errors.New("store is closed")

	// ErrReadOnly: the store was opened read-only, or turned read-only when
	// a sync failed. Opening it again recovers what is on disk.
	ErrReadOnly = errors.New("store is read-only")

	// ErrNoSpace: the disk is full, or what is left is kept for deletes.
	// Nothing of the write that fails with it is visible; writes work again
	// once there is room.
	ErrNoSpace = errors.New("no space left on the device")

	// ErrNotStore: the directory holds other files but no store, or the
	// files of a store without its manifest; or it is no directory; or there
	// is nothing to open read-only.
	ErrNotStore = errors.New("not a store")

	// ErrNotBackup: the destination of a backup is neither empty nor an
	// earlier backup of the store, or inside of the store.
	ErrNotBackup = errors.New("not a place for a backup of the store")

	// ErrClock: the store recorded a time more than a day ahead of the clock.
	ErrClock = errors.New("clock is behind the store")

	// ErrLocked: another process, or another Store of this one, has the
	// directory open.
	ErrLocked = vfs.ErrLocked

	// ErrNotRegular: a symlink, a directory or something else is in the
	// place of a file of the store. It is left alone.
	ErrNotRegular = vfs.ErrNotRegular

	// ErrCorrupt: bytes on disk are not what was written. The error is a
	// [*CorruptError].
	ErrCorrupt = segment.ErrCorrupt

	// ErrVersion: the store is of a format version that this program does
	// not know.
	ErrVersion = segment.ErrVersion
)

// CorruptError says which file of a store is damaged, where, and how. It
// matches [ErrCorrupt].
type CorruptError struct {
	File   string // name in the directory of the store
	Offset int64
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: at %d: %s (\"firn verify\" lists all damage)", e.File, e.Offset, e.Reason)
}

// Is reports whether target is ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// inFile adds the name of the file to an error of package segment.
func inFile(name string, err error) error {
	var c *segment.CorruptError
	if errors.As(err, &c) {
		return &CorruptError{File: name, Offset: c.Offset, Reason: c.Reason}
	}
	return fmt.Errorf("%s: %w", name, err)
}

// PairError says which pair of a batch was refused. Unwrap gives the reason.
type PairError struct {
	Index int // position in the batch, from 0
	Key   string
	Err   error
}

func (e *PairError) Error() string {
	return fmt.Sprintf("pair %d, key %q: %v", e.Index, e.Key, e.Err)
}

// Unwrap returns the reason.
func (e *PairError) Unwrap() error { return e.Err }
