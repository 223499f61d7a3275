package engine

import (
	"math/rand/v2"

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

// records counts the records in the segments, live or dead.
func (s *Store) recordsOnDisk() (n int64) {
	for _, sg := range s.segs.all() {
		if part := sg.sealed.Load(); part != nil && sg.kind != segment.Value {
			t := part.footer.Totals()
			n += t.Puts + t.Pointers + t.Tombstones
		}
	}
	return n
}
