package segment

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/dict"
	"github.com/klauspost/compress/zstd"
)

// DictionarySize is the most bytes that a dictionary built by
// [BuildDictionary] has. Real JSON records of 680 B are packed as small with 32 KiB
// as with 64 KiB, at the level Fast, the dictionary included.
const DictionarySize = 32 << 10

// BuildDictionary trains a dictionary of at most size bytes on samples: encoded
// records, some thousands of them, shuffled. Training takes half a second for 2,000
// samples of 600 B. Its tables are those of the level Fast, which packs 1 % better
// with them. Its Huffman table has a code for every byte. It returns nil if the
// samples do not make one, or one that is of hardly any use.
func BuildDictionary(samples [][]byte, size int) []byte {
	training, held := samples, samples
	if len(samples) >= 4*heldOut {
		training, held = nil, nil
		for i, s := range samples {
			if i%heldOut == heldOut-1 {
				held = append(held, s)
			} else {
				training = append(training, s)
			}
		}
	}
	d, err := dict.BuildZstdDict(append(slices.Clip(training), allBytes()), dict.Options{
		MaxDictSize: min(size, DictionarySize),
		HashBytes:   6,
		ZstdDictID:  dictionaryID,
		ZstdLevel:   zstd.SpeedFastest,
	})
	if err != nil || !useful(d, held) {
		return nil
	}
	return d
}

// heldOut says that one sample in so many is not trained on, but tells what the
// dictionary is worth.
const heldOut = 16

// useful reports whether samples take 3 % less with the dictionary, each alone.
// Incompressible values of 435 B with their keys take 1 % less; as many JSON records
// of 160 B as blobs of 2 KB take 4 % less, together.
func useful(dictionary []byte, samples [][]byte) bool {
	comp, err := NewCompressor(Fastest, dictionary)
	if err != nil {
		return false
	}
	var stored, buf []byte
	raw, saved := 0, 0
	for _, s := range samples {
		s = s[:min(len(s), MaxRaw)]
		stored, buf, _ = comp.Compress(buf, s)
		raw += len(s)
		saved += len(s) - len(stored)
	}
	return 32*saved >= raw
}

// PackedOptions say how a packed segment is written.
type PackedOptions struct {
	// Dictionary comes from [BuildDictionary], or is nil.
	Dictionary []byte
	// Level says how hard to compress.
	Level Level
	// FrameBytes is how many bytes of records a frame gathers, at most
	// [MaxRaw]. 0: each record has a frame of its own.
	FrameBytes int
	// MinSeq is a lower bound of the sequence numbers.
	MinSeq uint64
	// Workers is on how many goroutines frames are compressed; 0: one.
	Workers int
	// Yield, if not nil, is called after each frame, on the goroutine of the
	// caller: compressing a record takes up to 100 µs.
	Yield func()
}

// PackedWriter writes a packed segment: records in the order of their keys. It is
// not safe for concurrent use. With several workers, some may still be at work for
// a moment when it is given up.
type PackedWriter struct {
	w       *FrameWriter
	footer  *FooterWriter
	totals  Totals
	opts    PackedOptions
	pending []*packedFrame // to be compressed and written, the last being filled
	batch   batch          // those before it, being compressed
	free    []*packedFrame
	buf     []byte
	bytes   int64 // estimate of what pending and batch take in the file
}

// batch is frames that several goroutines compress while others are filled.
type batch struct {
	frames  []*packedFrame
	next    atomic.Int64 // the first that nobody has taken
	helpers sync.WaitGroup
}

// packedFrame is a frame and what the footer is going to say about it.
type packedFrame struct {
	frame   Frame
	raw     []byte // not compressed; empty if stored is given
	stored  []byte
	buf     []byte // that stored may be part of
	entries []Entry
	keys    []byte // keys and metadata of entries
	bytes   int64  // of records, or stored
}

// packedBatch is how many frames are compressed at a time for each worker.
const packedBatch = 8

// NewPackedWriter starts a packed segment in the empty file.
func NewPackedWriter(file io.WriterAt, h Header, opts PackedOptions) (*PackedWriter, error) {
	h.Kind = Packed
	comp, err := NewCompressor(opts.Level, opts.Dictionary)
	if err != nil {
		return nil, err
	}
	w := NewFrameWriter(file, h.Salt, 0, comp)
	w.buf = h.Append(w.buf)
	if opts.Dictionary != nil {
		if _, err := w.AppendRaw(FrameDictionary, opts.Dictionary); err != nil {
			return nil, err
		}
	}
	opts.Workers = max(opts.Workers, 1)
	opts.FrameBytes = min(opts.FrameBytes, MaxRaw)
	totals := Totals{MinSeq: opts.MinSeq, DataEnd: w.Offset()}
	return &PackedWriter{w: w, footer: NewFooterWriter(w, opts.MinSeq), totals: totals, opts: opts}, nil
}

// Add adds a record behind those before it, in byte order of keys. deletes says
// of what older segments hold of the key that it was deleted and not overwritten.
// The record is not kept. After an error, the writer is of no use.
func (pw *PackedWriter) Add(r *Record, deletes bool) error {
	if r.Chunks != nil || len(r.Key) > MaxKey || len(r.Metadata) > MaxMetadata || len(r.Value) > MaxInline ||
		r.Tombstone && r.flags() != flagTombstone {
		return fmt.Errorf("packed segment: record of key %q is outside the limits of the format", r.Key)
	}
	e := Entry{
		Key: r.Key, Seq: r.Seq, Expiration: r.Expiration, Tombstone: r.Tombstone,
		MetadataLen: len(r.Metadata), Metadata: r.Metadata, Length: r.length(), Deletes: deletes,
	}
	if r.Pointer != nil {
		e.HasPointer, e.Pointer = true, *r.Pointer
	}
	pw.buf = AppendRecord(pw.buf[:0], r)
	return pw.AddEncoded(&e, pw.buf)
}

// AddEncoded is [PackedWriter.Add] of a record as [AppendRecord] encodes it. The
// entry describes it, with its metadata; its place does not matter. Neither is
// kept.
func (pw *PackedWriter) AddEncoded(e *Entry, record []byte) error {
	f, err := pw.frameFor(len(record))
	if err != nil {
		return err
	}
	f.raw = append(f.raw, record...)
	pw.count(f, len(record))
	return pw.addEntry(f, e)
}

// AddStored is [PackedWriter.AddEncoded] of a frame that holds the record alone
// and was compressed already: raw, or with the same dictionary. f and stored are
// what [Reader.ReadStored] returned.
func (pw *PackedWriter) AddStored(e *Entry, f Frame, stored []byte) error {
	if f.Extended || f.Type != FrameRecords || f.Codec == codecZstdDict && pw.opts.Dictionary == nil {
		return fmt.Errorf("packed segment: frame of key %q cannot be taken as it is", e.Key)
	}
	if err := pw.compressIf(len(pw.pending) == packedBatch*pw.opts.Workers); err != nil {
		return err
	}
	p := pw.newFrame()
	p.frame = f
	p.buf = append(p.buf[:0], stored...)
	p.stored = p.buf
	pw.count(p, len(stored))
	return pw.addEntry(p, e)
}

// frameFor returns a frame that takes a record of n bytes.
func (pw *PackedWriter) frameFor(n int) (*packedFrame, error) {
	if last := len(pw.pending) - 1; last >= 0 {
		f := pw.pending[last]
		if f.stored == nil && len(f.raw)+n <= pw.opts.FrameBytes && len(f.entries) < MaxRecords {
			return f, nil
		}
	}
	if err := pw.compressIf(len(pw.pending) == packedBatch*pw.opts.Workers); err != nil {
		return nil, err
	}
	return pw.newFrame(), nil
}

func (pw *PackedWriter) newFrame() *packedFrame {
	f := &packedFrame{}
	if n := len(pw.free); n > 0 {
		f, pw.free = pw.free[n-1], pw.free[:n-1]
		*f = packedFrame{raw: f.raw[:0], buf: f.buf, entries: f.entries[:0], keys: f.keys[:0]}
	}
	pw.pending = append(pw.pending, f)
	return f
}

func (pw *PackedWriter) count(f *packedFrame, n int) {
	f.bytes += int64(n)
	pw.bytes += int64(n)
}

func (pw *PackedWriter) addEntry(f *packedFrame, e *Entry) error {
	if e.Seq < pw.totals.MinSeq {
		return fmt.Errorf("packed segment: sequence number %d is below %d", e.Seq, pw.totals.MinSeq)
	}
	entry := *e
	entry.Ordinal = len(f.entries)
	n := len(f.keys)
	f.keys = append(append(f.keys, e.Key...), e.Metadata...)
	entry.Key = f.keys[n : n+len(e.Key)]
	entry.Metadata = f.keys[n+len(e.Key):]
	f.entries = append(f.entries, entry)
	return nil
}

func (pw *PackedWriter) compressIf(full bool) error {
	if !full {
		return nil
	}
	return pw.flush()
}

// flush has what is pending compressed, by others if there are any: while they are
// at it, the next batch is gathered.
func (pw *PackedWriter) flush() error {
	if err := pw.finishBatch(); err != nil {
		return err
	}
	b := &pw.batch
	b.frames, pw.pending = pw.pending, b.frames[:0]
	b.next.Store(0)
	if pw.opts.Workers == 1 {
		return pw.finishBatch()
	}
	for range pw.opts.Workers - 1 {
		b.helpers.Go(func() { pw.compress(b, runtime.Gosched) })
	}
	return nil
}

// finishBatch helps to compress the batch, and appends it.
func (pw *PackedWriter) finishBatch() error {
	b := &pw.batch
	pw.compress(b, pw.yield)
	b.helpers.Wait()
	for _, f := range b.frames {
		c, err := pw.w.append(f.frame, f.stored)
		if err != nil {
			return err
		}
		for i := range f.entries {
			e := &f.entries[i]
			e.Offset = c.Offset
			if err := pw.footer.Add(e); err != nil {
				return err
			}
			pw.totals.Count(e)
		}
		pw.totals.DataEnd = c.End()
		pw.bytes -= f.bytes
	}
	pw.free = append(pw.free, b.frames...)
	b.frames = b.frames[:0]
	return nil
}

func (pw *PackedWriter) yield() {
	if pw.opts.Yield != nil {
		pw.opts.Yield()
	}
}

// compress compresses frames of the batch that nobody else has taken.
func (pw *PackedWriter) compress(b *batch, yield func()) {
	for {
		i := int(b.next.Add(1)) - 1
		if i >= len(b.frames) {
			return
		}
		if f := b.frames[i]; f.stored == nil {
			f.frame = Frame{Type: FrameRecords, Raw: len(f.raw)}
			f.stored, f.buf, f.frame.Codec = pw.w.comp.Compress(f.buf, f.raw)
		}
		yield()
	}
}

// Size returns about how many bytes the segment has so far, without the rest of
// its footer.
func (pw *PackedWriter) Size() int64 { return pw.w.Offset() + pw.bytes }

// Finish writes the footer and flushes. The segment then has the returned size;
// the caller syncs it. maxTime is the highest commit time of the segments that
// the records came from.
func (pw *PackedWriter) Finish(maxTime int64) (int64, error) {
	if err := pw.flush(); err != nil {
		return 0, err
	}
	if err := pw.finishBatch(); err != nil {
		return 0, err
	}
	pw.totals.MaxTime = maxTime
	return pw.footer.Finish(pw.totals)
}
