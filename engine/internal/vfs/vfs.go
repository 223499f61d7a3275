// Package vfs is the one way in which the store touches files: a small interface, the operating system behind it (OS),
// an in-memory disk that forgets what was not synced (Mem), and a wrapper that makes any operation fail (Fault).
//
// The interface is as narrow as the store's needs. There is no append mode, no file position and no buffering: every
// read and write names its offset, so files can be shared by goroutines without a lock of their own.
//
// # Durability
//
// Nothing survives a power loss unless it was synced: data and size by File.SyncData or File.Sync, names by FS.SyncDir
// on the directory that holds them. That includes the name of a directory: after MkdirAll, each parent in which a
// directory was made needs a SyncDir. A failed sync may have dropped the data for good, and a later sync that succeeds
// says nothing about it; only writing the data again does.
//
// # Systems
//
// OS runs on Linux, macOS, the BSDs and Windows. Only Linux is tested regularly; for macOS and Windows the package is
// compiled and vetted. On Windows SyncDir does nothing, and a file that is open can be neither removed, nor renamed, nor
// replaced by a rename.
package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// ErrLocked is what FS.Lock reports, wrapped in a *fs.PathError, when somebody holds the lock already.
var ErrLocked = errors.New("locked by another process or another opener in this process")

// ErrNotRegular refuses symlinks, directories, devices, pipes and sockets where a file is wanted.
var ErrNotRegular = errors.New("not a regular file")

// FS is a file system. Names are paths as package path/filepath makes them. Errors carry the name (*fs.PathError or
// *os.LinkError) and match fs.ErrExist, fs.ErrNotExist and the syscall errors through errors.Is. All methods are safe
// for concurrent use.
type FS interface {
	// MkdirAll makes dir and the parents it lacks, with mode 0700. It is no error if dir is there.
	MkdirAll(dir string) error

	// Open opens an existing regular file for reading. It does not follow a symlink in the last component of name.
	Open(name string) (File, error)

	// OpenReadWrite is Open for reading and writing.
	OpenReadWrite(name string) (File, error)

	// Create makes an empty file with mode 0600 and opens it for reading and writing. A name that is taken, by whatever
	// it may be, gives fs.ErrExist.
	Create(name string) (File, error)

	// Rename moves a file to newname in one step, replacing the file that was there.
	Rename(oldname, newname string) error

	// Remove removes a file or an empty directory.
	Remove(name string) error

	// Link makes newname another name of the file oldname. A name that is taken gives fs.ErrExist.
	Link(oldname, newname string) error

	// List returns the names in dir, of whatever kind, sorted by bytes.
	List(dir string) ([]string, error)

	// Stat describes name itself, not what a symlink points to.
	Stat(name string) (Info, error)

	// Free returns the bytes of disk space that the file system of dir, which has to exist, has left for this user. It
	// need not know of quotas, and others may take what it names.
	Free(dir string) (int64, error)

	// SyncDir makes the entries of dir durable: creations, removals, renames and links in it.
	SyncDir(dir string) error

	// Lock takes the exclusive lock on name, making the file if it is not there, and returns at once: with ErrLocked if
	// somebody else holds it, in this process or another. Close releases the lock and leaves the file; so does the end
	// of the process, however it comes.
	Lock(name string) (io.Closer, error)

	// LockShared takes a shared lock on name, which has to exist. Any number of openers may hold one, but not beside
	// the exclusive lock. It works on read-only file systems.
	LockShared(name string) (io.Closer, error)
}

// File is an open regular file. All methods are safe for concurrent use; Close may wait for a sync or preallocation
// under way, and methods called after it give fs.ErrClosed.
type File interface {
	io.ReaderAt
	io.Closer

	// WriteAt writes all of p, or returns how much of it was written and an error; syscall.ENOSPC is a full disk.
	io.WriterAt

	// Size returns the size in bytes.
	Size() (int64, error)

	// Truncate sets the size in bytes. Bytes it adds read as zeros.
	Truncate(size int64) error

	// Preallocate sets disk space aside for the n bytes from off, and makes the file at least off+n bytes long. Bytes
	// it adds read as zeros, others keep what they hold. A full disk gives syscall.ENOSPC. Where the system cannot set
	// space aside only the size grows.
	Preallocate(off, n int64) error

	// SyncData makes the data and the size durable, and need not do the same for times and the like. It allocates no
	// memory unless it fails.
	SyncData() error

	// WriteOut has the system begin to write the n bytes from off to the disk, if it can, so that a sync later on has
	// less to wait for. It promises nothing: what is written is not durable before a sync, which also tells what failed.
	WriteOut(off, n int64)

	// MapReads tells that the first size bytes do not change any more, and are going to be read in small pieces at
	// random: ReadAt may map them into memory. It behaves the same then. The pages that were read count as memory of the
	// process (RssFile), though the system takes them back when it wants.
	MapReads(size int64)

	// Sync makes all of the file durable, though not its name: see FS.SyncDir.
	Sync() error
}

// Info describes a file.
type Info struct {
	Size      int64       // in bytes
	Allocated int64       // bytes of disk in use, which holes and preallocation set apart from Size
	Mode      fs.FileMode // type and permissions
}
