package segment

import (
	"fmt"
	"io"
)

// FrameWriter appends frames that are not extended to a segment. It gathers
// small frames into larger writes: [FrameWriter.Flush] has to be called before
// anybody reads them. It is not safe for concurrent use.
type FrameWriter struct {
	file io.WriterAt
	salt uint64
	comp *Compressor
	buf  []byte // frames not yet written
	off  int64  // where buf goes
	tmp  []byte // compressed payload
}

// flushSize is how many bytes of frames a FrameWriter gathers before a write.
const flushSize = 256 << 10

// NewFrameWriter returns a writer that appends at off, a multiple of 8.
func NewFrameWriter(file io.WriterAt, salt uint64, off int64, comp *Compressor) *FrameWriter {
	return &FrameWriter{file: file, salt: salt, off: off, comp: comp}
}

// Offset returns where the next frame goes.
func (w *FrameWriter) Offset() int64 { return w.off + int64(len(w.buf)) }

// Append appends a frame with the payload, at most [MaxRaw] bytes, compressed if
// that makes it smaller, and returns its place.
func (w *FrameWriter) Append(t FrameType, payload []byte) (Chunk, error) {
	stored, tmp, codec := w.comp.Compress(w.tmp, payload)
	w.tmp = tmp
	return w.append(Frame{Type: t, Codec: codec, Raw: len(payload)}, stored)
}

// AppendRaw is Append without compression.
func (w *FrameWriter) AppendRaw(t FrameType, payload []byte) (Chunk, error) {
	return w.append(Frame{Type: t, Codec: codecRaw, Raw: len(payload)}, payload)
}

// AppendStored appends a frame that is not extended as [Reader.ReadStored] returned
// it.
func (w *FrameWriter) AppendStored(f Frame, stored []byte) (Chunk, error) {
	return w.append(Frame{Type: f.Type, Codec: f.Codec, Raw: f.Raw}, stored)
}

func (w *FrameWriter) append(f Frame, stored []byte) (Chunk, error) {
	if f.Raw > MaxRaw {
		return Chunk{}, fmt.Errorf("payload of %d bytes, a frame takes at most %d", f.Raw, MaxRaw)
	}
	off := w.Offset()
	if off+align(int64(frameHeaderSize+len(stored))) > MaxSize-TrailerSize {
		return Chunk{}, fmt.Errorf("segment would exceed %d bytes", MaxSize)
	}
	w.buf = AppendFrame(w.buf, w.salt, off, f, stored)
	if len(w.buf) >= flushSize {
		if err := w.Flush(); err != nil {
			return Chunk{}, err
		}
	}
	return Chunk{Offset: off, Stored: len(stored)}, nil
}

// Flush writes what was gathered. After an error, the writer and what it wrote
// are of no use.
func (w *FrameWriter) Flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	if _, err := w.file.WriteAt(w.buf, w.off); err != nil {
		return fmt.Errorf("write at %d: %w", w.off, err)
	}
	w.off += int64(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}
