package machine

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// DiskUsage returns the bytes that dir and what is below it take on disk; outside
// Linux, the lengths of the files. A file that goes away meanwhile may be counted
// or not.
func DiskUsage(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			var n int64
			n, err = onDisk(path)
			total += n
		}
		if path != dir && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return total, err
}
