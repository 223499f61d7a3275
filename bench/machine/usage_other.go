//go:build !linux

package machine

import (
	"os"
	"time"
)

func syncData(f *os.File) error { return f.Sync() }

// onDisk returns the length of a file, and 0 for a directory.
func onDisk(path string) (int64, error) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, err
	}
	return info.Size(), nil
}

// BytesWritten returns 0: it is known on Linux only.
func BytesWritten() int64 { return 0 }

// CPUTime returns 0: it is known on Linux only.
func CPUTime() time.Duration { return 0 }

// ResidentBytes returns 0: it is known on Linux only.
func ResidentBytes() int64 { return 0 }
