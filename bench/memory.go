package bench

import (
	"fmt"
	"strconv"

	"github.com/firnkv/firn/bench/machine"
)

// memoryPerKey opens a filled store in a process of its own.
func memoryPerKey() Workload {
	return Workload{
		Name:    "memory",
		About:   "What a process grows by when it opens a filled store, garbage collected.",
		Threads: 1,
		long:    true,
		run:     memory,
	}
}

func memory(r *round) error {
	if machine.ResidentBytes() == 0 {
		return skipped("the memory of a process is not known here")
	}
	dir, err := r.fixture(r.ctx, r.engine, filled)
	if err != nil {
		return err
	}
	if err := clone(dir, r.dir); err != nil {
		return err
	}
	answer, err := r.child(r.ctx, order{Task: taskMemory, Engine: r.engine.Name, Dir: r.dir, Data: r.config.Data})
	if err != nil {
		return err
	}
	grown, err := strconv.ParseFloat(answer, 64)
	if err != nil {
		return fmt.Errorf("memory of a process: %w", err)
	}
	r.add(memoryAKey, grown/float64(r.data.Keys))
	r.add(memoryStore, grown)
	return nil
}
