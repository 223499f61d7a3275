package engine

import (
	"context"
	"fmt"
	"io"

	"github.com/firnkv/firn/segment"
)

// Put writes a pair. opts may be nil: the pair then has no metadata and never
// expires, even if it did before. The value is not kept.
//
// When Put returns nil, the pair is visible, and as durable as [Options.Sync]
// says. If it returns the error of ctx, the pair may still become visible.
func (s *Store) Put(ctx context.Context, key string, value []byte, opts *PutOptions) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	var w [1]write
	if err := s.prepare(&w[0], key, opts); err != nil {
		return err
	}
	if err := s.opts.Limits.checkValue(int64(len(value))); err != nil {
		return err
	}
	if len(value) >= largeFrom {
		return s.putLarge(ctx, &w[0], value, nil)
	}
	w[0].rec.Value, w[0].rec.Length = value, int64(len(value))
	return s.commit(ctx, w[:])
}

// PutReader is Put with a value of unknown length, which is read from r to its
// end. It takes less than 1 MiB of memory, however long the value is. If reading
// fails, or the value turns out to be too large, nothing of it becomes visible. A
// TTL counts from the end of the value; of an absolute expiration that comes
// earlier, nothing more is said: the pair has expired then.
func (s *Store) PutReader(ctx context.Context, key string, r io.Reader, opts *PutOptions) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	var w [1]write
	if err := s.prepare(&w[0], key, opts); err != nil {
		return err
	}
	first := make([]byte, largeFrom)
	n, err := readFull(r, first)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read value: %w", err)
	}
	if err := s.opts.Limits.checkValue(int64(n)); err != nil {
		return err
	}
	switch {
	case err == nil:
		return s.putLarge(ctx, &w[0], first, r)
	case n == largeFrom:
		return s.putLarge(ctx, &w[0], first, nil)
	}
	w[0].ended(s.clock.now())
	w[0].rec.Value, w[0].rec.Length = first[:n], int64(n)
	return s.commit(ctx, w[:])
}

// prepare checks everything but the value and fills in the record.
func (s *Store) prepare(w *write, key string, opts *PutOptions) error {
	if err := s.opts.Limits.checkKey(key); err != nil {
		return err
	}
	w.rec = segment.Record{Key: keyBytes(key)}
	w.hash = s.hasher.Sum(key)
	if opts == nil {
		return nil
	}
	var err error
	if w.rec.Metadata, err = s.opts.Limits.metadata(opts.Metadata); err != nil {
		return err
	}
	if w.rec.Expiration, err = s.opts.Limits.expiration(opts, s.clock.now()); opts.TTL != 0 {
		w.ttl = seconds(opts.TTL)
	}
	return err
}

// ended is called when the whole value has come.
func (w *write) ended(now int64) {
	if w.ttl != 0 {
		w.rec.Expiration = now + w.ttl
	}
}

// Delete deletes a key. It is no error if there is none.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.opts.Limits.checkKey(key); err != nil {
		return err
	}
	w := [1]write{{rec: segment.Record{Key: keyBytes(key), Tombstone: true}, hash: s.hasher.Sum(key)}}
	// If there is no such key, a put that is under way comes after this
	// delete, and there is nothing to write.
	if _, ok := s.index.Get(w[0].hash); !ok {
		return s.committer.check()
	}
	return s.commit(ctx, w[:])
}

// Write writes the batch: all of it becomes visible and durable, or nothing. A
// pair that is refused is named by a [*PairError]. The batch can be used again.
func (s *Store) Write(ctx context.Context, b *Batch) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	writes, err := s.prepareBatch(b)
	if err != nil {
		return err
	}
	if len(writes) == 0 {
		return s.committer.check()
	}
	for i := range writes {
		w := &writes[i]
		if w.rec.Length < largeFrom {
			continue
		}
		st, err := s.streamLarge(ctx, w, w.rec.Value, nil)
		if err != nil {
			return err
		}
		defer st.end()
	}
	return s.commit(ctx, writes)
}

// prepareBatch checks the whole batch. Deletes of keys that are not there are
// left out of a batch that has nothing but deletes.
func (s *Store) prepareBatch(b *Batch) ([]write, error) {
	limits := &s.opts.Limits
	if err := limits.checkBatch(b); err != nil {
		return nil, err
	}
	writes := make([]write, 0, len(b.ops))
	puts := false
	for i := range b.ops {
		op := &b.ops[i]
		var w write
		if err := s.prepareOp(&w, op); err != nil {
			return nil, &PairError{Index: i, Key: op.key, Err: err}
		}
		puts = puts || !op.delete
		writes = append(writes, w)
	}
	if puts {
		return writes, nil
	}
	present := writes[:0]
	for _, w := range writes {
		if _, ok := s.index.Get(w.hash); ok {
			present = append(present, w)
		}
	}
	return present, nil
}

func (s *Store) prepareOp(w *write, op *batchOp) error {
	opts := &op.opts
	if op.delete {
		opts = nil
	}
	if err := s.prepare(w, op.key, opts); err != nil {
		return err
	}
	if op.delete {
		w.rec.Tombstone = true
		return nil
	}
	w.rec.Value, w.rec.Length = op.value, int64(len(op.value))
	return s.opts.Limits.checkValue(w.rec.Length)
}
