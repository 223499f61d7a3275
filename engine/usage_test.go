package engine

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// ledger counts by hand what a store has to count.
type ledger struct {
	pairs      map[string]ledgerPair
	written    Count // all puts
	tombstones int64
	garbage    Garbage // but for the expired
}

type ledgerPair struct {
	size, expiration int64
}

func (l *ledger) put(key string, size, expiration int64) {
	if old, ok := l.pairs[key]; ok {
		l.garbage.Overwritten.add(old.size)
	}
	l.pairs[key] = ledgerPair{size, expiration}
	l.written.add(size)
}

func (l *ledger) delete(key string) {
	if old, ok := l.pairs[key]; ok {
		l.garbage.Deleted.add(old.size)
		delete(l.pairs, key)
	}
	l.tombstones++
}

// usage is what the store has to say at a second, but for the disk.
func (l *ledger) usage(now int64) Usage {
	u := Usage{Garbage: l.garbage}
	for _, p := range l.pairs {
		if p.expiration != 0 && p.expiration <= now {
			u.Garbage.Expired.add(p.size)
		} else {
			u.Keys++
			u.Bytes += p.size
		}
	}
	return u
}

// usageCase is a store and its ledger.
type usageCase struct {
	*apiTest
	*ledger
	rng *rand.Rand
}

func newUsageCase(t *testing.T, opts Options) *usageCase {
	return &usageCase{openMemory(t, opts), &ledger{pairs: map[string]ledgerPair{}}, newRand(t)}
}

func (c *usageCase) operate(n int) {
	data := incompressible(c.rng, 50_000)
	for range n {
		key := fmt.Sprint("key", c.rng.IntN(200))
		switch c.rng.IntN(10) {
		case 0, 1:
			if _, ok := c.pairs[key]; ok {
				c.ledger.delete(key)
			}
			c.apiTest.delete(key)
		case 2:
			c.batch(data)
		case 3:
			c.clock.set(c.clock.now().Unix() + c.rng.Int64N(30))
		default:
			value, opts := c.random(data)
			c.apiTest.put(key, string(value), opts)
			c.ledger.put(key, c.size(key, value, opts), opts.Expiration)
		}
	}
}

func (c *usageCase) random(data []byte) ([]byte, *PutOptions) {
	n := c.rng.IntN(1000)
	if c.rng.IntN(20) == 0 {
		n = largeFrom + c.rng.IntN(len(data)-largeFrom)
	}
	opts := &PutOptions{}
	if c.rng.IntN(3) == 0 {
		opts.Expiration = c.clock.now().Unix() + 60 + c.rng.Int64N(200)
	}
	if c.rng.IntN(3) == 0 {
		opts.Metadata = json.RawMessage(fmt.Sprint(c.rng.Uint32()))
	}
	return data[:n], opts
}

func (c *usageCase) size(key string, value []byte, opts *PutOptions) int64 {
	return int64(len(key) + len(value) + len(opts.Metadata))
}

func (c *usageCase) batch(data []byte) {
	var b Batch
	puts := false
	for range 1 + c.rng.IntN(20) {
		key := fmt.Sprint("key", c.rng.IntN(200))
		if c.rng.IntN(3) == 0 && puts { // a batch of deletes only leaves out absent keys
			b.Delete(key)
			c.ledger.delete(key)
			continue
		}
		puts = true
		value, opts := c.random(data)
		b.Put(key, value, opts)
		c.ledger.put(key, c.size(key, value, opts), opts.Expiration)
	}
	c.write(&b)
}

// check compares everything that is counted.
func (c *usageCase) check(when string) {
	c.Helper()
	now := c.clock.now().Unix()
	want, got := c.usage(now), c.Usage()
	want.DiskBytes = got.DiskBytes
	if got != want {
		c.Fatalf("%s:\ngot  %+v\nwant %+v", when, got, want)
	}
	if c.opts.Sync != SyncAlways {
		if err := c.Sync(c.ctx); err != nil { // tombstones count when they are written
			c.Fatal(err)
		}
	}
	st := c.Stats()
	if st.Usage != got && st.DiskBytes == got.DiskBytes {
		c.Fatalf("%s: stats say %+v, usage says %+v", when, st.Usage, got)
	}
	var written Count
	var garbage Garbage
	var tombstones int64
	for _, sg := range st.Segments {
		plus(&written, sg.Puts)
		plus(&garbage.Overwritten, sg.Garbage.Overwritten)
		plus(&garbage.Deleted, sg.Garbage.Deleted)
		plus(&garbage.Expired, sg.Garbage.Expired)
		tombstones += sg.Tombstones
		dead := sg.Garbage.Overwritten.Bytes + sg.Garbage.Deleted.Bytes + sg.Garbage.Expired.Bytes
		if dead > sg.Puts.Bytes {
			c.Fatalf("%s: segment %d has %d bytes of garbage among %d", when, sg.ID, dead, sg.Puts.Bytes)
		}
	}
	if written != c.written || garbage != want.Garbage || tombstones != c.tombstones || st.Tombstones != tombstones {
		c.Fatalf("%s: the segments hold %+v with garbage %+v and %d tombstones;\nwant %+v with %+v and %d",
			when, written, garbage, tombstones, c.written, want.Garbage, c.tombstones)
	}
	report, err := c.Verify(c.ctx, nil)
	if err != nil || len(report.Damage) > 0 {
		c.Fatalf("%s: verify: %+v, %v", when, report, err)
	}
}

func plus(c *Count, n Count) {
	c.Records += n.Records
	c.Bytes += n.Bytes
}

// segments describes each segment but for its state, which opening may change.
func (c *usageCase) segments() string {
	c.Helper()
	var b strings.Builder
	for _, sg := range c.Stats().Segments {
		if sg.Puts.Records+sg.Tombstones > 0 {
			fmt.Fprintln(&b, sg.ID, sg.Kind, sg.Puts, sg.Tombstones, sg.Garbage)
		}
	}
	return b.String()
}

// The counts are those of a recount after any operations, over any way of
// opening, for the store and for each segment.
func TestUsageIsExact(t *testing.T) {
	inAllModes(t, func(t *testing.T, mode SyncMode) {
		c := newUsageCase(t, Options{Sync: mode, SegmentBytes: minSegmentBytes, ManualCompaction: true})
		for round := range 12 {
			c.operate(120)
			c.check(fmt.Sprintf("round %d", round))
			before := c.segments()
			how := []string{"clean", "with checkpoint", "without checkpoint", "killed"}[c.rng.IntN(4)]
			switch how {
			case "clean":
				c.reopen()
			case "with checkpoint":
				c.writesCheckpoint()
				c.reopen()
				if !c.recovered.checkpoint {
					t.Fatal("the checkpoint was not used")
				}
			case "without checkpoint":
				c.close()
				_ = c.opts.fs.Remove(filepath.Join(c.path, checkpointName))
				c.open()
			case "killed":
				if err := c.Sync(c.ctx); err != nil {
					t.Fatal(err)
				}
				c.kill()
			}
			c.check(fmt.Sprintf("round %d, opened again: %s", round, how))
			if after := c.segments(); after != before {
				t.Fatalf("round %d: segments when closed (%s):\n%s\nopened again:\n%s", round, how, before, after)
			}
		}
	})
}

// writesCheckpoint has the next close write a checkpoint, however little has
// changed.
func (s *Store) writesCheckpoint() {
	s.checkpointed.behind = 1 << 40
}

func TestDiskBytes(t *testing.T) {
	a := openAPI(t, Options{SegmentBytes: minSegmentBytes})
	check := func() {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(a.path, "*"))
		if err != nil {
			t.Fatal(err)
		}
		var want int64
		for _, name := range names {
			want += allocatedBytes(t, name)
		}
		if got := a.Usage().DiskBytes; got != want {
			t.Errorf("%d bytes, the files take %d", got, want)
		}
	}
	check()
	value := incompressible(newRand(t), 1000)
	for i := range 20 { // too little for background work
		a.put(fmt.Sprint(i), string(value), nil)
	}
	check()
	a.put("large", strings.Repeat(string(value), 1000), nil)
	check()
	a.reopen()
	check()
	a.close()
	check()
}

// Pairs that expire are counted to the second over long times too, when the
// index has forgotten to which second they belong.
func TestUsageOverYears(t *testing.T) {
	c := newUsageCase(t, Options{Sync: SyncNever, ManualCompaction: true})
	now := int64(epoch)
	for i := range 3000 {
		key := fmt.Sprint("key", i)
		expiration := now + 60 + c.rng.Int64N([]int64{100, 10_000, 1_000_000, 100_000_000}[i%4])
		c.apiTest.put(key, "value", &PutOptions{Expiration: expiration})
		c.ledger.put(key, int64(len(key)+5), expiration)
	}
	for _, after := range []int64{59, 60, 61, 100, 159, 160, 3600, 10_000, 86_400, 1_000_059, 1_000_060, 50_000_000, 100_000_060} {
		c.clock.set(epoch + after)
		c.check(fmt.Sprintf("after %d s", after))
		if after == 100 || after == 86_400 {
			c.reopen()
			c.check(fmt.Sprintf("after %d s, opened again", after))
		}
	}
	if u := c.Usage(); u.Keys != 0 || u.Garbage.Expired.Records != 3000 {
		t.Fatalf("%+v", u)
	}
}
