package index

import (
	"math"
	"sync"
)

// sweeper raises the edges of the shards. A sweep ahead of time begins when the clock has come within half a window of
// the end of what is swept, and reaches half a window beyond that end; so it has half a window to finish, and no more
// than a window is counted by second. Each call of Totals does as much of it as the clock demands.
type sweeper struct {
	mu   sync.Mutex // taken before the lock of a shard
	goal int64      // the edge that the sweep under way gives; of use while next is not 0
	next int        // the shard whose turn it is; 0 if no sweep is under way
}

// Totals sums up the index at a second of Unix time. A time below the greatest one it was ever given counts as that
// one. The result is exact at one instant during the call.
//
// A call costs some 20 ns, and the first one in a second its part of the sweep. After a jump of the clock by more than
// half an hour, and the first time, it looks at every entry of the tables that hold expirations, at 2 to 4 ns each, one
// shard at a time.
func (x *Index) Totals(now int64) Totals {
	now = min(now, math.MaxUint32) // All that expires has done so by then.
	for {
		t, swept, ok := x.ledger.read(now)
		if !ok {
			x.sweepAll(now)
			continue
		}
		if now >= swept-window/2 {
			x.sweepSome(now)
		}
		return t
	}
}

// sweepAll makes the totals at now known.
func (x *Index) sweepAll(now int64) {
	w := &x.sweeper
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &x.ledger
	l.mu.Lock()
	now = max(now, l.clock)
	done := now < l.swept
	if !done {
		// First, so that what has expired meanwhile is not counted by second: that could be years of seconds.
		l.advance(now)
	}
	l.mu.Unlock()
	if done {
		return
	}
	w.begin(x, now+window)
	w.proceed(x, Shards)
}

// sweepSome continues a sweep ahead of time. If another call is sweeping, it leaves the matter to that.
func (x *Index) sweepSome(now int64) {
	w := &x.sweeper
	if !w.mu.TryLock() {
		return
	}
	defer w.mu.Unlock()
	x.ledger.mu.Lock()
	swept := x.ledger.swept
	now = max(now, x.ledger.clock)
	x.ledger.mu.Unlock()
	late := now - (swept - window/2)
	if late < 0 || now >= swept {
		return
	}
	if w.next == 0 {
		w.begin(x, swept+window/2)
	}
	w.proceed(x, int(min(Shards*late/(window/2)+1, Shards)))
}

// begin sets the goal of a sweep. A shard is either made before that and will be swept, or born with that edge.
func (w *sweeper) begin(x *Index, goal int64) {
	w.goal, w.next = goal, 0
	x.making.Lock()
	x.edge = goal
	x.making.Unlock()
}

// proceed sweeps the shards below a number.
func (w *sweeper) proceed(x *Index, end int) {
	for ; w.next < end; w.next++ {
		if s := x.shards[w.next].Load(); s != nil {
			s.sweep(w.goal)
		}
	}
	if w.next < Shards {
		return
	}
	w.next = 0
	x.ledger.mu.Lock()
	x.ledger.swept = w.goal
	x.ledger.mu.Unlock()
}

func (s *shard) sweep(edge int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raise(edge)
}

// raise counts the entries that expire between the shard's edge and a higher one, which becomes its edge.
func (s *shard) raise(edge int64) {
	from := s.edge
	if edge <= from {
		return
	}
	s.edge = edge
	l := &s.index.ledger
	s.each(func(t *table) bool {
		if t.expiring == 0 {
			return true
		}
		l.mu.Lock()
		for i, at := range t.times {
			if at != 0 && int64(at) >= from && int64(at) < edge {
				l.due(s.entry(t, i), edge, 1)
			}
		}
		l.mu.Unlock()
		return true
	})
}
