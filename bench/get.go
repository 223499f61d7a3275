package bench

import (
	"fmt"

	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/bench/machine"
)

// gets read a settled store.
func gets(threads []int) []Workload {
	var all []Workload
	for _, read := range []struct {
		name, about string
		op          func(s Store, d *dataset.Data, i int) error
	}{
		{"uniform", "Get pairs of a settled store, chosen uniformly.", GetUniform},
		{"zipf", "Get pairs of a settled store, chosen by Zipf's law.", GetZipf},
		{"absent", "Get keys that are not in a settled store.", GetAbsent},
	} {
		for _, n := range threads {
			all = append(all, Workload{
				Name:    fmt.Sprintf("get/%s/threads=%d", read.name, n),
				About:   read.about + " The disk use is that of the store.",
				Threads: n,
				slow:    read.name == "zipf",
				run:     func(r *round) error { return r.get(read.op) },
			})
		}
	}
	return all
}

func (r *round) get(op func(s Store, d *dataset.Data, i int) error) error {
	dir, err := r.fixture(r.ctx, r.engine, settled)
	if err != nil {
		return err
	}
	disk, err := machine.DiskUsage(dir)
	if err != nil {
		return err
	}
	s, err := r.openAt(dir, 1)
	if err != nil {
		return err
	}
	if _, err = r.measure(SampleEvery, func(i int) error { return op(s, r.data, i) }); err == nil {
		r.add(diskUse, float64(disk))
	}
	return closing(s, err)
}

// GetUniform reads a pair; see [dataset.Data.Uniform].
func GetUniform(s Store, d *dataset.Data, i int) error { return GetPresent(s, d, d.Uniform(i)) }

// GetZipf reads a pair; see [dataset.Data.Zipf].
func GetZipf(s Store, d *dataset.Data, i int) error { return GetPresent(s, d, d.Zipf(i)) }

// GetAbsent asks for a key that is not there. It takes the keys as they come, which
// is in random order already: so the key itself is at hand, as it is for a caller
// who just made it.
func GetAbsent(s Store, d *dataset.Data, i int) error {
	key := d.Key(d.Keys + i%d.Keys)
	missing, err := s.Missing(key)
	if err == nil && !missing {
		err = fmt.Errorf("key %q should be missing", key)
	}
	return err
}

// GetPresent reads the pair with index i, and verifies the length of its value.
func GetPresent(s Store, d *dataset.Data, i int) error {
	n, err := s.Get(d.Key(i))
	if err != nil {
		return fmt.Errorf("key %q: %w", d.Key(i), err)
	}
	if want := len(d.Value(i)); n != want {
		return fmt.Errorf("value of key %q has %d bytes, should have %d", d.Key(i), n, want)
	}
	return nil
}
