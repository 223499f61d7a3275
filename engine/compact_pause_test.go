package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// fillForJob puts what takes a job much longer to rewrite than to be paused.
func (a *apiTest) fillForJob(rng *rand.Rand) (want string) {
	for i := range 3000 {
		a.put(fmt.Sprint("key", i%1500), string(noise(rng, 9000)), nil)
	}
	return a.livePairs()
}

// livePairs is contents without the garbage.
func (a *apiTest) livePairs() string {
	a.Helper()
	all := a.contents()
	return all[:strings.LastIndexByte(strings.TrimSpace(all), '\n')]
}

// outlast works for longer than it takes to do a job that is not paused.
func (a *apiTest) outlast() {
	a.Helper()
	for i := range 20 {
		a.put("meanwhile", fmt.Sprint(i), nil)
		a.wantNoDamage()
	}
	a.delete("meanwhile")
}

func (a *apiTest) wantJobs(want int64) {
	a.Helper()
	if st := a.CompactionStats(); !st.Paused || a.jobs() != want {
		a.Errorf("there were %d jobs before the pause: %+v", want, st)
	}
}

// No job begins while compaction is paused, and pauses add up.
func TestPauseCompaction(t *testing.T) {
	a := openMemory(t, Options{Sync: SyncNever, SegmentBytes: 1 << 20})
	resume := []func(){a.PauseCompaction(), a.PauseCompaction()}
	want := a.fillForJob(newRand(t))
	done := make(chan error, 1)
	go func() { done <- a.Compact(a.ctx) }()
	for _, f := range resume {
		a.wantJobs(0)
		a.outlast()
		a.wantJobs(0)
		if why := a.CompactionStats().Running; why != "" {
			t.Errorf("a job was begun: %s", why)
		}
		f()
		f() // does nothing
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if a.jobs() == 0 || a.CompactionStats().Paused {
		t.Errorf("resumed: %+v", a.CompactionStats())
	}
	if a.livePairs() != want {
		t.Error("other contents")
	}
	a.wantNoDamage()
}

// A job that is under way stops for a pause too. Close does not wait for the end
// of the pause, nor of the job.
func TestPauseAndCloseDuringJob(t *testing.T) {
	for _, paused := range []bool{true, false} {
		t.Run(fmt.Sprintf("paused=%t", paused), func(t *testing.T) {
			a := openMemory(t, Options{Sync: SyncNever, SegmentBytes: 1 << 20, ManualCompaction: true})
			want := a.fillForJob(newRand(t))
			done := make(chan error, 1)
			go func() { done <- a.Compact(a.ctx) }()
			await(t, "a job", func() bool { return a.CompactionStats().RunningBytes > 0 })
			if paused {
				resume := a.PauseCompaction()
				before := a.jobs()
				a.outlast()
				a.wantJobs(before)
				if a.CompactionStats().Running == "" {
					t.Error("no job is under way that could have been paused")
				}
				a.close()
				resume()
			} else {
				a.close()
			}
			if err := <-done; !errors.Is(err, ErrClosed) {
				t.Errorf("compaction of a store that was closed: %v", err)
			}
			a.open()
			if a.livePairs() != want {
				t.Error("other contents")
			}
			a.wantNoDamage()
			if err := a.Compact(a.ctx); err != nil || a.livePairs() != want {
				t.Errorf("compacted after all: %v", err)
			}
		})
	}
}
