// Package reload keeps what small files hold, and takes it in again when they
// change, without a restart and without a goroutine that waits for it: whoever
// asks for it looks at the files, at most once a second.
package reload

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// every is how long a change may go unseen. Reading some kilobytes that
	// often costs nothing, and comparing them sees what times and sizes of
	// files do not show.
	every = time.Second

	maxBytes = 4 << 20 // of one file
)

// Files is the value that some files together hold. Its methods are safe for
// concurrent use.
type Files[T any] struct {
	paths []string
	parse func(contents [][]byte) (T, error)
	log   *slog.Logger

	current atomic.Pointer[T]
	due     atomic.Int64 // when to look again, in nanoseconds since begun
	begun   time.Time    // so that a clock that is set does not matter

	mu      sync.Mutex
	seen    [sha256.Size]byte // digest of what parse was last given
	bad     error             // what parse said of it
	trouble error             // that the last look met
}

// New reads the files and returns what they hold, as parse makes it of their
// contents, in the order of the paths. Every change is logged. Content that is
// bad later on is logged too, and leaves the value as it was.
func New[T any](log *slog.Logger, parse func(contents [][]byte) (T, error), paths ...string) (*Files[T], error) {
	f := &Files[T]{paths: paths, parse: parse, log: log, begun: time.Now()}
	if err := f.look(); err != nil {
		return nil, err
	}
	f.due.Store(int64(every))
	return f, nil
}

// Get returns the value, at most a second old. If others look at the files
// right now, it does not wait for them.
func (f *Files[T]) Get() T {
	if int64(time.Since(f.begun)) >= f.due.Load() && f.mu.TryLock() {
		f.refresh()
		f.mu.Unlock()
	}
	return *f.current.Load()
}

// Reload looks at the files now.
func (f *Files[T]) Reload() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
}

// refresh looks at the files, and logs once what is wrong with them. The caller
// holds the lock.
func (f *Files[T]) refresh() {
	before := f.trouble
	f.trouble = f.look()
	f.due.Store(int64(time.Since(f.begun) + every))
	if f.trouble != nil && (before == nil || before.Error() != f.trouble.Error()) {
		f.log.Error("what was read before stays in force", "files", f.names(), "error", f.trouble)
	}
}

// look takes in what the files hold if it is not what they held before.
func (f *Files[T]) look() error {
	contents, err := readAll(f.paths)
	if err != nil {
		return err
	}
	sum := digest(contents)
	first := f.current.Load() == nil
	if !first && sum == f.seen {
		return f.bad
	}
	f.seen = sum
	value, err := f.parse(contents)
	if err != nil {
		f.bad = fmt.Errorf("%s: %w", f.names(), err)
		return f.bad
	}
	f.bad = nil
	f.current.Store(&value)
	if !first {
		f.log.Info("read again, after a change", "files", f.names())
	}
	return nil
}

func (f *Files[T]) names() string { return strings.Join(f.paths, ", ") }

func readAll(paths []string) ([][]byte, error) {
	contents := make([][]byte, len(paths))
	for i, path := range paths {
		var err error
		if contents[i], err = read(path); err != nil {
			return nil, err
		}
	}
	return contents, nil
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err == nil && len(content) > maxBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxBytes)
	}
	return content, err
}

func digest(contents [][]byte) [sha256.Size]byte {
	all := sha256.New()
	for _, content := range contents {
		one := sha256.Sum256(content)
		all.Write(one[:])
	}
	return [sha256.Size]byte(all.Sum(nil))
}
