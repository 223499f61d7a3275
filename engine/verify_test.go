package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// A verification reads no faster than it was told to, and stops while it waits.
func TestVerifyRate(t *testing.T) {
	a := openMemory(t, Options{})
	rng := newRand(t)
	for i := range 100 {
		a.put(fmt.Sprint("key", i), string(incompressible(rng, 3000)), nil)
	}
	a.put("large", string(incompressible(rng, 100_000)), nil)
	const rate = 4 << 20
	start := time.Now()
	report, err := a.Verify(a.ctx, &VerifyOptions{BytesPerSecond: rate})
	if err != nil || len(report.Damage) > 0 {
		t.Fatal(report, err)
	}
	// It does not wait for the last 10 ms.
	least := time.Duration(float64(report.Bytes)/rate*float64(time.Second)) - 10*time.Millisecond
	if took := time.Since(start); report.Bytes < 400_000 || took < least {
		t.Errorf("%d bytes in %v", report.Bytes, took)
	}
	ctx, cancel := context.WithTimeout(a.ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := a.Verify(ctx, &VerifyOptions{BytesPerSecond: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
