package bench

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/firnkv/firn/bench/dataset"
)

// mixture is a workload of YCSB: shares of its operations in percent. What is left
// is gets.
type mixture struct {
	name, about string
	updates     int
	inserts     int
	changes     int  // a get, then a put of the same key
	recent      bool // gets prefer what was inserted last
}

var mixtures = []mixture{
	{name: "a", about: "50 % gets, 50 % updates, by Zipf's law", updates: 50},
	{name: "b", about: "95 % gets, 5 % updates, by Zipf's law", updates: 5},
	{name: "c", about: "gets only, by Zipf's law"},
	{name: "d", about: "95 % gets, mostly of what is new, 5 % inserts", inserts: 5, recent: true},
	{name: "f", about: "50 % gets, 50 % reads with a change, by Zipf's law", changes: 50},
}

// ycsb is the mixed workloads of the Yahoo! Cloud Serving Benchmark (Cooper et al.,
// SoCC 2010), but for E, which scans: see [scans].
func ycsb(threads int) []Workload {
	var all []Workload
	for _, m := range mixtures {
		all = append(all, Workload{
			Name:    fmt.Sprintf("ycsb/%s/threads=%d", m.name, threads),
			About:   fmt.Sprintf("YCSB %s on a settled store: %s, nothing synced.", m.name, m.about),
			Threads: threads,
			slow:    true,
			run:     func(r *round) error { return r.mixed(m) },
		})
	}
	return all
}

func (r *round) mixed(m mixture) error {
	s, err := r.openCopy(settled, r.workload.Threads)
	if err != nil {
		return err
	}
	x := &mixing{mixture: m, store: s, data: r.data, newest: newFrontier(r.data.Keys, 2*r.data.Keys)}
	_, err = r.measure(SampleEvery, x.op)
	return closing(s, err)
}

// mixing is a mixture at work.
type mixing struct {
	mixture
	store  Store
	data   *dataset.Data
	newest *frontier
}

// chooser makes the choice of an operation independent of that of a key.
const chooser = 1 << 60

func (m *mixing) op(i int) error {
	choice := int(dataset.Mix(uint64(i)+chooser) % 100)
	if choice < m.inserts {
		return m.newest.insert(m.put)
	}
	key := m.data.Zipf(i)
	if m.recent {
		key = m.data.Recent(i, m.newest.last())
	}
	switch choice -= m.inserts; {
	case choice < m.updates:
		return m.put(key)
	case choice < m.updates+m.changes:
		if err := GetPresent(m.store, m.data, key); err != nil {
			return err
		}
		return m.put(key)
	}
	return GetPresent(m.store, m.data, key)
}

// put puts the value that belongs to the key, so that gets can go on verifying it.
func (m *mixing) put(key int) error { return m.store.Put(m.data.Key(key), m.data.Value(key)) }

// frontier hands out indexes of keys to insert, in ascending order, and knows up to
// which of them all have been inserted.
type frontier struct {
	end    int64 // indexes stay below it
	next   atomic.Int64
	known  atomic.Int64 // all below have been inserted
	mu     sync.Mutex
	beyond map[int64]bool // inserted, but not all below
}

func newFrontier(first, end int) *frontier {
	f := &frontier{end: int64(end), beyond: map[int64]bool{}}
	f.next.Store(int64(first))
	f.known.Store(int64(first))
	return f
}

// last returns the index below which, and including which, all are there.
func (f *frontier) last() int { return int(f.known.Load()) - 1 }

// insert calls put for the next index. When all are there, it puts the last again.
func (f *frontier) insert(put func(i int) error) error {
	i := f.next.Add(1) - 1
	if i >= f.end {
		return put(int(f.end) - 1)
	}
	if err := put(int(i)); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.beyond[i] = true
	known := f.known.Load()
	for f.beyond[known] {
		delete(f.beyond, known)
		known++
	}
	f.known.Store(known)
	return nil
}
