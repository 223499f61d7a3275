package engine

import (
	"fmt"
	"testing"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// fullCase is a store on a disk of its own, of a certain capacity.
type fullCase struct {
	*apiTest
	mem      *vfs.Mem
	capacity int64
	value    []byte
}

func newFullCase(t *testing.T, capacity int64) *fullCase {
	a := openMemory(t, Options{Sync: SyncNever, SegmentBytes: 1 << 20, ballastFrom: 1 << 20})
	c := &fullCase{apiTest: a, mem: a.opts.fs.(*vfs.Mem), capacity: capacity, value: noise(newRand(t), 20_000)}
	c.mem.SetCapacity(capacity)
	return c
}

// fill puts keys until that much of the disk is in use, each twice.
func (c *fullCase) fill(share float64) (keys int) {
	c.Helper()
	used := func() int64 {
		if err := c.Sync(c.ctx); err != nil {
			c.Fatal(err)
		}
		return c.Usage().DiskBytes
	}
	for used() < int64(share*float64(c.capacity)) {
		for range 2 {
			for i := keys; i < keys+20; i++ {
				c.put(fmt.Sprintf("key%06d", i), string(c.value), nil)
			}
		}
		keys += 20
	}
	return keys
}

// On a disk that is nearly full, of what was overwritten enough space comes back
// for puts to work again.
func TestCompactionOnNearlyFullDisk(t *testing.T) {
	c := newFullCase(t, 160<<20)
	resume := c.PauseCompaction()
	keys := c.fill(0.95)
	disk := c.Usage().DiskBytes
	resume()
	settleCompaction(t, c.Store)
	u := c.Usage()
	t.Logf("%d keys, %d bytes on disk, then %d; %v", keys, disk, u.DiskBytes, c.CompactionStats().Jobs)
	if u.Keys != int64(keys) || u.DiskBytes > disk*7/10 {
		t.Errorf("%d bytes on disk before: %+v", disk, u)
	}
	for i := range 200 {
		c.put(fmt.Sprint("new", i), string(c.value), nil)
	}
	c.wantNoDamage()
}

// With nothing free at all, what is dead as a whole still goes.
func TestDeadGoesOnFullDisk(t *testing.T) {
	c := newFullCase(t, 32<<20)
	resume := c.PauseCompaction()
	keys := c.fill(0.5)
	for i := range keys {
		c.delete(fmt.Sprintf("key%06d", i))
	}
	if err := c.Sync(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.mem.SetCapacity(0)
	disk := c.Usage().DiskBytes
	resume()
	settleCompaction(t, c.Store)
	u := c.Usage()
	t.Logf("%d bytes on disk, then %d; %v", disk, u.DiskBytes, c.CompactionStats().Jobs)
	if u.DiskBytes > 4<<20 {
		t.Errorf("%d bytes on disk before: %+v", disk, u)
	}
	c.mem.SetCapacity(c.capacity)
	c.put("works", string(c.value), nil)
	c.wantNoDamage()
}
