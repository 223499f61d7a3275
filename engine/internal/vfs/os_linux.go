package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData is fdatasync, which skips the inode's times and so writes no metadata if the file was preallocated. The
// descriptor is used directly: SyscallConn would allocate a closure on each put.
func syncData(f *os.File) error {
	fd := int(f.Fd())
	for {
		if err := unix.Fdatasync(fd); err != unix.EINTR {
			return err
		}
	}
}

// writeOut is sync_file_range. Of its flags, WRITE alone does not take the error of an earlier write away from the sync
// that has to report it.
func writeOut(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}

// preallocate is fallocate. File systems without it (some network and stacked ones) only get the size.
func preallocate(f *os.File, off, n int64) error {
	fd := int(f.Fd())
	err := retry(func() error { return unix.Fallocate(fd, 0, off, n) })
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		return extend(f, off+n)
	}
	return err
}
