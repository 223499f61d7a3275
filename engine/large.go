package engine

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/firnkv/firn/index"
	"github.com/firnkv/firn/segment"
)

// largeFrom is the length from which on a value goes to a value segment. Below
// it, the time to write a value is small beside that of a sync, and it may share
// the sync of others; above, it would delay them.
const largeFrom = 32 << 10

// valueSegmentBytes is the size at which large values go on in a new segment.
const valueSegmentBytes = 256 << 20

// valueLog writes large values. A value goes to a value segment chunk by chunk,
// then its record, then both to disk; only then does a record in the log point
// there, which commits it. Streams share a segment, each claiming the place of
// its next chunk. Places are never used twice: what a failed or interrupted
// stream leaves behind is dead space.
type valueLog struct {
	s    *Store
	comp *segment.Compressor

	mu       sync.Mutex
	idle     sync.Cond // with mu: writing went down to 0
	open     []*seg    // that take large values, oldest first
	writing  int       // writes and syncs under way
	closed   bool
	unsynced map[*seg]struct{}
}

func (v *valueLog) init(s *Store, comp *segment.Compressor) {
	v.s, v.comp = s, comp
	v.unsynced = map[*seg]struct{}{}
	v.idle.L = &v.mu
}

// close refuses all that streams still want to write, and waits for what is being
// written: whoever opens the store next writes to the same segments. It does not
// wait for the readers that the streams come from.
func (v *valueLog) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	for v.writing > 0 {
		v.idle.Wait()
	}
}

// settle returns when what was being written has been.
func (v *valueLog) settle() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for v.writing > 0 {
		v.idle.Wait()
	}
}

// enter admits a write or a sync, which done ends.
func (v *valueLog) enter() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return ErrClosed
	}
	v.writing++
	return nil
}

func (v *valueLog) done() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.writing--; v.writing == 0 {
		v.idle.Broadcast()
	}
}

// valueStream is a large value being written.
type valueStream struct {
	v        *valueLog
	sg       *seg // referenced until the stream ends, and not sealed
	reserved int64
	chunks   []segment.Chunk
	length   int64
	zbuf     []byte // compressed chunk
	fbuf     []byte // frame
}

// chunkOverhead is the most a chunk takes beside its bytes: header, padding and
// its line in the record.
const chunkOverhead = 16 + 8 + 8

// begin starts a stream of a value that may be as long as limit.
func (v *valueLog) begin(limit int64) (*valueStream, error) {
	chunks := limit/segment.MaxRaw + 1
	need := limit + chunks*chunkOverhead + segment.MaxRaw // the last for the record
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, ErrClosed
	}
	sg, err := v.choose(need)
	if err != nil {
		return nil, v.s.syncFailed(v.s.diskError(err))
	}
	sg.streams++
	sg.reserved += need
	sg.acquire() // the table holds one, so it cannot fail
	return &valueStream{v: v, sg: sg, reserved: need}, nil
}

// choose returns a segment that has room for a stream. A segment that has not
// room for one more because of the streams under way may have it again when they
// turn out to be short.
func (v *valueLog) choose(need int64) (*seg, error) {
	open := v.open[:0]
	for _, sg := range v.open {
		if sg.end.Load() < valueSegmentBytes {
			open = append(open, sg)
		}
	}
	v.open = open
	for _, sg := range v.open {
		if sg.end.Load()+sg.reserved+need <= segment.MaxSize {
			return sg, nil
		}
	}
	sg, err := v.s.createValues()
	if err != nil {
		return nil, err
	}
	v.open = append(v.open, sg)
	return sg, nil
}

// claim returns the place for the next n bytes of the stream.
func (st *valueStream) claim(n int64) int64 {
	v := st.v
	v.mu.Lock()
	defer v.mu.Unlock()
	off := st.sg.end.Load()
	st.sg.end.Store(off + n)
	st.unreserve(n)
	return off
}

func (st *valueStream) unreserve(n int64) {
	n = min(n, st.reserved)
	st.reserved -= n
	st.sg.reserved -= n
}

// giveBack lets other streams have the room that this one does not need.
func (st *valueStream) giveBack() {
	st.v.mu.Lock()
	defer st.v.mu.Unlock()
	st.unreserve(st.reserved)
}

// end gives back what the stream holds.
func (st *valueStream) end() {
	v := st.v
	v.mu.Lock()
	st.unreserve(st.reserved)
	st.sg.streams--
	seal := st.sg.streams == 0 && v.retired(st.sg)
	v.mu.Unlock()
	if seal {
		v.s.background.wake()
	}
	v.s.ballast.grown(st.sg)
	st.sg.release()
}

func (st *valueStream) writeFrame(t segment.FrameType, payload []byte) (segment.Chunk, error) {
	stored, zbuf, codec := st.v.comp.Compress(st.zbuf, payload)
	st.zbuf = zbuf
	f := segment.Frame{Type: t, Codec: codec, Stored: len(stored), Raw: len(payload)}
	if err := st.v.enter(); err != nil {
		return segment.Chunk{}, err
	}
	defer st.v.done()
	if err := st.v.s.committer.admitChunk(f.Size()); err != nil {
		return segment.Chunk{}, err
	}
	off := st.claim(f.Size())
	st.fbuf = segment.AppendFrame(st.fbuf[:0], st.sg.salt, off, f, stored)
	if _, err := st.sg.file.WriteAt(st.fbuf, off); err != nil {
		return segment.Chunk{}, fmt.Errorf("write %s at %d: %w", st.sg.name(), off, err)
	}
	st.v.s.committer.metrics.valueBytes.Add(int64(len(st.fbuf)))
	return segment.Chunk{Offset: off, Stored: len(stored)}, nil
}

// chunk writes the next bytes of the value: 128 KiB in all chunks but the last.
func (st *valueStream) chunk(b []byte) error {
	c, err := st.writeFrame(segment.FrameChunk, b)
	if err != nil {
		return err
	}
	st.chunks = append(st.chunks, c)
	st.length += int64(len(b))
	return nil
}

// finish writes the record, makes it all durable unless the next sync of the log
// is to do that, and sets where it is in w.
func (st *valueStream) finish(w *write) error {
	v := st.v
	rec := w.rec
	rec.Length, rec.Chunks, rec.Value, rec.Pointer = st.length, st.chunks, nil, nil
	rec.Seq = v.s.committer.lastSeq()
	payload := segment.AppendRecord(nil, &rec)
	if len(payload) > segment.MaxRaw {
		return fmt.Errorf("%w: %d chunks", ErrValueTooLarge, len(st.chunks))
	}
	c, err := st.writeFrame(segment.FrameRecords, payload)
	if err != nil {
		return err
	}
	w.rec.Length, w.rec.Value = st.length, nil
	w.rec.Pointer = &segment.Pointer{Segment: st.sg.id, Offset: c.Offset}
	w.at = index.MakeLocation(st.sg.slot, uint32(c.Offset/8), 0)
	st.giveBack()
	if !v.s.committer.async {
		if err := v.enter(); err != nil {
			return err
		}
		defer v.done()
		if err := st.sg.syncValues(); err != nil {
			return v.s.committer.fail(err)
		}
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unsynced[st.sg] = struct{}{}
	return nil
}

// sync makes all finished values durable. The disk lock of the committer is held.
func (v *valueLog) sync() error {
	v.mu.Lock()
	var unsynced map[*seg]struct{}
	if len(v.unsynced) > 0 { // or each sync would allocate
		unsynced, v.unsynced = v.unsynced, map[*seg]struct{}{}
	}
	v.mu.Unlock()
	for sg := range unsynced {
		if err := sg.syncValues(); err != nil {
			return err
		}
	}
	return nil
}

// syncValues makes a value segment durable. A failed sync is final: the system
// reports it to one of those who sync the file, and the next would be told that
// all is well.
func (sg *seg) syncValues() error {
	sg.syncMu.Lock()
	defer sg.syncMu.Unlock()
	if sg.syncErr == nil {
		if err := sg.file.SyncData(); err != nil {
			sg.syncErr = &syncError{file: sg.name(), err: err}
		}
	}
	return sg.syncErr
}

// putLarge streams a value: first, and then what r gives. If r is nil, first is
// all of it.
func (s *Store) putLarge(ctx context.Context, w *write, first []byte, r io.Reader) error {
	st, err := s.streamLarge(ctx, w, first, r)
	if err != nil {
		return err
	}
	defer st.end()
	return s.commit(ctx, []write{*w})
}

// streamLarge writes the value and leaves in w what commits it. The caller ends
// the stream after the commit: until the log has the pointer, nothing else keeps
// the segment from being sealed, taken for dead, and removed.
func (s *Store) streamLarge(ctx context.Context, w *write, first []byte, r io.Reader) (*valueStream, error) {
	if err := s.committer.check(); err != nil {
		return nil, err
	}
	if err := s.ballast.admitPut(); err != nil {
		return nil, err
	}
	limit := s.opts.Limits.ValueBytes
	if r == nil {
		limit = int64(len(first))
	}
	st, err := s.values.begin(limit)
	if err != nil {
		return nil, err
	}
	if err = st.copy(ctx, first, r); err == nil {
		w.ended(s.clock.now())
		err = s.diskError(st.finish(w))
	}
	if err != nil {
		st.end()
		return nil, err
	}
	return st, nil
}

// copy writes first and what r gives as chunks.
func (st *valueStream) copy(ctx context.Context, first []byte, r io.Reader) error {
	limits := &st.v.s.opts.Limits
	if r == nil {
		for len(first) > 0 {
			n := min(len(first), segment.MaxRaw)
			if err := st.chunk(first[:n]); err != nil {
				return st.v.s.diskError(err)
			}
			first = first[n:]
		}
		return nil
	}
	buf := make([]byte, segment.MaxRaw)
	n := copy(buf, first)
	for {
		m, err := readFull(r, buf[n:])
		n += m
		if err != nil && err != io.EOF {
			return fmt.Errorf("read value: %w", err)
		}
		if limitErr := limits.checkValue(st.length + int64(n)); limitErr != nil {
			return limitErr
		}
		if n > 0 {
			if err := st.chunk(buf[:n]); err != nil {
				return st.v.s.diskError(err)
			}
			n = 0
		}
		if err == io.EOF {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// readFull fills b from r. io.EOF means that r has ended, with whatever is in b;
// any other error that it has failed. io.ReadFull does not tell these apart: it
// says io.ErrUnexpectedEOF at the end, and so does a broken HTTP request.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for empty := 0; n < len(b) && err == nil; {
		var m int
		m, err = r.Read(b[n:])
		n += m
		if empty++; m > 0 {
			empty = 0
		} else if empty == maxEmptyReads && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// maxEmptyReads is how often in a row a reader may give neither bytes nor an
// error; as in package bufio.
const maxEmptyReads = 100
