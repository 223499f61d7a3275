package peers

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// data is that of stores with -keys pairs.
var data = sync.OnceValue(func() *Data { return NewData(*keys) })

// fill puts all pairs in random order.
func fill(s Store, d *Data, goroutines int) (*Latencies, error) {
	return Drive(goroutines, d.Keys, func(i int) error { return s.Put(d.Key(i), d.Value(i)) })
}

// fixtures are directories with a store, by engine and state. They are made when
// first wanted, and never changed.
var fixtures = map[string]string{}

func fixture(b *testing.B, e Engine, state string, make func(dir string) error) string {
	b.Helper()
	name := e.Name + "-" + state
	if dir := fixtures[name]; dir != "" {
		return dir
	}
	dir := filepath.Join(scratch, name)
	if err := make(dir); err != nil {
		b.Fatal(err)
	}
	fixtures[name] = dir
	return dir
}

// filled is a store as it is when it has been filled and closed.
func filled(b *testing.B, e Engine) string {
	return fixture(b, e, "filled", func(dir string) error { return fillDir(e, dir, data()) })
}

func fillDir(e Engine, dir string, d *Data) error {
	s, err := e.Open(dir, false)
	if err != nil {
		return err
	}
	if _, err := fill(s, d, 1); err != nil {
		return err
	}
	return s.Close()
}

// settled is a filled store that has done its background work.
func settled(b *testing.B, e Engine) string {
	return fixture(b, e, "settled", func(dir string) error {
		if err := clone(filled(b, e), dir); err != nil {
			return err
		}
		s, err := e.Open(dir, false)
		if err != nil {
			return err
		}
		if err := s.Settle(); err != nil {
			return err
		}
		return s.Close()
	})
}

// crashed is a store whose process was killed as soon as it was filled.
func crashed(b *testing.B, e Engine) string {
	return fixture(b, e, "crashed", func(dir string) error {
		_, err := child("fill", e, dir, *keys)
		return err
	})
}

// lazyStore is a store that is opened by the first sub-benchmark that runs, and
// stays open for all.
type lazyStore struct {
	Store
	open func(b *testing.B) string // returns the directory
}

func (l *lazyStore) get(b *testing.B, e Engine) Store {
	if l.Store == nil {
		s, err := e.Open(l.open(b), false)
		if err != nil {
			b.Fatal(err)
		}
		l.Store = s
	}
	return l.Store
}

func (l *lazyStore) close(b *testing.B) {
	if l.Store == nil {
		return
	}
	if err := l.Close(); err != nil {
		b.Error(err)
	}
}

// clone copies the files of a directory to another, and to the disk.
func clone(from, to string) error {
	if err := os.MkdirAll(to, 0o777); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			return fmt.Errorf("%s has a directory %s", from, e.Name())
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return dst.Sync()
}
