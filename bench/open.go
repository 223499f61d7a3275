package bench

// opens open stores that are there.
func opens() []Workload {
	return []Workload{{
		Name:    "open/clean",
		About:   "Open a filled store that was closed.",
		Threads: 1,
		run:     func(r *round) error { return r.reopen(filled) },
	}, {
		Name:    "open/crash",
		About:   "Open a store whose process was killed as soon as it was filled.",
		Threads: 1,
		run:     func(r *round) error { return r.reopen(crashed) },
	}}
}

func (r *round) reopen(from state) error {
	dir, err := r.fixture(r.ctx, r.engine, from)
	if err != nil {
		return err
	}
	if err := clone(dir, r.dir); err != nil {
		return err
	}
	var s Store
	took, err := timed(func() (err error) {
		s, err = r.open(1)
		return err
	})
	if err != nil {
		return err
	}
	r.add(openTime, took.Seconds())
	return closing(s, GetPresent(s, r.data, 0))
}
