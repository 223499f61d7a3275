package auth

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNoName: there is no token of that name.
var ErrNoName = errors.New("there is no token of that name")

// Delete removes the tokens of a name from the file at path. Everything else in it
// stays as it is. The file is replaced at once, by one of the same mode and owner,
// so that a server reads either all of the old or all of the new one. It is not,
// if a server would refuse what is left.
func Delete(path, name string) error {
	// The file is replaced, and not a link to it.
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	left, err := without(content, name)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return replace(path, left)
}

// without returns the content of a file without the tokens of a name.
func without(content []byte, name string) (left []byte, err error) {
	var emptied []byte // has an empty line for each that is removed, so that numbers of lines are right
	for line := range bytes.Lines(content) {
		if e, err := parseEntry(line); err == nil && e.Name == name {
			emptied = append(emptied, '\n')
			continue
		}
		left, emptied = append(left, line...), append(emptied, line...)
	}
	if _, err := parse(emptied); err != nil {
		return nil, err
	}
	if len(left) == len(content) {
		return nil, fmt.Errorf("%w: %q", ErrNoName, name)
	}
	return left, nil
}

// replace puts a file with the content in the place of the one at path. It returns
// when a loss of power does not bring the old one back.
func replace(path string, content []byte) error {
	before, err := os.Stat(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, ".firn-tokens-") // which is for the user alone
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, keepOwner(file, before), file.Chmod(before.Mode()), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // err says more
		return err
	}
	return syncDir(dir)
}
