package namespaces

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// openFiles returns the files in and below dir that this process has open.
func openFiles(t *testing.T, dir string) []string {
	t.Helper()
	const fds = "/proc/self/fd"
	entries, err := os.ReadDir(fds)
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range entries {
		// That of the listing itself is gone.
		if name, err := os.Readlink(filepath.Join(fds, e.Name())); err == nil && strings.HasPrefix(name, dir+"/") {
			open = append(open, name)
		}
	}
	return open
}
