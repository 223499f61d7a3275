package bench

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firnkv/firn/bench/report"
)

func TestDriveCounted(t *testing.T) {
	var calls [100]atomic.Int32
	out, err := Load{Threads: 3, First: 20, Ops: 80, Every: SampleEvery}.Drive(t.Context(), func(i int) error {
		calls[i].Add(1)
		return nil
	})
	if err != nil || out.Ops != 80 || out.Latencies.Count() < 80/SampleEvery {
		t.Errorf("%v: %+v", err, out)
	}
	for i := range calls {
		if called := calls[i].Load() == 1; called != (i >= 20) {
			t.Errorf("operation %d was called %d times", i, calls[i].Load())
		}
	}
}

func TestDriveTimed(t *testing.T) {
	out, err := Load{Threads: 2, For: time.Nanosecond, Every: 1}.Drive(t.Context(), func(int) error { return nil })
	if err != nil || out.Ops != 2 {
		t.Errorf("%v: %+v", err, out)
	}
}

func TestDriveFails(t *testing.T) {
	failed := errors.New("failed")
	_, err := Load{Threads: 2, For: time.Hour, Every: 1}.Drive(t.Context(), func(i int) error {
		if i == 7 {
			return failed
		}
		return nil
	})
	if !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Load{Threads: 1, For: time.Hour, Every: 1}).Drive(ctx, func(int) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLatencies(t *testing.T) {
	a, b := NewLatencies(), NewLatencies()
	for i := range 1000 {
		a.Add(time.Duration(i) * time.Microsecond)
		b.Add(time.Duration(i+1000) * time.Microsecond)
	}
	a.Merge(b)
	for _, q := range []float64{0.01, 0.5, 0.99} {
		want := q * 2000
		if got := a.Quantile(q).Seconds() * 1e6; math.Abs(got-want) > want/64+1 {
			t.Errorf("quantile %v is %v µs, want %v", q, got, want)
		}
	}
	a.Add(time.Hour)
	if got := a.Max(); got < longest || got > longest*102/100 {
		t.Errorf("the longest is %v", got)
	}
	all := a.percentiles()
	for i := 1; i < len(all); i++ {
		if all[i].Quantile <= all[i-1].Quantile || all[i].Seconds < all[i-1].Seconds {
			t.Errorf("not ascending: %v", all)
		}
	}
	if last := all[len(all)-2].Quantile; last != 0.9995 || all[len(all)-1].Quantile != 1 {
		t.Errorf("ends at %v, for 2001 latencies", last)
	}
}

func TestTimeline(t *testing.T) {
	var line Timeline
	for i, disk := range []int64{10, 50, 30, 40, 20, 12, 12} {
		line = append(line, report.Moment{Seconds: float64(i), DiskBytes: disk})
	}
	if got := line.Peak(3500 * time.Millisecond); got != 50 {
		t.Errorf("peak %d", got)
	}
	if line.Last() != 12 {
		t.Errorf("last %d", line.Last())
	}
	for n, want := range map[int64]time.Duration{11: 4, 13: 3, 20: 2, 40: 0, 60: 0} {
		if got := line.Below(n, 2*time.Second); got != want*time.Second {
			t.Errorf("below %d after %v, want %v s", n, got, want)
		}
	}
	long := make(Timeline, 10*timelinePoints+3)
	for i := range long {
		long[i].Ops = int64(i)
	}
	thin := long.thinned()
	if n := len(thin); n > timelinePoints || n < timelinePoints/2 || thin[n-1].Ops != int64(len(long)-1) {
		t.Errorf("%d moments, the last is %d", n, thin[n-1].Ops)
	}
	if none := (Timeline{}).thinned(); len(none) != 0 || (Timeline{}).Last() != 0 || (Timeline{}).Below(1, 0) != 0 {
		t.Errorf("got %v", none)
	}
}

func TestFrontier(t *testing.T) {
	f := newFrontier(5, 9)
	err := f.insert(func(i int) error { // 5
		if i != 5 || f.last() != 4 {
			t.Errorf("inserting %d, last %d", i, f.last())
		}
		if err := f.insert(func(int) error { return nil }); err != nil { // 6
			t.Error(err)
		}
		if f.last() != 4 {
			t.Errorf("last is %d while 5 is not there", f.last())
		}
		return nil
	})
	if err != nil || f.last() != 6 {
		t.Errorf("%v, last is %d", err, f.last())
	}
	var got []int
	for range 4 {
		if err := f.insert(func(i int) error { got = append(got, i); return nil }); err != nil {
			t.Error(err)
		}
	}
	if f.last() != 8 || got[1] != 8 || got[3] != 8 {
		t.Errorf("last is %d, inserted %v", f.last(), got)
	}
}
