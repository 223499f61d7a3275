package machine

import (
	"os"
	"strings"
	"syscall"
	"time"
)

func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }

// onDisk returns the bytes that a file or directory takes on disk.
func onDisk(path string) (int64, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return 0, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return st.Blocks * 512, nil
}

// BytesWritten returns how many bytes this process has had written to disk. It
// counts pages when they become dirty.
func BytesWritten() int64 { return number(field("/proc/self/io", "write_bytes")) }

// CPUTime returns the processor time that this process has used, on all cores.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ResidentBytes returns the memory that this process has.
func ResidentBytes() int64 {
	kib, _, _ := strings.Cut(field("/proc/self/status", "VmRSS"), " ")
	return number(kib) << 10
}
