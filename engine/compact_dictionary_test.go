package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/firnkv/firn/bench/dataset"
	"github.com/firnkv/firn/compaction"
)

// dictionaries makes a store of JSON documents, of which a number are put at a time.
type dictionaries struct {
	*apiTest
	data *dataset.Data
	next int
}

// put puts n documents, and returns the log segment that they have for themselves.
func (d *dictionaries) put(n int) uint64 {
	d.Helper()
	for range n {
		d.apiTest.put(d.data.Key(d.next), string(d.data.Value(d.next)), nil)
		d.next++
	}
	id := d.committer.active.id
	_, err := d.committer.rollNow()
	d.must(err)
	d.must(d.background.sealNow())
	return id
}

// putLarge puts n values of 3 KiB.
func (d *dictionaries) putLarge(n int) uint64 {
	d.Helper()
	for i := range n {
		var value []byte
		for k := 7 * i; len(value) < 3<<10; k++ {
			value = append(value, d.data.Value(k%d.data.Keys)...)
		}
		d.apiTest.put(fmt.Sprintf("large:%d", i), string(value), nil)
	}
	return d.put(0)
}

// pack rewrites segments, and returns the one that it made and its dictionary.
func (d *dictionaries) pack(form compaction.Form, victims ...uint64) (id uint64, dictionary []byte) {
	d.Helper()
	job := compaction.Job{Reason: compaction.Space, Victims: victims, Form: form}
	d.must(d.compactor.do(context.Background(), job, false))
	all := d.segs.all()
	sg := all[len(all)-1]
	if sg.form() != form {
		d.Fatalf("%s is %v, want %v", sg.name(), sg.form(), form)
	}
	dictionary, err := sg.reader.Dictionary()
	d.must(err)
	return sg.id, dictionary
}

func (d *dictionaries) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// What is packed the cheap way takes over the dictionary of its victims, or of the
// newest packed segment; it trains one only in a large store.
func TestYoungDictionary(t *testing.T) {
	data, err := dataset.Spec{Kind: dataset.JSON, Keys: 60_000}.New()
	if err != nil {
		t.Fatal(err)
	}
	a := openAPI(t, Options{Sync: SyncNever, ManualCompaction: true, SegmentBytes: 64 << 20})
	d := &dictionaries{apiTest: a, data: data}
	const few = 6000 // 2.7 MB

	if _, got := d.pack(compaction.Young, d.put(few)); got != nil {
		t.Error("a dictionary was trained for a small store")
	}
	// Whatever is in its directory makes it a large one.
	if err := os.WriteFile(filepath.Join(a.path, "large"), make([]byte, trainFrom), 0o600); err != nil {
		t.Fatal(err)
	}
	young, trained := d.pack(compaction.Young, d.put(3*few))
	if trained == nil {
		t.Fatal("no dictionary was trained for a large store")
	}
	_, settled := d.pack(compaction.Settled, d.put(few))
	if settled == nil || bytes.Equal(settled, trained) {
		t.Fatal("what is settled has no dictionary of its own")
	}
	if _, got := d.pack(compaction.Young, d.put(few)); !bytes.Equal(got, settled) {
		t.Error("the dictionary of the newest packed segment was not taken over")
	}
	last, got := d.pack(compaction.Young, young, d.put(few/2))
	if !bytes.Equal(got, trained) {
		t.Error("the dictionary of a victim was not taken over")
	}
	if _, got := d.pack(compaction.Young, d.putLarge(1000)); got != nil {
		t.Error("large records took a dictionary over")
	}
	if _, got := d.pack(compaction.Settled, last); bytes.Equal(got, trained) {
		t.Error("a dictionary that was taken over came to be settled")
	}
	for i := range d.next {
		value, err := d.Get(context.Background(), d.data.Key(i))
		if err != nil || !bytes.Equal(value, d.data.Value(i)) {
			t.Fatalf("pair %d: %v", i, err)
		}
	}
}
