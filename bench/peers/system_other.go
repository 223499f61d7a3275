//go:build !linux

package peers

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

func syncData(f *os.File) error { return f.Sync() }

// DiskUsage returns the length of the files below dir.
func DiskUsage(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return err
	})
	return total, err
}

// CPUTime returns 0: it is known on Linux only.
func CPUTime() time.Duration { return 0 }

// ResidentBytes returns 0: it is known on Linux only.
func ResidentBytes() int64 { return 0 }

// BytesWritten returns 0: it is known on Linux only.
func BytesWritten() int64 { return 0 }
