package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/progress"
	"github.com/firnkv/firn/cmd/firn/internal/remote"
	"github.com/firnkv/firn/cmd/firn/internal/source"
)

// bulkFile is a bulk write of what a file holds.
type bulkFile struct {
	*app
	label string // of the progress bar
	// entries returns the adder of what the file holds.
	entries func(io.Reader) (adder, error)
	// result is what to report on success or failure.
	result func(written) bulkResult
}

// bulkResult is what a bulk write reports with --json.
type bulkResult struct {
	Pairs   *int64  `json:"pairs,omitempty"`
	Keys    *int64  `json:"keys,omitempty"`
	Bytes   *int64  `json:"bytes,omitempty"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// String returns the result without time and error, as in "5 pairs, 1.2 MB".
func (r bulkResult) String() string {
	if r.Keys != nil {
		return fmt.Sprintf("%d keys", *r.Keys)
	}
	return fmt.Sprintf("%d pairs, %.1f MB", *r.Pairs, float64(*r.Bytes)/1e6)
}

func (b *bulkFile) run(ctx context.Context, path string) (err error) {
	begin := time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	src, err := source.Open(ctx, path, b.in)
	if err != nil {
		return err
	}
	defer src.Close()
	store, err := b.openWriteFor(ctx, src, 0)
	if err != nil {
		return err
	}
	sum, err := b.write(ctx, stop, store, src)
	closing(store, &err)
	return b.report(src, b.result(sum), time.Since(begin), err)
}

func (b *bulkFile) write(ctx context.Context, stop func(), store writer, src *source.Source) (written, error) {
	plain, err := source.Decompress(src)
	if err != nil {
		return written{}, err
	}
	defer plain.Close()
	add, err := b.entries(plain)
	if err != nil {
		return written{}, err
	}
	bar := progress.New(b.err, b.label)
	defer bar.Clear()
	return writeAll(ctx, stop, store, add, func(sum written) {
		bar.Set(src.Done(), src.Size(), b.result(sum).String())
	})
}

func (b *bulkFile) report(src *source.Source, r bulkResult, took time.Duration, err error) error {
	if err == nil {
		b.note("%s in %.2f s", r, took.Seconds())
	} else {
		rest := "nothing"
		if errors.Is(err, remote.ErrUncertain) {
			rest = "perhaps some"
		}
		err = fmt.Errorf("%s: %s; %s before that are done, and %s after them", src.Name(), inWords(err), r, rest)
	}
	if !b.json {
		return err
	}
	r.Seconds = took.Seconds()
	if err != nil {
		r.Error = err.Error()
	}
	return errors.Join(err, b.printJSON(r))
}
