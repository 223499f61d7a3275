//go:build linux || darwin || freebsd || dragonfly

package vfs

import "golang.org/x/sys/unix"

// freeBytes leaves out what the file system keeps for root. Some systems then count below zero.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, err
	}
	return uint64(max(int64(st.Bavail), 0)) * uint64(st.Bsize), nil
}
