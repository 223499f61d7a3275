package workerd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrNotFound: there is no workerd where one is looked for.
var ErrNotFound = errors.New(`there is no workerd in node_modules/.bin or on PATH; "npm install workerd" gets one, ` +
	`or --workerd says where it is`)

// Find returns the path of workerd: that in node_modules of dir or the nearest
// directory above, as npm installs it for a project, or else one on PATH. Where that
// is only what starts the program, it is the path of the program; see behind.
func Find(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		path, err := exec.LookPath(filepath.Join(dir, "node_modules", ".bin", "workerd"))
		if err == nil {
			return behind(path), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	path, err := exec.LookPath("workerd")
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return "", ErrNotFound
	}
	return behind(path), err
}

// platform is the npm package that has the program for this machine: for amd64, its
// name ends in 64.
var platform = "workerd-" + runtime.GOOS + "-" + strings.TrimPrefix(runtime.GOARCH, "amd")

// behind returns the program that path stands for. Where npm runs no scripts of the
// packages that it installs, what it puts there is a script that starts the program
// of another package, and passes neither files nor signals on to it: it would not say
// where it listens, and would run on when it is told to end.
func behind(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	modules := filepath.Dir(filepath.Dir(filepath.Dir(real))) // real is node_modules/workerd/bin/workerd
	program, err := exec.LookPath(filepath.Join(modules, "@cloudflare", platform, "bin", "workerd"))
	if err != nil {
		return path
	}
	return program
}
