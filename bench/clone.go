package bench

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// clone copies a directory of a store, and has the copy on disk when it returns:
// or what is measured next would wait for that.
func clone(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o777)
		}
		return copyFile(path, filepath.Join(to, rel))
	})
}

// copyFile copies the data of a file, and leaves its holes: a file may have room for
// gigabytes.
func copyFile(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	block := make([]byte, 64<<10)
	for off := int64(0); ; {
		if off, err = nextData(src, off); err != nil {
			return err
		}
		n, err := src.ReadAt(block, off)
		if err != nil && err != io.EOF {
			return err
		}
		if n == 0 {
			break
		}
		if _, err := dst.WriteAt(block[:n], off); err != nil {
			return err
		}
		off += int64(n)
	}
	return errors.Join(dst.Truncate(info.Size()), dst.Sync())
}
