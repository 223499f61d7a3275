package soak

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
)

// copyAtRest copies the directory of a store as it is at one instant.
func copyAtRest(ctx context.Context, from, to string) error {
	files, err := filesAtRest(ctx, from)
	if err != nil {
		return err
	}
	return writeFiles(to, files)
}

// filesAtRest returns the files of a directory as they are at one instant: when
// reading them twice has given the same, it was so between the two.
func filesAtRest(ctx context.Context, dir string) (map[string][]byte, error) {
	var last map[string][]byte
	for {
		files, err := readFiles(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil && last != nil && maps.EqualFunc(files, last, bytes.Equal) {
			return files, nil
		}
		last = files
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		runtime.Gosched()
	}
}

// readFiles returns the files of a directory, or nil with an error.
func readFiles(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		files[e.Name()] = b
	}
	return files, nil
}

func writeFiles(dir string, files map[string][]byte) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}
