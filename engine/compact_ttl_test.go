package engine

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/firnkv/firn/compaction"
)

// ttlCase is a store with pairs that expire at random within an hour, and a count
// of them by second.
type ttlCase struct {
	*apiTest
	begin int64
	due   [3601]Count // by seconds from begin
	live  Count
	until map[int64]Count // by end of the bucket
}

func newTTLCase(t *testing.T, n int) *ttlCase {
	opts := Options{Sync: SyncNever, SegmentBytes: 256 << 10, Limits: Limits{MinTTL: time.Second}}
	size := 1500
	if n > 100_000 {
		opts.SegmentBytes, size = 0, 300
	}
	c := &ttlCase{apiTest: openMemory(t, opts), begin: epoch, until: map[int64]Count{}}
	rng := newRand(t)
	for i := range n {
		key := fmt.Sprintf("session:%09d", i)
		ttl := 1 + rng.IntN(3600)
		value := noise(rng, size/2+rng.IntN(size))
		if err := c.Put(c.ctx, key, value, &PutOptions{Expiration: c.begin + int64(ttl)}); err != nil {
			t.Fatal(err)
		}
		bytes := int64(len(key) + len(value))
		c.due[ttl].add(bytes)
		c.live.add(bytes)
		_, to := compaction.Bucket(c.begin+int64(ttl), c.begin)
		u := c.until[to]
		u.add(bytes)
		c.until[to] = u
	}
	return c
}

// A store of pairs that all expire within an hour says to the second what lives,
// and gives its disk back as they expire, a bucket at a time, without copying what
// still lives. FIRN_TTL_PAIRS=1000000 does it with more of them, in segments of the
// usual size, which takes a minute.
func TestTTL(t *testing.T) {
	n := 20_000
	if v := os.Getenv("FIRN_TTL_PAIRS"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FIRN_TTL_PAIRS=%d", n)
	c := newTTLCase(t, n)
	settleCompaction(t, c.Store)
	filled := c.CompactionStats()
	// What is not in buckets that end as a whole: the log and the manifest,
	// which have space set aside, and at the seams of jobs and buckets less
	// than a segment.
	slack := 2<<20 + c.live.Bytes/50
	for second := range int64(3601) {
		now := c.begin + second
		c.clock.set(now)
		c.live.Records -= c.due[second].Records
		c.live.Bytes -= c.due[second].Bytes
		c.wantLive(second)
		settleCompaction(t, c.Store)
		c.wantLive(second)
		if _, ends := c.until[now]; ends || second == 3600 {
			delete(c.until, now)
			if got, most := c.Usage().DiskBytes, c.open()+slack; got > most {
				t.Fatalf("second %d: %d bytes on disk, want at most %d for what lives or is in buckets that have not ended", second, got, most)
			}
		}
	}
	st := c.CompactionStats()
	copied := st.MadeBytes - filled.MadeBytes - (st.Made["pack"] - filled.Made["pack"])
	freed := st.FreedBytes - filled.FreedBytes
	t.Logf("%d bytes reclaimed, %d copied for it; %v", freed, copied, st.Jobs)
	if freed < filled.MadeBytes/2 || copied*20 > freed {
		t.Errorf("%d bytes copied to reclaim %d, want at most a twentieth", copied, freed)
	}
}

func (c *ttlCase) wantLive(second int64) {
	c.Helper()
	if u := c.Usage(); u.Keys != c.live.Records || u.Bytes != c.live.Bytes {
		c.Fatalf("second %d: %+v, want %+v live", second, u, c.live)
	}
}

// ttlOverhead is about what a record takes in a packed segment beside its key and
// value, with its entry in the footer.
const ttlOverhead = 72

// open returns what the pairs take in the buckets that have not ended.
func (c *ttlCase) open() (disk int64) {
	for _, u := range c.until {
		disk += u.Bytes + u.Records*ttlOverhead
	}
	return disk
}
