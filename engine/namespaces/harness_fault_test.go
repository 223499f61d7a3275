package namespaces

import (
	"strings"
	"syscall"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// faultyDisk puts a disk that can be told to fail under all stores of the test that
// are opened from now on.
func faultyDisk(t *testing.T) *vfs.Fault {
	system := vfs.OS
	disk := vfs.NewFault(system)
	vfs.OS = disk
	t.Cleanup(func() { vfs.OS = system })
	return disk
}

// full is the hook of a disk without room for what is below dir.
func full(dir string) func(vfs.Op) error {
	return failing(dir, syscall.ENOSPC, vfs.KindCreate, vfs.KindPreallocate, vfs.KindWrite)
}

// failing is the hook of a disk that fails to do what is of these kinds below dir.
func failing(dir string, err error, kinds ...vfs.Kind) func(vfs.Op) error {
	return func(op vfs.Op) error {
		for _, kind := range kinds {
			if op.Kind == kind && strings.HasPrefix(op.Name, dir) {
				return err
			}
		}
		return nil
	}
}
