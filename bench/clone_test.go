package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/firnkv/firn/bench/machine"
)

func TestClone(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	content := bytes.Join([][]byte{[]byte("begin"), make([]byte, 300<<10), []byte("end"), make([]byte, 200<<10)}, nil)
	for _, name := range []string{"file", "sub/file"} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const size = 64 << 20
	room := filepath.Join(from, "room") // a file with room for more
	if err := os.WriteFile(room, []byte("begin"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(room, size); err != nil {
		t.Fatal(err)
	}
	if err := clone(from, to); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "sub/file"} {
		got, err := os.ReadFile(filepath.Join(to, name))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %v, %d bytes", name, err, len(got))
		}
	}
	if info, err := os.Stat(filepath.Join(to, "room")); err != nil || info.Size() != size {
		t.Errorf("%v: %v", err, info)
	}
	if used, err := machine.DiskUsage(to); err != nil || runtime.GOOS == "linux" && used > 4<<20 {
		t.Errorf("%v: the copy takes %d bytes", err, used)
	}
}
