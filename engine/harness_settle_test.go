package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// settleCompaction has the compactor do all that it does by itself until it finds
// nothing more to do at this second, as if nothing had been written for long.
func settleCompaction(t testing.TB, s *Store) {
	t.Helper()
	if err := s.compactor.serve(context.Background(), (*compactor).settle); err != nil {
		t.Fatal(err)
	}
}

// settleRounds is far more than it takes until one round does nothing.
const settleRounds = 100

func (c *compactor) settle(context.Context) error {
	for range settleRounds {
		before := c.s.layout()
		if err := c.s.background.sealNow(); err != nil {
			return err
		}
		c.activity = activity{records: c.s.committer.metrics.records.Load()}
		c.retry = time.Time{}
		for c.step() {
		}
		if st := c.stats(); st.LastError != "" {
			return errors.New(st.LastError)
		}
		if before == c.s.layout() {
			return nil
		}
	}
	return errors.New("compaction does not come to an end")
}

// layout names the segments and their form, and the log segment that is written to.
func (s *Store) layout() string {
	s.committer.mu.Lock()
	b := fmt.Appendln(nil, s.committer.log.id)
	s.committer.mu.Unlock()
	for _, sg := range s.segs.all() {
		b = fmt.Appendln(b, sg.id, s.rewritable(sg))
	}
	return string(b)
}
