package workerd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNotFound: there is no workerd where one is looked for.
var ErrNotFound = errors.New(`there is no workerd in node_modules/.bin or on PATH; "npm install workerd" gets one, ` +
	`or --workerd says where it is`)

// Find returns the path of workerd: that in node_modules of dir or the nearest
// directory above, as npm installs it for a project, or else one on PATH.
func Find(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		path, err := exec.LookPath(filepath.Join(dir, "node_modules", ".bin", "workerd"))
		if err == nil {
			return path, nil
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
	return path, err
}
