package bench

import (
	"context"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/firnkv/firn/segment"
)

// zstdProbe compresses and decompresses a large value without a store around it, as
// Firn does when it streams one: in chunks of 128 KiB, one after the other in one
// goroutine, with the settings of [segment.Fast]. It is what no stream of a store
// that compresses can be faster than.
type zstdProbe struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	chunks  [][]byte
	packed  [][]byte
	buffer  []byte
}

func newZstdProbe(value []byte) (*zstdProbe, error) {
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true),
		zstd.WithWindowSize(segment.MaxRaw), zstd.WithEncoderLevel(zstd.SpeedFastest)) // the level first would make blocks of 64 KiB
	if err != nil {
		return nil, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.IgnoreChecksum(true))
	if err != nil {
		return nil, err
	}
	p := &zstdProbe{encoder: encoder, decoder: decoder, chunks: slices.Collect(slices.Chunk(value, segment.MaxRaw))}
	for _, c := range p.chunks {
		p.packed = append(p.packed, encoder.EncodeAll(c, nil))
	}
	return p, nil
}

// encode compresses the i-th chunk, from the first again behind the last.
func (p *zstdProbe) encode(i int) (raw int, err error) {
	c := p.chunks[i%len(p.chunks)]
	p.buffer = p.encoder.EncodeAll(c, p.buffer[:0])
	return len(c), nil
}

func (p *zstdProbe) decode(i int) (raw int, err error) {
	p.buffer, err = p.decoder.DecodeAll(p.packed[i%len(p.packed)], p.buffer[:0])
	return len(p.buffer), err
}

func (p *zstdProbe) close() {
	p.decoder.Close()
	_ = p.encoder.Close() // there is no stream that could fail
}

// probeEncoding and probeDecoding add a sample to the rates of the report.
func probeEncoding(ctx context.Context, r *runner) error {
	r.report.ZstdEncode.Kind = zstdEncode
	return r.probeZstd(ctx, &r.report.ZstdEncode.Samples, (*zstdProbe).encode)
}

func probeDecoding(ctx context.Context, r *runner) error {
	r.report.ZstdDecode.Kind = zstdDecode
	return r.probeZstd(ctx, &r.report.ZstdDecode.Samples, (*zstdProbe).decode)
}

func (r *runner) probeZstd(ctx context.Context, samples *[]float64, op func(p *zstdProbe, i int) (raw int, err error)) error {
	p, err := newZstdProbe(largeValue(r.data, largest))
	if err != nil {
		return err
	}
	defer p.close()
	total := 0
	out, err := Load{Threads: 1, Every: 1, For: r.config.Round}.Drive(ctx, func(i int) error {
		n, err := op(p, i)
		total += n
		return err
	})
	if err == nil {
		*samples = append(*samples, float64(total)/out.Elapsed.Seconds())
	}
	return err
}
