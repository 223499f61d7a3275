package report

import "fmt"

// goal is a bound on a metric of the subject: from below if higher is better,
// otherwise from above.
type goal struct {
	workload string
	kind     Kind
	bound    float64
	// than makes the bound a multiple of what another engine has in the same
	// metric, or of what a probe of the machine gave. Empty: it is a figure.
	than string
	// always is for worst cases: it has to hold in each round. Otherwise the
	// median counts.
	always bool
	// keys is how many keys the store has to have at least. 0: any.
	keys int
	// large is for what fixed costs are added to, which count for little only with
	// so many keys: with fewer it is not judged.
	large bool
	// data is the only kind of data that it is asked of. Empty: any.
	data string
	note string
}

// of returns what became of the goal.
func (g *goal) of(r *Report) Goal {
	result := Goal{Workload: g.workload, Asked: g.asked(), Measured: "–", Attained: NotMeasured}
	m := r.metric(g.workload, subject, g.kind.Name)
	if m == nil {
		return result
	}
	value := m.Median()
	if least, greatest := m.Range(); g.always && g.kind.Better == Lower {
		value = greatest
	} else if g.always {
		value = least
	}
	result.Measured = m.String()
	if g.than != "" {
		other := r.reference(g.workload, g.than, g.kind.Name)
		if other == nil || other.Median() == 0 {
			return result
		}
		value /= other.Median()
		result.Measured = fmt.Sprintf("%s ×: %s to %s", digits(value), m.String(), other.String())
	}
	if g.keys > 0 {
		result.Measured += fmt.Sprintf(", with %d keys", r.Settings.Data.Keys)
	}
	switch {
	case g.large && r.Settings.Data.Keys < g.keys:
		result.Attained = TooFewKeys
	case (g.kind.Better == Higher && value < g.bound) || (g.kind.Better == Lower && value > g.bound):
		result.Attained = NotMet
	case r.Settings.Data.Keys < g.keys:
		result.Attained = MetByFewer
	default:
		result.Attained = Met
	}
	return result
}

// asked says the goal in words.
func (g *goal) asked() string {
	sign, bound := "≥", g.kind.Unit.Format(g.bound)
	if g.kind.Better == Lower {
		sign = "≤"
	}
	if g.than != "" {
		bound = fmt.Sprintf("%s × %s", digits(g.bound), g.than)
	}
	text := fmt.Sprintf("%s %s %s", g.kind.Name, sign, bound)
	if g.always {
		text += " in each round"
	}
	if g.keys > 0 {
		text += fmt.Sprintf(" with %d keys", g.keys)
	}
	if g.note != "" {
		text += " (" + g.note + ")"
	}
	return text
}

// metric returns what was measured, or nil.
func (r *Report) metric(workload, engine, name string) *Metric {
	res := r.Result(workload, engine)
	if res == nil || res.Failed != "" {
		return nil
	}
	return res.Metric(name)
}

// reference returns what a probe of the machine gave, or else what an engine has.
func (r *Report) reference(workload, than, name string) *Metric {
	for _, m := range []*Metric{&r.DiskSyncs, &r.ZstdEncode, &r.ZstdDecode} {
		if m.Name == than {
			return m
		}
	}
	return r.metric(workload, than, name)
}
