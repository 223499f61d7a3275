package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
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
	if err := clone(from, to); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "sub/file"} {
		got, err := os.ReadFile(filepath.Join(to, name))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %v, %d bytes", name, err, len(got))
		}
	}
}
