package machine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestDiskUsage(t *testing.T) {
	dir := t.TempDir()
	before, err := DiskUsage(dir)
	if err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sub, "file"), make([]byte, 100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := DiskUsage(dir)
	if err != nil || after-before < 100<<10 || after-before > 120<<10 {
		t.Errorf("%v: grew from %d to %d", err, before, after)
	}
	if _, err := DiskUsage(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a directory that is not there: %v", err)
	}
}

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	p, err := NewProbe(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := p.Write(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v: left %v", err, left)
	}
}

func TestDescribe(t *testing.T) {
	d := Describe(t.TempDir())
	if d.Cores < 1 || d.Go == "" || d.System == "" {
		t.Errorf("got %+v", d)
	}
	if runtime.GOOS == "linux" && (d.Memory == 0 || d.FileSystem == "" || ResidentBytes() == 0 || CPUTime() == 0) {
		t.Errorf("got %+v, %d bytes, %v", d, ResidentBytes(), CPUTime())
	}
}
