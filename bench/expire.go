package bench

import (
	"fmt"
	"time"
)

const (
	expireAfter = time.Second
	expirePuts  = 5 // times the number of keys
)

// expiring puts pairs that soon expire.
func expiring(threads int) Workload {
	return Workload{
		Name: fmt.Sprintf("expire/threads=%d", threads),
		About: fmt.Sprintf("Put %d times as many pairs as there are keys, each of which expires after %v, nothing synced; disk use over time.",
			expirePuts, expireAfter),
		Threads: threads,
		long:    true,
		run:     expire,
	}
}

func expire(r *round) error {
	s, err := r.open(r.workload.Threads)
	if err != nil {
		return err
	}
	e, ok := s.(Expirer)
	if !ok {
		return closing(s, skipped("pairs cannot expire"))
	}
	return closing(s, r.expireIn(e))
}

func (r *round) expireIn(e Expirer) error {
	d := r.data
	seen, err := r.watched(expirePuts*d.Keys, func(i int) error {
		i %= 2 * d.Keys
		return e.PutTTL(d.Key(i), d.Value(i), expireAfter)
	})
	if err != nil {
		return err
	}
	r.add(peakDisk, float64(seen.Peak(seen.wrote)))
	r.add(restDisk, float64(seen.Last()))
	return nil
}
