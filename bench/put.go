package bench

import "fmt"

// durablePuts put pairs into a new store, each on disk when its put returns.
func durablePuts() []Workload {
	var all []Workload
	for _, writers := range []int{1, 16, 64} {
		all = append(all, Workload{
			Name:    fmt.Sprintf("put/durable/writers=%d", writers),
			About:   "Put pairs into a new store, each on disk when its put returns.",
			Threads: writers,
			Durable: true,
			run:     durablePut,
		})
	}
	return all
}

func durablePut(r *round) error {
	s, err := r.open(r.workload.Threads)
	if err != nil {
		return err
	}
	d := r.data
	_, err = r.measure(1, func(i int) error {
		i %= d.Keys
		return s.Put(d.Key(i), d.Value(i))
	})
	return closing(s, err)
}

// overwrites put pairs that are there already.
func overwrites(threads int) []Workload {
	about := "Overwrite pairs of a settled store, chosen %s, nothing synced."
	return []Workload{{
		Name:    fmt.Sprintf("overwrite/uniform/threads=%d", threads),
		About:   fmt.Sprintf(about, "uniformly"),
		Threads: threads,
		slow:    true,
		run:     func(r *round) error { return r.overwrite(r.data.Uniform) },
	}, {
		Name:    fmt.Sprintf("overwrite/zipf/threads=%d", threads),
		About:   fmt.Sprintf(about, "by Zipf's law"),
		Threads: threads,
		slow:    true,
		run:     func(r *round) error { return r.overwrite(r.data.Zipf) },
	}}
}

func (r *round) overwrite(key func(i int) int) error {
	s, err := r.openCopy(settled, r.workload.Threads)
	if err != nil {
		return err
	}
	d := r.data
	_, err = r.measure(1, func(i int) error {
		k := key(i)
		return s.Put(d.Key(k), d.Value(k+i%7)) // another value, most times
	})
	return closing(s, err)
}
