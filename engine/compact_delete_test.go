package engine

import (
	"fmt"
	"path/filepath"
	"testing"
)

// What is left of a store in which everything was deleted: nothing, but for the
// log that is being written.
func TestDeletedStoreIsEmpty(t *testing.T) {
	for _, packed := range []bool{true, false} {
		t.Run(fmt.Sprintf("packed=%t", packed), func(t *testing.T) {
			a := openMemory(t, Options{Sync: SyncNever, SegmentBytes: minSegmentBytes})
			resume := a.PauseCompaction()
			rng := newRand(t)
			const keys = 20_000
			a.eachBatch(keys, func(b *Batch, key string) { b.Put(key, poolValue(rng, rng.IntN(400)), nil) })
			a.put("large", string(noise(rng, 1<<20-1)), nil)
			if packed {
				resume()
				settleCompaction(t, a.Store)
			}
			a.eachBatch(keys, func(b *Batch, key string) { b.Delete(key) })
			a.delete("large")
			a.delete("never there")
			if err := a.Sync(a.ctx); err != nil {
				t.Fatal(err)
			}
			segments := len(a.Stats().Segments)
			before := a.jobs()
			resume()
			settleCompaction(t, a.Store)
			jobs := a.jobs() - before
			t.Logf("%d jobs for %d segments", jobs, segments)
			if most := int64(segments/16 + 10); jobs > most {
				t.Errorf("%d jobs for %d segments, want at most %d", jobs, segments, most)
			}
			a.wantEmpty("at once")
			a.writesCheckpoint()
			a.reopen()
			if !a.recovered.checkpoint {
				t.Fatal("the checkpoint was not used")
			}
			a.wantEmpty("opened again")
			a.close()
			if err := a.opts.fs.Remove(filepath.Join(a.path, checkpointName)); err != nil {
				t.Fatal(err)
			}
			a.open()
			a.wantEmpty("opened without the checkpoint")
			a.kill()
			a.wantEmpty("killed")
		})
	}
}

// eachBatch writes batches of something about each of so many keys.
func (a *apiTest) eachBatch(keys int, add func(b *Batch, key string)) {
	a.Helper()
	const size = 100
	for i := 0; i < keys; i += size {
		var b Batch
		for j := i; j < i+size; j++ {
			add(&b, fmt.Sprintf("key%06d", j*7919%keys))
		}
		a.write(&b)
	}
}

// jobs counts those that were done.
func (a *apiTest) jobs() (n int64) {
	for _, each := range a.CompactionStats().Jobs {
		n += each
	}
	return n
}

func (a *apiTest) wantEmpty(when string) {
	a.Helper()
	if names := a.names(""); len(names) > 0 {
		a.Fatalf("%s: %d keys are there, such as %q", when, len(names), names[0])
	}
	var disk, tombstones int64
	st := a.Stats()
	for _, sg := range st.Segments {
		if sg.State == "sealed" {
			disk += sg.DiskBytes
			tombstones += sg.Tombstones
		}
	}
	if disk > 8<<10 || tombstones > 0 || st.Keys != 0 || st.Bytes != 0 {
		a.Errorf("%s: %d bytes of sealed segments with %d tombstones; %+v", when, disk, tombstones, st.Usage)
	}
	a.wantNoDamage()
}
