package segment

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// Reader reads frames at known places of a segment. It is safe for concurrent
// use.
type Reader struct {
	header Header
	file   io.ReaderAt
	dec    *decompressor

	dictionary    bool  // it has one
	dictionaryErr error // why frames compressed with the dictionary cannot be read
}

// plainDecompressor serves every segment without a dictionary.
var plainDecompressor = sync.OnceValues(func() (*decompressor, error) {
	return newDecompressor(nil)
})

// NewReader reads the file header and, in a packed segment, the dictionary. If
// that is damaged, only frames compressed with it are lost, and reading one says
// so.
func NewReader(file io.ReaderAt) (*Reader, error) {
	var b [HeaderSize]byte
	n, err := file.ReadAt(b[:], 0)
	if err != nil && !(errors.Is(err, io.EOF)) {
		return nil, fmt.Errorf("read file header: %w", err)
	}
	h, err := DecodeHeader(b[:n])
	if err != nil {
		return nil, err
	}
	dec, err := plainDecompressor()
	if err != nil {
		return nil, err
	}
	r := &Reader{header: h, file: file, dec: dec}
	if h.Kind == Packed {
		if err := r.readDictionary(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Reader) readDictionary() error {
	var buf Buffer
	f, payload, err := r.ReadFrame(HeaderSize, 4096, &buf)
	var damage *CorruptError
	if errors.As(err, &damage) {
		// Also a damaged first record of a segment without a dictionary ends here.
		r.dictionaryErr = corrupt(HeaderSize, "dictionary: "+damage.Reason)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read dictionary: %w", err)
	}
	if f.Type != FrameDictionary {
		return nil
	}
	dec, err := newDecompressor(payload)
	if err != nil {
		r.dictionaryErr = corrupt(HeaderSize, fmt.Sprintf("dictionary: %v", err))
		return nil
	}
	r.dec, r.dictionary = dec, true
	return nil
}

// Dictionary reads the dictionary of a packed segment, nil if it has none. It
// belongs to the caller.
func (r *Reader) Dictionary() ([]byte, error) {
	if r.header.Kind != Packed {
		return nil, nil
	}
	if r.dictionaryErr != nil || !r.dictionary {
		return nil, r.dictionaryErr
	}
	var buf Buffer
	f, payload, err := r.ReadFrame(HeaderSize, maxFrameSize, &buf)
	if err != nil || f.Type != FrameDictionary {
		return nil, err
	}
	return payload, nil
}

// Through returns a reader of the same segment that reads by way of file.
func (r *Reader) Through(file io.ReaderAt) *Reader {
	through := *r
	through.file = file
	return &through
}

// Header returns what the file header says.
func (r *Reader) Header() Header { return r.header }

// Buffer is the memory that reading a frame needs. Its zero value is ready for
// use; using one again saves allocations. It is not safe for concurrent use.
type Buffer struct {
	file []byte
	raw  []byte
}

func (b *Buffer) grow(n int) []byte {
	if cap(b.file) < n {
		file := make([]byte, n, n+n/4)
		copy(file, b.file)
		b.file = file
	}
	b.file = b.file[:n]
	return b.file
}

// ReadFrame reads and verifies the frame at off and returns its payload,
// decompressed. hint is how many bytes to read at once: if the frame is not
// longer, that is one read. The payload belongs to buf and is valid until buf is
// used again. Errors about damage match [ErrCorrupt].
func (r *Reader) ReadFrame(off int64, hint int, buf *Buffer) (Frame, []byte, error) {
	f, b, err := r.readVerified(off, hint, buf)
	if err != nil {
		return f, nil, err
	}
	payload, err := r.payload(&f, b, buf, off)
	return f, payload, err
}

// ReadStored is [Reader.ReadFrame], but returns the payload as it is stored.
func (r *Reader) ReadStored(off int64, hint int, buf *Buffer) (Frame, []byte, error) {
	f, b, err := r.readVerified(off, hint, buf)
	if err != nil {
		return f, nil, err
	}
	n := f.headerSize()
	return f, b[n : n+f.Stored], nil
}

// readVerified reads the frame at off, header included, into buf.
func (r *Reader) readVerified(off int64, hint int, buf *Buffer) (Frame, []byte, error) {
	hint = min(max(hint, extendedHeaderSize), maxFrameSize)
	b := buf.grow(hint)
	n, err := r.file.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return Frame{}, nil, fmt.Errorf("read frame at %d: %w", off, err)
	}
	f, ok := decodeFrameHeader(b[:n], r.header.Salt, off, false)
	if !ok {
		return Frame{}, nil, corrupt(off, "no frame")
	}
	if total := f.headerSize() + f.Stored; total > n {
		b = buf.grow(total)
		m, err := r.file.ReadAt(b[n:], off+int64(n))
		if err != nil && !errors.Is(err, io.EOF) {
			return f, nil, fmt.Errorf("read frame at %d: %w", off, err)
		}
		if n+m < total {
			return f, nil, corrupt(off, "frame cut short")
		}
	}
	if !f.verify(b, r.header.Salt, off) {
		return f, nil, corrupt(off, "checksum mismatch")
	}
	return f, b, nil
}

func (r *Reader) payload(f *Frame, b []byte, buf *Buffer, off int64) ([]byte, error) {
	if f.Codec == codecZstdDict && r.dictionaryErr != nil {
		return nil, r.dictionaryErr
	}
	if f.Codec != codecRaw && cap(buf.raw) < f.Raw+decodeSlack {
		buf.raw = make([]byte, 0, f.Raw+f.Raw/4+decodeSlack)
	}
	payload, err := r.dec.decompress(buf.raw, b, f)
	if err != nil {
		return nil, corrupt(off, err.Error())
	}
	return payload, nil
}

// readTyped reads a frame that has to be of one type.
func (r *Reader) readTyped(off int64, hint int, want FrameType, buf *Buffer) ([]byte, error) {
	f, payload, err := r.ReadFrame(off, hint, buf)
	if err != nil {
		return nil, err
	}
	if f.Type != want {
		return nil, corrupt(off, fmt.Sprintf("frame of type %d, not %d", f.Type, want))
	}
	return payload, nil
}

// ReadRecords is [Reader.ReadFrame] of a frame that has to hold records.
func (r *Reader) ReadRecords(off int64, hint int, buf *Buffer) ([]byte, error) {
	return r.readTyped(off, hint, FrameRecords, buf)
}

// ReadRecord reads the record at the given place into rec, whose slices then
// belong to buf.
func (r *Reader) ReadRecord(off int64, ordinal, hint int, buf *Buffer, rec *Record) error {
	payload, err := r.readTyped(off, hint, FrameRecords, buf)
	if err != nil {
		return err
	}
	if !RecordAt(payload, ordinal, rec) {
		return corrupt(off, fmt.Sprintf("no record %d in the frame", ordinal))
	}
	return nil
}

// ReadChunk reads the chunk c, whose bytes then belong to buf.
func (r *Reader) ReadChunk(c Chunk, buf *Buffer) ([]byte, error) {
	return r.readTyped(c.Offset, frameHeaderSize+c.Stored, FrameChunk, buf)
}
