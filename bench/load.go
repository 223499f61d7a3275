package bench

import (
	"fmt"

	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/bench/machine"
)

// loads fill a new store with all pairs.
func loads(threads []int) []Workload {
	var all []Workload
	for _, n := range threads {
		all = append(all, Workload{
			Name:    fmt.Sprintf("load/random/threads=%d", n),
			About:   "Fill a new store in random order, nothing synced; disk use after closing.",
			Threads: n,
			run:     func(r *round) error { return r.load(inOrder) },
		})
	}
	return append(all, Workload{
		Name:    "load/sorted/threads=1",
		About:   "Fill a new store in the order of the keys, nothing synced; disk use after closing.",
		Threads: 1,
		run:     func(r *round) error { return r.load(sorted) },
	})
}

// inOrder is random order: that of the indexes.
func inOrder(*dataset.Data) func(i int) int { return func(i int) int { return i } }

func sorted(d *dataset.Data) func(i int) int {
	order := d.Sorted()
	return func(i int) int { return order[i] }
}

// load fills the round's store. Closing it counts apart: engines differ in what they
// put off until then.
func (r *round) load(order func(d *dataset.Data) func(i int) int) error {
	d, index := r.data, order(r.data)
	s, err := r.open(r.workload.Threads)
	if err != nil {
		return err
	}
	out, err := r.count(d.Keys, SampleEvery, func(i int) error {
		k := index(i)
		return s.Put(d.Key(k), d.Value(k))
	})
	if err != nil {
		return closing(s, err)
	}
	took, err := timed(s.Close)
	if err != nil {
		return err
	}
	r.add(closedRate, float64(out.Ops)/(out.Elapsed+took).Seconds())
	disk, err := machine.DiskUsage(r.dir)
	if err != nil {
		return err
	}
	r.add(diskUse, float64(disk))
	r.add(diskOfRaw, float64(disk)/float64(d.Bytes()))
	return nil
}
