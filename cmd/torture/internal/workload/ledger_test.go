package workload

import (
	"testing"

	"github.com/firnkv/firn/engine"
)

func put(key, value string, expiration int64) Write {
	return Write{Key: key, Value: []byte(value), Expiration: expiration}
}

// ledger has acknowledged a put of a, b and c, and a delete of b; over them, a
// batch is under way.
func ledger() *Ledger {
	l := NewLedger()
	for _, writes := range [][]Write{{put("a", "1", 0)}, {put("b", "1", 0)}, {put("c", "1", 100)}, {{Key: "b", Delete: true}}} {
		l.Begin(Step{Writes: writes})
		l.Acknowledge()
	}
	l.Begin(Step{Kind: Batch, Writes: []Write{put("a", "2", 0), put("b", "2", 0), put("a", "3", 0)}})
	return l
}

func holds(writes ...Write) map[string]State {
	states := map[string]State{}
	for _, w := range writes {
		states[w.Key] = w.State()
	}
	return states
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		what string
		now  int64
		got  map[string]State
		want int // steps; -1: none
	}{
		{"what was acknowledged", 50, holds(put("a", "1", 0), put("c", "1", 100)), 4},
		{"what is under way too", 50, holds(put("a", "3", 0), put("b", "2", 0), put("c", "1", 100)), 5},
		{"half of the batch", 50, holds(put("a", "3", 0), put("c", "1", 100)), -1},
		{"the other half", 50, holds(put("a", "1", 0), put("b", "2", 0), put("c", "1", 100)), -1},
		{"the batch in another order", 50, holds(put("a", "2", 0), put("b", "2", 0), put("c", "1", 100)), -1},
		{"a delete undone", 50, holds(put("a", "1", 0), put("b", "1", 0), put("c", "1", 100)), -1},
		{"a put lost", 50, holds(put("c", "1", 100)), -1},
		{"expired", 100, holds(put("a", "1", 0)), 4},
		{"expired, but there", 100, holds(put("a", "1", 0), put("c", "1", 100)), -1},
		{"expired too early", 99, holds(put("a", "1", 0)), -1},
		{"another expiration", 50, holds(put("a", "1", 0), put("c", "1", 101)), -1},
		{"another value", 50, holds(put("a", "x", 0), put("c", "1", 100)), -1},
		{"a key that nobody wrote", 50, holds(put("a", "1", 0), put("c", "1", 100), put("d", "1", 0)), -1},
	} {
		l := ledger()
		n, err := l.Match(tc.got, tc.now, l.Done(), l.Begun())
		if err != nil {
			n = -1
		}
		if n != tc.want {
			t.Errorf("%s: %d, %v; want %d", tc.what, n, err, tc.want)
		}
	}
}

func TestFits(t *testing.T) {
	for _, tc := range []struct {
		what  string
		write Write
		sp    Span
		want  bool
	}{
		{"the last value", put("a", "1", 0), Span{4, 5, 50, 50}, true},
		{"that under way", put("a", "3", 0), Span{4, 5, 50, 50}, true},
		{"in the middle of a batch", put("a", "2", 0), Span{4, 5, 50, 50}, true},
		{"before it begins", put("a", "3", 0), Span{4, 4, 50, 50}, false},
		{"after it is done", put("a", "1", 0), Span{5, 5, 50, 50}, false},
		{"the middle after it is done", put("a", "2", 0), Span{5, 5, 50, 50}, false},
		{"nothing", Write{Key: "a", Delete: true}, Span{1, 5, 50, 50}, false},
		{"nothing yet", Write{Key: "a", Delete: true}, Span{0, 5, 50, 50}, true},
		{"what was deleted", put("b", "1", 0), Span{4, 4, 50, 50}, false},
		{"what is being deleted", put("b", "1", 0), Span{3, 4, 50, 50}, true},
		{"before it expires", put("c", "1", 100), Span{4, 4, 99, 99}, true},
		{"expired too early", Write{Key: "c", Delete: true}, Span{4, 4, 99, 99}, false},
		{"while it expires", put("c", "1", 100), Span{4, 4, 99, 100}, true},
		{"expired just now", Write{Key: "c", Delete: true}, Span{4, 4, 99, 100}, true},
		{"after it has expired", put("c", "1", 100), Span{4, 4, 100, 100}, false},
	} {
		s := tc.write.State()
		if err := ledger().Fits(tc.write.Key, s, tc.sp); (err == nil) != tc.want {
			t.Errorf("%s: %v", tc.what, err)
		}
		if tc.write.Key == "a" && s.Exists {
			continue // its versions are the same in a listing
		}
		var info *engine.KeyInfo
		if s.Exists {
			info = &engine.KeyInfo{Name: tc.write.Key, Expiration: s.Expiration}
		}
		if err := ledger().FitsInfo(tc.write.Key, info, tc.sp); (err == nil) != tc.want {
			t.Errorf("%s, in a listing: %v", tc.what, err)
		}
	}
}

// TestPlan: parent and child have to plan the same.
func TestPlan(t *testing.T) {
	for n := range 200 {
		a, b := Plan(1, 2, n, 1000, Window{1, 50}), Plan(1, 2, n, 1000, Window{1, 50})
		for i := range a.Writes {
			if a.Writes[i].Key != b.Writes[i].Key || a.Writes[i].State() != b.Writes[i].State() {
				t.Fatalf("step %d, write %d: %v and %v", n, i, a.Writes[i].State(), b.Writes[i].State())
			}
		}
	}
}
