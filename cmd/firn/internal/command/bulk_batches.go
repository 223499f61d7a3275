package command

import (
	"context"
	"errors"
	"io"

	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine"
)

// A batch is full with so many writes, which is the limit of the bulk API, or
// with so many bytes: enough for a sync to cost little beside it, and few
// enough for two batches to take little memory.
const (
	batchWrites = 10_000
	batchBytes  = 4 << 20
)

// adder adds the next write to a batch, or returns io.EOF after the last one.
type adder func(batch) error

// written is how far a bulk write has come.
type written struct {
	entries int64
	bytes   int64 // keys, values and metadata
}

// chunk is a batch and the position of its first entry in the input.
type chunk struct {
	batch batch
	first int64
}

// writeAll writes what add adds, in batches, of which the next one is filled
// while one is being written. If add fails, nothing of its batch is written.
// It returns what is in the store for certain. wrote, if not nil, is called
// after every batch.
//
// If a write fails, writeAll calls stop and waits for add to return: stop has
// to see to it that add does not wait for input any longer.
func writeAll(ctx context.Context, stop func(), store writer, add adder, wrote func(written)) (written, error) {
	chunks := make(chan *chunk)
	var unread error
	go func() {
		defer close(chunks)
		unread = cut(ctx, store, add, chunks)
	}()
	var sum written
	var failed error
	for c := range chunks {
		if failed != nil {
			continue
		}
		if failed = c.write(ctx); failed != nil {
			stop()
			continue
		}
		sum.entries += int64(c.batch.Len())
		sum.bytes += c.batch.Bytes()
		if wrote != nil {
			wrote(sum)
		}
	}
	if failed == nil {
		failed = unread
	}
	return sum, failed
}

// cut cuts what add adds into chunks.
func cut(ctx context.Context, store writer, add adder, chunks chan<- *chunk) error {
	for c := (&chunk{batch: store.NewBatch()}); ; {
		err := add(c.batch)
		if err != nil && err != io.EOF {
			return err
		}
		full := c.batch.Len() == batchWrites || c.batch.Bytes() >= batchBytes
		if full || err == io.EOF && c.batch.Len() > 0 {
			select {
			case chunks <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
			c = &chunk{store.NewBatch(), c.first + int64(c.batch.Len())}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// write writes the batch. A pair that the store refuses is named by its
// position in the input.
func (c *chunk) write(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := c.batch.Write(ctx)
	var refused *engine.PairError
	if errors.As(err, &refused) {
		return &wire.EntryError{Index: int(c.first) + refused.Index, Key: refused.Key, Err: refused.Err}
	}
	return err
}
