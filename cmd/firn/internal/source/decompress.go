package source

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the window up to which zstd decodes without being told to
// (ZSTD_WINDOWLOG_LIMIT_DEFAULT): memory that a file of a few bytes may claim.
const maxWindow = 1 << 27

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// Decompress returns a reader of what r holds, decompressed if it begins as a
// gzip or zstd file does. Neither beginning is one of JSON.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReader(r)
	begin, err := in.Peek(len(zstdMagic))
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(begin, gzipMagic):
		plain, err := gzip.NewReader(in)
		if err != nil {
			return nil, failed("gzip", err)
		}
		return &decompressor{"gzip", plain}, nil
	case bytes.HasPrefix(begin, zstdMagic):
		plain, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, failed("zstd", err)
		}
		return &decompressor{"zstd", plain.IOReadCloser()}, nil
	}
	return io.NopCloser(in), nil
}

// decompressor says in its errors what it was decompressing.
type decompressor struct {
	format string
	io.ReadCloser
}

func (d *decompressor) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = failed(d.format, err)
	}
	return n, err
}

func failed(format string, err error) error {
	return fmt.Errorf("decompressing %s: %w", format, err)
}
