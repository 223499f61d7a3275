//go:build unix

package vfs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openRegular opens a regular file and nothing else. O_NOFOLLOW refuses a symlink, and O_NONBLOCK keeps the open of a
// pipe that nobody writes to from waiting for ever before its type can be checked.
func openRegular(name string, flag int) (*os.File, error) {
	flag |= unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Open(name, flag, uint32(fileMode))
		return err
	})
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if err != nil {
		return nil, notRegularOr(err, name)
	}
	if err := checkRegular(fd); err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// checkRegular also puts the descriptor back into blocking mode: so os.File leaves it out of the poller, and its Fd
// method only returns the number.
func checkRegular(fd int) error {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return ErrNotRegular
	}
	return unix.SetNonblock(fd, false)
}

func syncDir(dir string) error {
	d, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// lockFile uses flock, not fcntl: an fcntl lock would not keep out a second opener in the same process, and closing any
// other descriptor of the file would release it.
func lockFile(f *os.File, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	err := retry(func() error { return unix.Flock(int(f.Fd()), how|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		return ErrLocked
	}
	return err
}

// allocatedBytes reads st_blocks, which is in units of 512 bytes whatever the file system's block size.
func allocatedBytes(_ string, fi fs.FileInfo) (int64, error) {
	return int64(fi.Sys().(*syscall.Stat_t).Blocks) * 512, nil
}

func isDiskFull(err error) bool { return errors.Is(err, unix.EDQUOT) }

// retry repeats a system call that a signal interrupted. The runtime's preemption signals do that now and then.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
