package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/firnkv/firn/engine"
)

// Ledger is what a writer has written: what its keys held at first, and how each
// step since has changed that. The last step may be under way. It is safe for
// concurrent use.
type Ledger struct {
	mu    sync.Mutex
	base  map[string]State
	steps [][]change
	done  int
}

// change is what a write of a step left in its key.
type change struct {
	key   string
	state State
}

// NewLedger returns the ledger of a writer that has written nothing.
func NewLedger() *Ledger { return &Ledger{base: map[string]State{}} }

// Begin notes that a step is under way.
func (l *Ledger) Begin(s Step) {
	var changes []change
	for i := range s.Writes {
		changes = append(changes, change{s.Writes[i].Key, s.Writes[i].State()})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps = append(l.steps, changes)
}

// Acknowledge notes that the step under way is done.
func (l *Ledger) Acknowledge() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = len(l.steps)
}

// Done returns the number of steps that were acknowledged, Begun that of those
// that may have been done, since the ledger was settled.
func (l *Ledger) Done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// Begun is described at Done.
func (l *Ledger) Begun() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.steps)
}

// Settle makes what was there after n steps the state at first, and forgets the
// steps.
func (l *Ledger) Settle(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.base, l.steps, l.done = l.after(n), nil, 0
}

// Clone returns a copy of the ledger.
func (l *Ledger) Clone() *Ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Ledger{base: maps.Clone(l.base), steps: slices.Clone(l.steps), done: l.done}
}

// after returns what the keys hold after n steps. mu is held.
func (l *Ledger) after(n int) map[string]State {
	states := maps.Clone(l.base)
	for _, step := range l.steps[:n] {
		for _, c := range step {
			states[c.key] = c.state
		}
	}
	maps.DeleteFunc(states, func(_ string, s State) bool { return !s.Exists })
	return states
}

// Span is when a read took place: Done before it and Begun after it, and the
// seconds.
type Span struct {
	Low, High int
	From, To  int64
}

// Fits reports whether a read may have found got for a key.
func (l *Ledger) Fits(key string, got State, sp Span) error {
	return l.fits(key, sp, got.String(), func(s State) bool {
		return got.Exists && got == s && s.Visible(sp.From) || !got.Exists && !s.Visible(sp.To)
	})
}

// FitsInfo reports whether a listing may have said info, or nothing if that is
// nil.
func (l *Ledger) FitsInfo(key string, info *engine.KeyInfo, sp Span) error {
	return l.fits(key, sp, fmt.Sprintf("listed as %+v", info), func(s State) bool {
		if info == nil {
			return !s.Visible(sp.To)
		}
		return s.Visible(sp.From) && s.Expiration == info.Expiration && s.Metadata == string(info.Metadata)
	})
}

// fits reports whether any state of a key in the span passes. Of a batch that writes
// to the key more than once, each write may have been seen.
func (l *Ledger) fits(key string, sp Span, got string, pass func(State) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	allowed := []State{l.base[key]}
	for i, step := range l.steps[:sp.High] {
		for _, c := range step {
			if c.key != key {
				continue
			}
			if i < sp.Low {
				allowed = allowed[:0]
			}
			allowed = append(allowed, c.state)
		}
	}
	if slices.ContainsFunc(allowed, pass) {
		return nil
	}
	return fmt.Errorf("%.60q: %s; expected %v, at second %d to %d", key, got, allowed, sp.From, sp.To)
}

// Match returns after how many steps, low to high, the visible pairs are what
// got says; the most if there are several.
func (l *Ledger) Match(got map[string]State, now int64, low, high int) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	high = min(high, len(l.steps))
	for n := high; n >= low; n-- {
		if differences(l.after(n), got, now) == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("the keys are at none of its steps %d to %d since the last comparison; against step %d, which was acknowledged:\n\t%s",
		low, high, low, strings.Join(differences(l.after(low), got, now), "\n\t"))
}

func differences(want, got map[string]State, now int64) []string {
	var found []string
	for key, s := range want {
		if s.Visible(now) && got[key] != s {
			found = append(found, fmt.Sprintf("%.60q: %v; expected %v", key, got[key], s))
		}
	}
	for key, s := range got {
		if !want[key].Visible(now) {
			found = append(found, fmt.Sprintf("%.60q: %v; expected nothing, as after %v", key, s, want[key]))
		}
	}
	slices.Sort(found)
	return found
}
