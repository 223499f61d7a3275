package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// firnBinary is the program under test, built of this tree.
var firnBinary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "firn-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	firnBinary = filepath.Join(dir, "firn")
	build := exec.Command("go", "build", "-o", firnBinary, "./cmd/firn")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building firn: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
