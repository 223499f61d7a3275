package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Ledger is what a writer has written: what its keys held at first, and how each
// step since has changed that. The last step may be under way. It is safe for
// concurrent use.
type Ledger struct {
	mu    sync.Mutex
	base  map[string]State
	steps []map[string]State // what each left in the keys that it wrote to
	done  int
}

// NewLedger returns the ledger of a writer that has written nothing.
func NewLedger() *Ledger { return &Ledger{base: map[string]State{}} }

// Begin notes that a step is under way.
func (l *Ledger) Begin(s Step) {
	changes := map[string]State{}
	for i := range s.Writes {
		changes[s.Writes[i].Key] = s.Writes[i].State()
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
		maps.Copy(states, step)
	}
	maps.DeleteFunc(states, func(_ string, s State) bool { return !s.Exists })
	return states
}

// Fits reports whether a read may have found got for a key. low is Done before the
// read; it ran from one second to another.
func (l *Ledger) Fits(key string, got State, low int, from, to int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	allowed := []State{l.base[key]}
	for i, step := range l.steps {
		s, ok := step[key]
		if !ok {
			continue
		}
		if i < low {
			allowed = allowed[:0]
		}
		allowed = append(allowed, s)
	}
	for _, s := range allowed {
		if got.Exists && got == s && s.Visible(from) || !got.Exists && !s.Visible(to) {
			return nil
		}
	}
	return fmt.Errorf("%.60q: %v; expected %v at second %d to %d", key, got, allowed, from, to)
}

// FitsInfo is Fits for a listing, which found an expiration, or nothing.
func (l *Ledger) FitsInfo(key string, exists bool, expiration int64, low int, from, to int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	fits := func(s State) bool {
		return exists && s.Visible(from) && s.Expiration == expiration || !exists && !s.Visible(to)
	}
	ok := fits(l.base[key])
	for i, step := range l.steps {
		s, found := step[key]
		if !found {
			continue
		}
		ok = ok && i >= low || fits(s)
	}
	if !ok {
		return fmt.Errorf("list: %.60q, listed %v with expiration %d, at second %d to %d, is not what was written", key, exists, expiration, from, to)
	}
	return nil
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
	return 0, fmt.Errorf("the store is at none of its steps %d to %d; against step %d, which was acknowledged:\n\t%s",
		low, high, low, strings.Join(differences(l.after(low), got, now), "\n\t"))
}

// Count returns the number of visible pairs and their bytes after the last step.
func (l *Ledger) Count(now int64) (keys, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.after(len(l.steps)) {
		if s.Visible(now) {
			keys++
			bytes += s.Bytes
		}
	}
	return keys, bytes
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
