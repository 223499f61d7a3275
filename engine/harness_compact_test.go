package engine

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/firnkv/firn/compaction"
	"github.com/firnkv/firn/segment"
)

// randomJob returns a job over some of the segments that may be rewritten. Before,
// it may make more of them so.
func randomJob(s *Store, rng *rand.Rand) (compaction.Job, error) {
	job := compaction.Job{Reason: compaction.Space, Form: compaction.Young}
	if rng.IntN(2) == 0 {
		job.Form = compaction.Settled
	}
	if rng.IntN(2) == 0 {
		if _, err := s.committer.rollNow(); err != nil {
			return job, err
		}
	}
	if rng.IntN(3) == 0 {
		if err := s.sealAllValues(); err != nil {
			return job, err
		}
	}
	if err := s.background.sealNow(); err != nil {
		return job, err
	}
	share := rng.IntN(4)
	for _, sg := range s.segs.all() {
		if s.rewritable(sg) && rng.IntN(4) <= share {
			job.Victims = append(job.Victims, sg.id)
		}
	}
	return job, nil
}

// sealLog ends the log segment that is written to, and returns its id once it is
// sealed.
func (sc *script) sealLog(t *testing.T) uint64 {
	t.Helper()
	id := sc.s.committer.active.id
	if _, err := sc.s.committer.rollNow(); err != nil {
		t.Fatal(err)
	}
	sc.must(t, sc.s.background.sealNow())
	return id
}

// rewrite does a job. What points to values that are to be moved may have to be
// sealed before.
func (s *Store) rewrite(ctx context.Context, job compaction.Job, full bool) error {
	err := s.compactor.do(ctx, job, full)
	if err != errNotReady {
		return err
	}
	if err := s.background.sealNow(); err != nil {
		return err
	}
	return s.compactor.do(ctx, job, full)
}

// sealAllValues ends the value segments that take values.
func (s *Store) sealAllValues() error {
	for _, sg := range s.segs.all() {
		if sg.kind != segment.Value {
			continue
		}
		if _, err := s.sealValues(sg); err != nil {
			return s.syncFailed(s.diskError(err))
		}
	}
	return nil
}
