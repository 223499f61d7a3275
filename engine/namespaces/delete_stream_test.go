package namespaces

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/firnkv/firn/engine"
)

// streams are a read, a write and a listing of a store that have begun.
type streams struct {
	t      *testing.T
	lease  *Lease
	value  []byte
	reader *engine.ValueReader
	first  []byte // that was read of value
	into   *io.PipeWriter
	put    chan error
	keys   int // that are yet to come
	next   func() (engine.KeyInfo, error, bool)
	stop   func()
}

// begin begins streams, all under one lease.
func (p *testPool) begin(ns Namespace) *streams {
	t := p.t
	t.Helper()
	s := &streams{t: t, lease: p.acquire(ns), value: make([]byte, 4<<20), keys: 2500, put: make(chan error, 1)}
	ctx, store := t.Context(), s.lease.Store()
	rand.NewChaCha8([32]byte{}).Read(s.value)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(store.Put(ctx, "large", s.value, nil))
	var b engine.Batch
	for i := range s.keys {
		b.Put(fmt.Sprintf("key %04d", i), nil, nil)
	}
	must(store.Write(ctx, &b))

	var err error
	s.reader, err = store.GetReader(ctx, "large")
	must(err)
	t.Cleanup(func() { s.reader.Close() })
	s.first = make([]byte, 1<<20)
	_, err = io.ReadFull(s.reader, s.first)
	must(err)

	s.next, s.stop = iter.Pull2(store.Keys(ctx, "key "))
	t.Cleanup(s.stop)
	for range 100 { // of the first page
		_, err, _ := s.next()
		must(err)
		s.keys--
	}

	from, into := io.Pipe()
	s.into = into
	go func() {
		err := store.PutReader(ctx, "put", from, nil)
		from.CloseWithError(err) // or who sends it waits
		s.put <- err
	}()
	_, err = s.into.Write(s.value[:1<<20])
	must(err)
	return s
}

// wantRead reads the value to its end.
func (s *streams) wantRead() {
	s.t.Helper()
	rest, err := io.ReadAll(s.reader)
	if err != nil || !bytes.Equal(append(s.first, rest...), s.value) {
		s.t.Errorf("%d more bytes of the value, %v", len(rest), err)
	}
}

// wantKeys goes through the listing, which ends with that error.
func (s *streams) wantKeys(want error) {
	s.t.Helper()
	for {
		_, err, more := s.next()
		if err != nil || !more {
			if !errors.Is(err, want) || want == nil && s.keys != 0 {
				s.t.Errorf("the listing ends with %v, %d keys before its end", err, s.keys)
			}
			return
		}
		s.keys--
	}
}

// wantPut sends the rest of the value that is being put.
func (s *streams) wantPut(want error) {
	s.t.Helper()
	_, err := s.into.Write(s.value[1<<20:])
	s.into.CloseWithError(err)
	wantErr(s.t, <-s.put, want)
}

// TestPoolDeleteUnderStreams deletes a namespace from and to which data is streamed.
// That comes to its end undisturbed, and then everything goes.
func TestPoolDeleteUnderStreams(t *testing.T) {
	p := openPool(t, t.TempDir(), PoolOptions{IdleTimeout: time.Minute})
	ns, other := p.create("a"), p.create("other")
	s := p.begin(ns)
	if _, err := p.Delete(t.Context(), ns.ID); err != nil {
		t.Fatal(err)
	}
	p.pass(time.Hour)
	if got := storeDirs(t, p.path); !slices.Contains(got, ns.ID) {
		t.Errorf("there is %q, and a lease", got)
	}
	s.wantRead()
	s.wantKeys(nil)
	s.wantPut(nil)
	if v, err := s.lease.Store().Get(t.Context(), "put"); err != nil || !bytes.Equal(v, s.value) {
		t.Errorf("put under a lease: %d bytes, %v", len(v), err)
	}
	if err := s.reader.Close(); err != nil {
		t.Error(err)
	}
	s.lease.Release()
	p.wantFilesGone(ns)
	p.wantNoneDeleted()
	p.wantGone(ns)
	if got := storeDirs(t, p.path); !slices.Equal(got, []string{other.ID}) {
		t.Errorf("there is %q", got)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func(context.Context, string) (*engine.Store, Namespace, error){
		p.dir.OpenRead, p.dir.OpenWrite, p.dir.OpenExisting,
	} {
		_, _, err := open(t.Context(), ns.ID)
		wantErr(t, err, ErrNotExist)
	}
}

// TestPoolCloseUnderStreams gives up waiting for what is streamed. A value that is
// being read can be read to its end, everything else fails; that the namespace is
// deleted makes no difference.
func TestPoolCloseUnderStreams(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		t.Run(fmt.Sprint("deleted ", deleted), func(t *testing.T) {
			p := openPool(t, t.TempDir(), PoolOptions{})
			ns := p.create("a")
			s := p.begin(ns)
			if deleted {
				if _, err := p.Delete(t.Context(), ns.ID); err != nil {
					t.Fatal(err)
				}
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			p.ended = context.Canceled
			wantErr(t, p.Close(ended), p.ended)
			s.wantPut(engine.ErrClosed)
			s.wantRead()
			s.wantKeys(engine.ErrClosed)
			if err := s.reader.Close(); err != nil {
				t.Error(err)
			}
			s.lease.Release()
			if got := storeDirs(t, p.path); (len(got) == 0) != deleted {
				t.Errorf("there is %q", got)
			}
		})
	}
}
