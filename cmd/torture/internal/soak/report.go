package soak

import (
	"fmt"
	"io"
	"sync"

	"github.com/firnkv/firn/cmd/torture/internal/kill"
)

// what is counted.
type what string

const (
	writes       what = "writes"
	reads        what = "reads compared"
	slowStreams  what = "streams read while others wrote"
	listings     what = "listings compared"
	expiries     what = "clock moved ahead"
	backups      what = "backups opened and compared"
	restores     what = "backups restored"
	compactions  what = "full compactions"
	pauses       what = "compaction paused and resumed"
	verifies     what = "verified"
	comparisons  what = "stores compared as a whole"
	cleanOpens   what = "reopened after a clean close"
	crashOpens   what = "reopened without a close"
	cuts         what = "logs cut in copies"
	cutsFound    what = "  refused by open"
	damages      what = "copies damaged"
	damageOpen   what = "  found by open"
	damageRead   what = "  found by a read"
	damageVerify what = "  found by verify"
	damageNone   what = "  without effect" // in dead values and unused space
)

var whats = []what{writes, reads, slowStreams, listings, expiries, backups, restores, compactions, pauses, verifies,
	comparisons, cleanOpens, crashOpens, cuts, cutsFound, damages, damageOpen, damageRead, damageVerify, damageNone}

// tally counts what was done.
type tally struct {
	mu     sync.Mutex
	counts map[what]int64
}

func (t *tally) add(w what) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[what]int64{}
	}
	t.counts[w]++
}

// Report is what a run has done.
type Report struct {
	Seed       uint64      `json:"seed"`
	Seconds    float64     `json:"seconds"`
	Steps      int         `json:"steps"`
	Violations int         `json:"violations"`
	Counts     []Count     `json:"counts"`
	Kills      kill.Counts `json:"kills"`
}

// Count is a line of the report.
type Count struct {
	What string `json:"what"`
	N    int64  `json:"n"`
}

// Report returns what was done so far.
func (r *Run) Report() Report {
	rep := Report{Seed: r.seed, Steps: r.steps, Kills: r.killed}
	if r.killer != nil {
		rep.Kills.Add(r.killer.Counts)
	}
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	for _, w := range whats {
		rep.Counts = append(rep.Counts, Count{string(w), r.tally.counts[w]})
	}
	return rep
}

// Print prints the report as a table.
func (rep Report) Print(out io.Writer) error {
	line := func(what string, n any) (err error) {
		_, err = fmt.Fprintf(out, "%-36s %12v\n", what, n)
		return err
	}
	for _, c := range rep.Counts {
		if err := line(c.What, c.N); err != nil {
			return err
		}
	}
	k := rep.Kills
	for _, c := range []struct {
		what string
		n    any
	}{
		{"kills", k.Rounds}, {"  during opening", k.DuringOpen}, {"  during compaction", k.DuringCompaction},
		{"  during a backup", k.DuringBackup}, {"  writes acknowledged", k.Acknowledged},
		{"  writes under way that were there", k.UnderWay}, {"  backups compared", k.Backups},
		{"steps", rep.Steps}, {"seconds", int(rep.Seconds)}, {"seed", rep.Seed}, {"violations", rep.Violations},
	} {
		if err := line(c.what, c.n); err != nil {
			return err
		}
	}
	return nil
}
