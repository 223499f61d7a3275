package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// hide keeps io.Copy and the like from seeing more of a reader than Read.
type hide struct{ io.Reader }

func TestPutReaderLengths(t *testing.T) {
	rng := newRand(t)
	data := incompressible(rng, 25<<20)
	a := openMemory(t, Options{Sync: SyncNever})
	lengths := []int{0, 1, 100}
	for _, around := range []int{largeFrom, 64 << 10, 128 << 10, 256 << 10, 1 << 20, 3 * 128 << 10} {
		lengths = append(lengths, around-1, around, around+1)
	}
	lengths = append(lengths, 25<<20-1, 25<<20)
	shapes := map[string]func(io.Reader) io.Reader{
		"plain":    func(r io.Reader) io.Reader { return hide{r} },
		"data+EOF": iotest.DataErrReader,
		"half":     iotest.HalfReader,
	}
	for _, n := range lengths {
		for shape, wrap := range shapes {
			key := fmt.Sprintf("%08d %s", n, shape)
			if err := a.PutReader(a.ctx, key, wrap(bytes.NewReader(data[:n])), nil); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			a.wantSame(key, data[:n])
			if n > 1<<20 {
				a.delete(key)
			}
		}
	}
	a.reopen()
	for _, n := range lengths {
		if n > 1<<20 {
			continue
		}
		for shape := range shapes {
			a.wantSame(fmt.Sprintf("%08d %s", n, shape), data[:n])
		}
	}
}

// wantSame is wantValue for large values.
func (a *apiTest) wantSame(key string, want []byte) {
	a.Helper()
	if got, err := a.Get(a.ctx, key); err != nil || !bytes.Equal(got, want) {
		a.Fatalf("get %q: %d bytes, %v; want %d bytes", key, len(got), err, len(want))
	}
	r, err := a.GetReader(a.ctx, key)
	if err != nil {
		a.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		a.Fatalf("read %q: %d bytes, %v; want %d bytes", key, len(got), err, len(want))
	}
}

func TestPutReaderByteByByte(t *testing.T) {
	a := openMemory(t, Options{})
	want := incompressible(newRand(t), 40<<10)
	if err := a.PutReader(a.ctx, "key", iotest.OneByteReader(bytes.NewReader(want)), nil); err != nil {
		t.Fatal(err)
	}
	a.wantSame("key", want)
}

// A value whose reader fails was not put, whatever the error and wherever it
// comes. io.ErrUnexpectedEOF is what the body of a broken HTTP request gives.
func TestPutReaderFails(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openMemory(t, Options{Sync: mode})
		a.put("old", "old value", nil)
		data := incompressible(newRand(t), 1<<20)
		for _, failure := range []error{
			errors.New("broken"), io.ErrUnexpectedEOF, fmt.Errorf("connection: %w", io.EOF), io.ErrClosedPipe,
		} {
			for _, after := range []int{0, 1, largeFrom - 1, largeFrom, largeFrom + 1, 128 << 10, 128<<10 + 1, 1 << 20} {
				for _, key := range []string{"old", "new"} {
					r := io.MultiReader(bytes.NewReader(data[:after]), iotest.ErrReader(failure))
					if err := a.PutReader(a.ctx, key, r, nil); !errors.Is(err, failure) {
						t.Fatalf("%v after %d bytes: %v", failure, after, err)
					}
					// The error comes with the last bytes.
					if err := a.PutReader(a.ctx, key, &failsAtEnd{data[:after], failure}, nil); !errors.Is(err, failure) {
						t.Fatalf("%v with the last of %d bytes: %v", failure, after, err)
					}
				}
			}
		}
		a.wantValue("old", "old value")
		a.wantAbsent("new")
		a.reopen()
		a.wantValue("old", "old value")
		a.wantAbsent("new")
		if report, err := a.Verify(a.ctx, nil); err != nil || len(report.Damage) > 0 {
			t.Fatal(report, err)
		}
	})
}

// failsAtEnd gives its last bytes together with an error.
type failsAtEnd struct {
	b   []byte
	err error
}

func (r *failsAtEnd) Read(p []byte) (int, error) {
	n := copy(p, r.b)
	if r.b = r.b[n:]; len(r.b) > 0 {
		return n, nil
	}
	return n, r.err
}

// counted counts the bytes that are read.
type counted struct {
	io.Reader
	n int64
}

func (r *counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += int64(n)
	return n, err
}

func TestPutReaderEndless(t *testing.T) {
	a := openMemory(t, Options{Limits: Limits{ValueBytes: 1 << 20}})
	a.put("key", "old value", nil)
	r := &counted{Reader: zeros{}}
	if err := a.PutReader(a.ctx, "key", r, nil); !errors.Is(err, ErrValueTooLarge) {
		t.Fatal(err)
	}
	if most := int64(1<<20 + 128<<10); r.n > most {
		t.Fatalf("%d bytes were read; %d suffice to know that they are too many", r.n, most)
	}
	a.wantValue("key", "old value")

	small := openMemory(t, Options{Limits: Limits{ValueBytes: 100}})
	if err := small.PutReader(a.ctx, "key", zeros{}, nil); !errors.Is(err, ErrValueTooLarge) {
		t.Fatal(err)
	}
	if err := small.PutReader(a.ctx, "key", io.LimitReader(zeros{}, 101), nil); !errors.Is(err, ErrValueTooLarge) {
		t.Fatal(err)
	}
	if err := small.PutReader(a.ctx, "key", io.LimitReader(zeros{}, 100), nil); err != nil {
		t.Fatal(err)
	}
}

// A reader that never gives anything is given up.
func TestPutReaderStuck(t *testing.T) {
	a := openMemory(t, Options{})
	stuck := readerFunc(func([]byte) (int, error) { return 0, nil })
	for _, n := range []int{0, 10, 200 << 10} {
		r := io.MultiReader(bytes.NewReader(make([]byte, n)), stuck)
		if err := a.PutReader(a.ctx, "key", r, nil); !errors.Is(err, io.ErrNoProgress) {
			t.Fatal(err)
		}
	}
	a.wantAbsent("key")
}

func TestPutReaderCanceled(t *testing.T) {
	a := openMemory(t, Options{})
	a.put("key", "old value", nil)
	ctx, cancel := context.WithCancel(a.ctx)
	r := &counted{Reader: zeros{}}
	err := a.PutReader(ctx, "key", readerFunc(func(p []byte) (int, error) {
		if r.n > 1<<20 {
			cancel()
		}
		return r.Read(p)
	}), nil)
	if !errors.Is(err, context.Canceled) || r.n > 3<<20 {
		t.Fatal(err, r.n)
	}
	a.wantValue("key", "old value")
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// heapWatch notes the most memory that was live since it was made.
type heapWatch struct {
	base, total, peak uint64
	calls             int
}

func newHeapWatch() *heapWatch {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return &heapWatch{base: m.HeapAlloc, total: m.TotalAlloc}
}

func (w *heapWatch) look() {
	if w.calls++; w.calls%8 != 0 {
		return
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.peak = max(w.peak, m.HeapAlloc)
}

// wantBelow checks the most that was live, and all that was allocated since.
func (w *heapWatch) wantBelow(t *testing.T, what string, live, total int64) {
	t.Helper()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	gotLive, gotTotal := int64(w.peak)-int64(w.base), int64(m.TotalAlloc-w.total)
	t.Logf("%s: %d KiB live at most, %d KiB allocated", what, gotLive>>10, gotTotal>>10)
	if gotLive > live || gotTotal > total {
		t.Errorf("%s: %d bytes live at most, %d allocated; want at most %d and %d", what, gotLive, gotTotal, live, total)
	}
}

// A stream takes less than 1 MiB, however long the value is. The encoders and
// decoders that it needs stay for the next, so the first does not count.
func TestStreamMemory(t *testing.T) {
	const length = 25 << 20
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openAPI(t, Options{Sync: mode})
		run := func(watch *heapWatch) {
			w := watch
			rng := rand.New(rand.NewPCG(1, 2))
			source := readerFunc(func(p []byte) (int, error) {
				w.look()
				for i := 0; i+8 <= len(p); i += 8 {
					v := rng.Uint64()
					for j := range 8 {
						p[i+j] = byte(v >> (8 * j))
					}
				}
				return len(p), nil
			})
			if err := a.PutReader(a.ctx, "key", io.LimitReader(source, length), nil); err != nil {
				t.Fatal(err)
			}
			w.wantBelow(t, "put", 1<<20, 3<<20)
			*w = *newHeapWatch()
			r, err := a.GetReader(a.ctx, "key")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			n, err := io.Copy(writerFunc(func(p []byte) (int, error) {
				w.look()
				return len(p), nil
			}), r)
			if err != nil || n != length {
				t.Fatal(n, err)
			}
			w.wantBelow(t, "get", 1<<20, 3<<20)
		}
		warm := bytes.Repeat([]byte("warm"), 300<<10)
		if err := a.PutReader(a.ctx, "warm", bytes.NewReader(warm), nil); err != nil {
			t.Fatal(err)
		}
		a.wantSame("warm", warm)
		run(newHeapWatch())
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestConcurrentStreams(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		a := openMemory(t, Options{Sync: mode})
		data := incompressible(newRand(t), 2<<20)
		const streams = 8
		part := func(i, round int) []byte { return data[i*1000+round : len(data)-(i*100_000+round)] }
		var group sync.WaitGroup
		for i := range streams {
			group.Go(func() {
				for round := range 4 {
					key := fmt.Sprint("key", i)
					if err := a.PutReader(a.ctx, key, iotest.HalfReader(bytes.NewReader(part(i, round))), nil); err != nil {
						t.Error(err)
						return
					}
					got, err := a.Get(a.ctx, key)
					if err != nil || !bytes.Equal(got, part(i, round)) {
						t.Errorf("%s in round %d: %d bytes, %v", key, round, len(got), err)
					}
				}
			})
		}
		group.Wait()
		check := func() {
			t.Helper()
			for i := range streams {
				a.wantSame(fmt.Sprint("key", i), part(i, 3))
			}
			if report, err := a.Verify(a.ctx, nil); err != nil || len(report.Damage) > 0 {
				t.Fatal(report, err)
			}
		}
		check()
		a.reopen()
		check()
	})
}

// A reader gives the value as it was when it was asked for.
func TestReaderIsASnapshot(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		for _, size := range []int{0, 10, 5000, largeFrom, 1 << 20} {
			a := openMemory(t, Options{Sync: mode})
			want := incompressible(newRand(t), size)
			if err := a.Put(a.ctx, "key", want, &PutOptions{Metadata: []byte(`"old"`)}); err != nil {
				t.Fatal(err)
			}
			var readers []*ValueReader
			for range 5 {
				r, err := a.GetReader(a.ctx, "key")
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				readers = append(readers, r)
			}
			next := func() {
				t.Helper()
				r := readers[0]
				readers = readers[1:]
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, want) || string(r.Info().Metadata) != `"old"` {
					t.Fatalf("%d bytes: read %d bytes, %v", size, len(got), err)
				}
			}
			if size > 0 { // one that is in the middle
				if _, err := io.ReadFull(readers[0], make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				want := want[1:]
				a.put("key", "new", nil)
				if got, err := io.ReadAll(readers[0]); err != nil || !bytes.Equal(got, want) {
					t.Fatal(len(got), err)
				}
				readers = readers[1:]
			}
			a.put("key", strings.Repeat("new", 100_000), nil)
			next()
			a.delete("key")
			next()
			a.clock.set(epoch + 1_000_000)
			next()
			a.close()
			next()
		}
	})
}

func TestReaderClose(t *testing.T) {
	a := openMemory(t, Options{})
	for _, size := range []int{10, 1 << 20} {
		a.put("key", strings.Repeat("v", size), nil)
		r, err := a.GetReader(a.ctx, "key")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := r.Read(nil); n != 0 || err != nil {
			t.Fatalf("empty read: %d, %v", n, err)
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, ErrClosed) {
			t.Fatalf("read after close: %d, %v", n, err)
		}
	}
}
