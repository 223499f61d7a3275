package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/firnkv/firn/compaction"
)

// While the index is moved to the outputs of a job, what is live counts twice or not
// at all: how hard writers are delayed is not decided anew before that is over.
func TestPressureWhileIndexMoves(t *testing.T) {
	a := openMemory(t, Options{Sync: SyncNever})
	a.put("key", "value", nil)
	sealed := a.committer.active.id
	_, err := a.committer.rollNow()
	err = errors.Join(err, a.background.sealNow())
	err = errors.Join(err, a.compactor.serve(a.ctx, func(c *compactor, _ context.Context) error {
		job := compaction.Job{Reason: compaction.Space, Victims: []uint64{sealed}, Form: compaction.Young}
		c.pace.begin(job, false)
		a.throttle.set(1)
		if err := c.look(); err != nil || a.throttle.active() {
			t.Errorf("before: delayed %v, want no delay: there is no garbage; %v", a.throttle.active(), err)
		}
		if _, err := a.runJob(a.ctx, c, job, false); err != nil {
			return err
		}
		a.throttle.set(1) // as if a step of the move had come here
		if err := c.look(); err != nil || !a.throttle.active() {
			t.Errorf("meanwhile: delayed %v, want what was; %v", a.throttle.active(), err)
		}
		c.pace.begin(job, false)
		if err := c.look(); err != nil || a.throttle.active() {
			t.Errorf("in the next job: delayed %v, want no delay; %v", a.throttle.active(), err)
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
}
