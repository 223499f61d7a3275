package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/firnkv/firn/segment/internal/fuse"
)

// FooterWriter writes the footer of a segment.
type FooterWriter struct {
	w        *FrameWriter
	minSeq   uint64
	hashes   []uint64
	block    footerBlock
	sparse   []byte
	sparseAt []place
	entries  int64
	metaSize int64
}

// footerBlock is the block of entries being filled.
type footerBlock struct {
	first      []byte
	last       []byte
	n          int
	keys       []byte
	metadata   []byte
	lastOffset int64
}

// NewFooterWriter returns a writer for the footer of a segment whose least
// sequence number is minSeq. The footer begins where w stands.
func NewFooterWriter(w *FrameWriter, minSeq uint64) *FooterWriter {
	return &FooterWriter{w: w, minSeq: minSeq}
}

// Add adds an entry. Keys have to come in rising byte order, each once, and not
// be empty; the metadata has to be there. The entry is not kept.
func (fw *FooterWriter) Add(e *Entry) error {
	b := &fw.block
	if string(e.Key) <= string(b.last) {
		return fmt.Errorf("footer: key %q is not behind %q", e.Key, b.last)
	}
	if e.Seq < fw.minSeq || e.Ordinal < 0 || e.Ordinal >= MaxRecords || len(e.Metadata) != e.MetadataLen || len(e.Key) > MaxKey {
		return fmt.Errorf("footer: entry of key %q is outside the limits of the format", e.Key)
	}
	if b.n == blockEntries || b.n > 0 && (len(b.keys)+len(e.Key) > blockKeys || len(b.metadata)+len(e.Metadata) > blockMetadata) {
		if err := fw.flushBlock(); err != nil {
			return err
		}
	}
	fw.appendEntry(e)
	fw.hashes = append(fw.hashes, KeyHash(e.Key))
	fw.entries++
	fw.metaSize += int64(e.MetadataLen)
	return nil
}

func (fw *FooterWriter) appendEntry(e *Entry) {
	b := &fw.block
	shared := 0
	if b.n == 0 {
		b.first = append(b.first[:0], e.Key...)
	} else {
		shared = commonPrefix(b.last, e.Key)
	}
	keys := binary.AppendUvarint(b.keys, uint64(shared))
	keys = binary.AppendUvarint(keys, uint64(len(e.Key)-shared))
	keys = append(keys, e.Key[shared:]...)
	keys = append(keys, e.flags())
	keys = binary.AppendUvarint(keys, e.Seq-fw.minSeq)
	if e.Expiration != 0 {
		keys = binary.AppendUvarint(keys, uint64(e.Expiration))
	}
	if e.MetadataLen > 0 {
		keys = binary.AppendUvarint(keys, uint64(e.MetadataLen))
		b.metadata = append(b.metadata, e.Metadata...)
	}
	if !e.Tombstone {
		keys = binary.AppendUvarint(keys, uint64(e.Length))
	}
	keys = binary.AppendVarint(keys, (e.Offset-b.lastOffset)/8)
	keys = append(keys, byte(e.Ordinal))
	if e.HasPointer {
		keys = binary.AppendUvarint(keys, e.Pointer.Segment)
		keys = binary.AppendUvarint(keys, uint64(e.Pointer.Offset/8))
	}
	b.keys = keys
	b.last = append(b.last[:0], e.Key...)
	b.lastOffset = e.Offset
	b.n++
}

func (fw *FooterWriter) flushBlock() error {
	b := &fw.block
	if b.n == 0 {
		return nil
	}
	keys, err := fw.w.Append(FrameKeys, b.keys)
	if err != nil {
		return err
	}
	var metadata place
	if len(b.metadata) > 0 {
		c, err := fw.w.Append(FrameMetadata, b.metadata)
		if err != nil {
			return err
		}
		metadata = c.place()
	}
	fw.sparse = binary.AppendUvarint(fw.sparse, uint64(len(b.first)))
	fw.sparse = append(fw.sparse, b.first...)
	fw.sparse = binary.AppendUvarint(fw.sparse, uint64(keys.Offset/8))
	fw.sparse = binary.AppendUvarint(fw.sparse, uint64(keys.place().size/8))
	fw.sparse = binary.AppendUvarint(fw.sparse, uint64(metadata.size/8))
	*b = footerBlock{first: b.first, last: b.last, keys: b.keys[:0], metadata: b.metadata[:0]}
	if len(fw.sparse) >= sparseBytes {
		return fw.cutSparse()
	}
	return nil
}

func (c Chunk) place() place { return place{c.Offset, c.End() - c.Offset} }

// cutSparse keeps what is gathered of the sparse index as one frame. It is
// written between the blocks: the footer frame says where.
func (fw *FooterWriter) cutSparse() error {
	if len(fw.sparse) == 0 {
		return nil
	}
	c, err := fw.w.Append(FrameSparse, fw.sparse)
	if err != nil {
		return err
	}
	fw.sparseAt = append(fw.sparseAt, c.place())
	fw.sparse = fw.sparse[:0]
	return nil
}

// Finish writes the rest of the footer, with the totals of the segment, and
// flushes the writer. It returns the length that the segment has then.
func (fw *FooterWriter) Finish(t Totals) (size int64, err error) {
	if t.MinSeq != fw.minSeq {
		return 0, fmt.Errorf("footer: least sequence number is %d, entries are written for %d", t.MinSeq, fw.minSeq)
	}
	if err := fw.flushBlock(); err != nil {
		return 0, err
	}
	if err := fw.cutSparse(); err != nil {
		return 0, err
	}
	filter, err := fw.writeFilter()
	if err != nil {
		return 0, err
	}
	t.Entries, t.MetadataBytes = fw.entries, fw.metaSize
	footer, err := fw.w.Append(FrameFooter, t.append(nil, fw.sparseAt, filter))
	if err != nil {
		return 0, err
	}
	var trailer []byte
	trailer = binary.LittleEndian.AppendUint64(trailer, uint64(footer.Offset))
	trailer = binary.LittleEndian.AppendUint64(trailer, sum(fw.w.salt, trailer))
	fw.w.buf = append(fw.w.buf, trailer...)
	if err := fw.w.Flush(); err != nil {
		return 0, err
	}
	return fw.w.off, nil
}

func (fw *FooterWriter) writeFilter() ([]place, error) {
	f, err := fuse.Build(fw.hashes)
	if err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	var places []place
	for b := f.AppendTo(nil); len(b) > 0; {
		n := min(len(b), MaxRaw)
		c, err := fw.w.AppendRaw(FrameFilter, b[:n])
		if err != nil {
			return nil, err
		}
		places = append(places, c.place())
		b = b[n:]
	}
	return places, nil
}
