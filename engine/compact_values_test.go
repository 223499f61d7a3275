package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/firnkv/firn/segment"
)

const (
	largeValues = 40
	largeValue  = 200 << 10
)

// largeCase is a store of large values, every other of which compresses.
type largeCase struct {
	*apiTest
	values map[string][]byte
}

func newLargeCase(t *testing.T) *largeCase {
	c := &largeCase{openMemory(t, Options{Sync: SyncNever}), map[string][]byte{}}
	rng := newRand(t)
	for i := range largeValues {
		value := noise(rng, largeValue)
		if i%2 == 0 {
			at := rng.IntN(1<<20 - largeValue)
			value = valuePool[at : at+largeValue]
		}
		key := fmt.Sprintf("large%02d", i)
		c.values[key] = value
		if err := c.Put(c.ctx, key, value, nil); err != nil {
			t.Fatal(err)
		}
	}
	settleCompaction(t, c.Store)
	return c
}

func (c *largeCase) drop(i int) {
	key := fmt.Sprintf("large%02d", i)
	c.delete(key)
	delete(c.values, key)
}

// The space of large values that are deleted comes back, and what lives beside
// them is copied as it is stored.
func TestLargeValuesAreCopiedAsStored(t *testing.T) {
	c := newLargeCase(t)
	for i := 0; i < largeValues; i += 4 {
		c.drop(i)
		c.drop(i + 1)
	}
	before := map[string][]storedChunk{}
	was := map[string]uint64{}
	for key := range c.values {
		before[key], was[key] = c.chunks(key), c.place(key).id
	}
	disk := c.Usage().DiskBytes
	settleCompaction(t, c.Store)
	if u := c.Usage(); u.DiskBytes > disk*6/10 || u.Keys != largeValues/2 || u.Garbage.Deleted.Bytes != 0 {
		t.Errorf("%d bytes on disk before: %+v", disk, u)
	}
	for i := range largeValues {
		key := fmt.Sprintf("large%02d", i)
		value, lives := c.values[key]
		if !lives {
			c.wantAbsent(key)
			continue
		}
		c.wantSame(key, value)
		if c.place(key).id == was[key] {
			t.Errorf("%s was not moved", key)
		}
		after := c.chunks(key)
		if !slices.Equal(after, before[key]) {
			t.Errorf("%s is not stored as before", key)
		}
		var stored int
		raw := true
		for _, chunk := range after {
			stored += len(chunk.bytes)
			raw = raw && chunk.codec == segment.Codec(0)
		}
		if noisy := i%2 == 1; noisy != raw || noisy != (stored == largeValue) {
			t.Errorf("%s takes %d bytes, raw: %t", key, stored, raw)
		}
	}
	c.reopen()
	for key, value := range c.values {
		c.wantSame(key, value)
	}
	c.wantNoDamage()
}

// A value segment in which nothing lives goes without any copying.
func TestDeadValuesAreNotCopied(t *testing.T) {
	c := newLargeCase(t)
	for i := range largeValues {
		c.drop(i)
	}
	before := c.CompactionStats()
	settleCompaction(t, c.Store)
	st := c.CompactionStats()
	if made := st.MadeBytes - before.MadeBytes; made > 64<<10 {
		t.Errorf("%d bytes were written", made)
	}
	if u := c.Usage(); u.Keys != 0 || u.DiskBytes > 2<<20 {
		t.Errorf("left: %+v", u)
	}
	c.reopen()
	if names := c.names(""); len(names) > 0 {
		t.Errorf("came back: %q", names)
	}
}

func (a *apiTest) wantNoDamage() {
	a.Helper()
	if err := checkVerify(a.ctx, a.Store); err != nil {
		a.Fatal(err)
	}
}
