package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// ErrName: there is a token of that name already.
var ErrName = errors.New("there is a token of that name already")

// Append draws a new token, appends its entry to the file at path, and returns
// the secret. It sets SHA256 and Created of the entry. A file that it makes is for the user
// alone.
func Append(path string, e *Entry) (secret string, err error) {
	secret = NewSecret()
	e.SHA256 = hashOf(secret).String()
	e.Created = time.Now().UTC().Truncate(time.Second)
	if _, _, err := e.token(); err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	before, err := io.ReadAll(file)
	if err != nil {
		return "", err
	}
	if err := checkBefore(before, e.Name); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	line, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	if len(before) > 0 && !bytes.HasSuffix(before, []byte("\n")) {
		line = append([]byte("\n"), line...)
	}
	// One write, so that a server never reads lines that run into each other.
	if _, err := file.Write(append(line, '\n')); err != nil {
		return "", err
	}
	return secret, file.Sync()
}

// checkBefore refuses to append to a file that is not one of tokens, or that
// has one of that name.
func checkBefore(content []byte, name string) error {
	return eachEntry(content, func(e *Entry) error {
		if e.Name == name {
			return fmt.Errorf("%w: %q", ErrName, name)
		}
		_, _, err := e.token()
		return err
	})
}

// List returns the entries of the file at path, in its order.
func List(path string) ([]Entry, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if _, err := parse(content); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var all []Entry
	err = eachEntry(content, func(e *Entry) error {
		all = append(all, *e)
		return nil
	})
	return all, err
}
