//go:build unix

package engine

import (
	"os"
	"syscall"
	"testing"
)

// allocatedBytes is what du says of a file.
func allocatedBytes(t *testing.T, name string) int64 {
	t.Helper()
	fi, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Blocks * 512
}
