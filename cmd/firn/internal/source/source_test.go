package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func TestDecompress(t *testing.T) {
	plain := strings.Repeat(`{"key":"a","value":"b"}`+"\n", 10_000)
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	io.WriteString(g, plain)
	g.Close()
	z, _ := zstd.NewWriter(&zs)
	io.WriteString(z, plain)
	z.Close()
	for name, in := range map[string]string{"plain": plain, "gzip": gz.String(), "zstd": zs.String(), "two gzip members": gz.String() + gz.String()} {
		r, err := Decompress(iotest.HalfReader(strings.NewReader(in)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !strings.HasPrefix(string(got), plain) || len(got)%len(plain) != 0 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		r.Close()
	}
	for name, in := range map[string]string{"gzip": gz.String()[:gz.Len()-9], "zstd": zs.String()[:zs.Len()-9]} {
		r, err := Decompress(strings.NewReader(in))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err == nil || !strings.Contains(err.Error(), "decompressing "+name) {
			t.Errorf("%s cut short: %v", name, err)
		}
	}
	for _, in := range []string{"", "{", "\x1f"} {
		r, err := Decompress(strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != in {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestInterrupt(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Open(ctx, "-", in)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		io.WriteString(out, "begin")
		time.Sleep(20 * time.Millisecond)
		cancel()
	}()
	got, err := io.ReadAll(s)
	if string(got) != "begin" || !errors.Is(err, context.Canceled) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSpool(t *testing.T) {
	s, err := Open(t.Context(), "-", iotest.OneByteReader(strings.NewReader("hello, spool")))
	if err != nil {
		t.Fatal(err)
	}
	if !s.Live() {
		t.Error("standard input is not live")
	}
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.Spool(5); err != nil {
		t.Fatal(err)
	}
	name := s.spool.Name()
	if got, err := io.ReadAll(s); err != nil || string(got) != "hello" || s.Live() {
		t.Errorf("got %q, %v", got, err)
	}
	s.Close()
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is still there: %v", err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := io.ReadAll(s)
	if err != nil || string(got) != "content" || s.Size() != 7 || s.Done() != 7 || s.Live() {
		t.Errorf("got %q, %v; size %d, done %d, live %v", got, err, s.Size(), s.Done(), s.Live())
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if _, err := Open(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
	}
}
