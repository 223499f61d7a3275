package bench

import (
	"bytes"
	"testing"

	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/segment"
)

// The probe makes of a chunk what a segment stores of it, and gets it back.
func TestZstdProbe(t *testing.T) {
	d, err := dataset.Spec{Kind: dataset.JSON, Keys: 100}.New()
	if err != nil {
		t.Fatal(err)
	}
	value := largeValue(d, 3*segment.MaxRaw+1000)
	p, err := newZstdProbe(value)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	compressor, err := segment.NewCompressor(segment.Fast, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for i, c := range p.chunks {
		if n, err := p.encode(i + len(p.chunks)); err != nil || n != len(c) || !bytes.Equal(p.buffer, p.packed[i]) {
			t.Errorf("chunk %d: %v, %d bytes of %d", i, err, n, len(c))
		}
		if stored, _, _ := compressor.Compress(nil, c); !bytes.HasSuffix(p.packed[i], stored) || len(p.packed[i])-len(stored) > 16 {
			t.Errorf("chunk %d: a segment stores %d bytes, the probe makes %d", i, len(stored), len(p.packed[i]))
		}
		if n, err := p.decode(i); err != nil || n != len(c) {
			t.Errorf("chunk %d: %v, %d bytes of %d", i, err, n, len(c))
		}
		got = append(got, p.buffer...)
	}
	if len(p.chunks) != 4 || !bytes.Equal(got, value) {
		t.Errorf("%d chunks, %d bytes came back of %d", len(p.chunks), len(got), len(value))
	}
}
