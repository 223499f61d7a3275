package bench

import (
	"bytes"
	"fmt"
	"io"
	"runtime"

	"github.com/firnkv/firn/bench/dataset"
)

const (
	// largeKeys is how many large values a store has.
	largeKeys = 2
	// largest is their size, or it is 1 MiB.
	largest = 25 << 20
)

// largeValues put and get values that are worth streaming.
func largeValues() []Workload {
	var all []Workload
	for _, size := range []int{1 << 20, largest} {
		put := Workload{
			Name:    fmt.Sprintf("large/put/size=%dMiB", size>>20),
			About:   "Put large values, streamed where the engine can, nothing synced.",
			Threads: 1,
			run:     func(r *round) error { return r.large(size, false) },
		}
		get := Workload{
			Name:    fmt.Sprintf("large/get/size=%dMiB", size>>20),
			About:   "Get large values that were just put, every byte, streamed where the engine can.",
			Threads: 1,
			run:     func(r *round) error { return r.large(size, true) },
		}
		if size == largest {
			put.probe, get.probe = probeEncoding, probeDecoding
		}
		all = append(all, put, get)
	}
	return all
}

func (r *round) large(size int, read bool) error {
	s, err := r.open(1)
	if err != nil {
		return err
	}
	return closing(s, r.largeIn(s, size, read))
}

func (r *round) largeIn(s Store, size int, read bool) error {
	l := &large{store: s, value: largeValue(r.data, size)}
	if _, ok := s.(Streamer); !ok {
		r.note(fmt.Sprintf("%s does not stream: large values are in memory as a whole.", r.engine.Name))
	}
	op := l.put
	if read {
		for i := range largeKeys {
			if err := l.put(i); err != nil {
				return err
			}
		}
		op = l.get
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out, err := r.measure(1, op)
	if err != nil {
		return err
	}
	runtime.ReadMemStats(&after)
	r.add(bandwidth, float64(out.Ops)*float64(size)/out.Elapsed.Seconds())
	r.add(allocated, float64(after.TotalAlloc-before.TotalAlloc)/float64(l.calls))
	return nil
}

// large puts and gets one value under some keys. It is not safe for concurrent use.
type large struct {
	store Store
	value []byte
	sink  sink
	calls int
}

func largeKey(i int) string { return fmt.Sprintf("large:%d", i%largeKeys) }

func (l *large) put(i int) error {
	l.calls++
	if s, ok := l.store.(Streamer); ok {
		return s.PutStream(largeKey(i), bytes.NewReader(l.value))
	}
	return l.store.Put(largeKey(i), l.value)
}

func (l *large) get(i int) error {
	l.calls++
	l.sink.n = 0
	err := l.store.GetTo(largeKey(i), &l.sink)
	if err == nil && l.sink.n != int64(len(l.value)) {
		err = fmt.Errorf("value of key %q has %d bytes, should have %d", largeKey(i), l.sink.n, len(l.value))
	}
	return err
}

// sink takes in every byte that it is given, or reads: as a caller does who passes a
// value on, so that engines that return values in place have to get at them too.
type sink struct {
	n      int64
	buffer [32 << 10]byte
}

func (s *sink) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		rest = rest[copy(s.buffer[:], rest):]
	}
	s.n += int64(len(p))
	return len(p), nil
}

// ReadFrom implements [io.ReaderFrom], without another buffer in between.
func (s *sink) ReadFrom(r io.Reader) (n int64, err error) {
	for {
		k, err := r.Read(s.buffer[:])
		n += int64(k)
		s.n += int64(k)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// largeValue strings values together.
func largeValue(d *dataset.Data, size int) []byte {
	b := make([]byte, 0, size+len(d.Value(0)))
	for i := 0; len(b) < size; i++ {
		b = append(b, d.Value(i)...)
	}
	return b[:size]
}
