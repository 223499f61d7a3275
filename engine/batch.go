package engine

// Batch is a set of writes that take effect together: after a crash all of
// them are there, or none. Readers may still see some before others, also of
// several writes to one key, which take effect in the order of the batch.
//
// The zero value is an empty batch. A Batch is not safe for concurrent use.
type Batch struct {
	ops   []batchOp
	bytes int64
}

type batchOp struct {
	key    string
	value  []byte
	opts   PutOptions
	delete bool
}

// Put adds a put. opts may be nil. The value and the metadata are not copied:
// they must not change until the batch is written or reset.
func (b *Batch) Put(key string, value []byte, opts *PutOptions) {
	op := batchOp{key: key, value: value}
	if opts != nil {
		op.opts = *opts
	}
	b.ops = append(b.ops, op)
	b.bytes += int64(len(key)) + int64(len(value)) + int64(len(op.opts.Metadata))
}

// Delete adds a delete.
func (b *Batch) Delete(key string) {
	b.ops = append(b.ops, batchOp{key: key, delete: true})
	b.bytes += int64(len(key))
}

// Len returns the number of writes in the batch.
func (b *Batch) Len() int { return len(b.ops) }

// Bytes returns the bytes of keys, values and metadata in the batch.
func (b *Batch) Bytes() int64 { return b.bytes }

// Reset empties the batch for another use.
func (b *Batch) Reset() {
	clear(b.ops)
	b.ops, b.bytes = b.ops[:0], 0
}
