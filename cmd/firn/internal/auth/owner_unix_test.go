//go:build !windows

package auth_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/firnkv/firn/cmd/firn/internal/auth"
)

// TestDeleteKeepsOwner has root delete a token of a server that runs as another user.
func TestDeleteKeepsOwner(t *testing.T) {
	const uid, gid = 12345, 23456
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, line("one", "1", `"read"`, `"*"`))
	if err := os.Chown(path, uid, gid); err != nil {
		t.Skip("only root can do this:", err)
	}
	if err := auth.Delete(path, "one"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if is := info.Sys().(*syscall.Stat_t); is.Uid != uid || is.Gid != gid || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is now of %d:%d, %v", is.Uid, is.Gid, info.Mode())
	}
}
