package compaction

import (
	"cmp"
	"runtime"
	"slices"
	"sync"

	"github.com/firnkv/firn/segment"
)

// logInput reads a log segment, whose records are in the order of their writing.
// It looks at as many entries ahead, in the order of the keys, as the memory for
// their records allows, and fetches these in the order of their places: each
// frame is decoded once for each time the memory is filled. Then it goes through
// the same entries again.
//
// What it keeps of them has no pointers, and never moves when there is more of
// it. Go stops all goroutines at the points where its garbage collection begins
// and ends a cycle, and so for as long as any of them copies a slice of pointers:
// tens of milliseconds for one of 30 MB.
type logInput struct {
	*segment.Iterator // to the current entry
	ahead             *segment.Iterator
	host              Host
	v                 *Victim
	memory            int
	fetchers          []*fetcher
	records           arena

	items []logItem // of the entries from the current one on
	next  int
	order []logPlace // of the records to be fetched
	err   error
}

// logItem is what is known of an entry that was looked at ahead.
type logItem struct {
	verdict Verdict
	size    uint32 // of the encoded record, if it was fetched
	place   place
}

// logPlace is where the record of an item is in the segment.
type logPlace struct {
	offset  int64
	ordinal uint32
	item    uint32
}

// leastMemory is what a log segment gets for its records, however few are live.
const leastMemory = 256 << 10

func newLogInput(host Host, v *Victim, memory, workers int) *logInput {
	in := &logInput{
		Iterator: v.Blocks.Iterator(true), ahead: v.Blocks.Iterator(false), host: host, v: v,
		memory: max(memory, leastMemory),
	}
	for range max(workers, 1) {
		in.fetchers = append(in.fetchers, &fetcher{reader: v.Reader.Through(&window{file: v.File}), records: &in.records})
	}
	return in
}

func (in *logInput) Seek([]byte) bool { panic("compaction: a log is read from its start") }
func (in *logInput) verdict() Verdict { return in.items[in.next-1].verdict }

func (in *logInput) Err() error {
	if in.err != nil {
		return in.err
	}
	return in.Iterator.Err()
}

func (in *logInput) record(into *read) error {
	item := &in.items[in.next-1]
	into.asStored, into.encoded = false, append(into.encoded[:0], in.records.at(item.place, int(item.size))...)
	return check(into.encoded, in.Entry())
}

func (in *logInput) Next() bool {
	if in.next == len(in.items) && !in.fill() {
		return false
	}
	in.next++
	return in.Iterator.Next()
}

// itemBytes is about what an entry takes beside its record.
const itemBytes = 32

func (in *logInput) fill() bool {
	in.items, in.next, in.order = in.items[:0], 0, in.order[:0]
	if in.err != nil {
		return false
	}
	for bytes := 0; bytes < in.memory && in.ahead.Next(); bytes += itemBytes {
		if len(in.items)%checkEvery == 0 {
			if in.err = in.host.Yield(); in.err != nil {
				return false
			}
		}
		e := in.ahead.Entry()
		var item logItem
		if !e.Tombstone {
			item.verdict = in.host.Judge(in.v, e)
		}
		if item.verdict == Live && !e.HasPointer {
			bytes += int(e.Size())
			in.order = append(in.order, logPlace{e.Offset, uint32(e.Ordinal), uint32(len(in.items))})
		}
		in.items = append(in.items, item)
	}
	if in.err = in.ahead.Err(); in.err == nil {
		in.err = in.fetch()
	}
	return in.err == nil && len(in.items) > 0
}

// fetch reads the records of the live items, frame by frame, each fetcher those of
// a part of the segment.
func (in *logInput) fetch() error {
	compared := 0
	slices.SortFunc(in.order, func(a, b logPlace) int {
		if compared++; compared%4096 == 0 {
			runtime.Gosched()
		}
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.ordinal, b.ordinal))
	})
	in.records.reset()
	var group sync.WaitGroup
	parts := len(in.fetchers)
	for i, f := range in.fetchers[1:] {
		part := in.order[len(in.order)*(i+1)/parts : len(in.order)*(i+2)/parts]
		group.Go(func() {
			f.err = f.fetch(in.items, part, func() error { runtime.Gosched(); return nil })
		})
	}
	first := in.fetchers[0]
	first.err = first.fetch(in.items, in.order[:len(in.order)/parts], in.host.Yield)
	group.Wait()
	for _, f := range in.fetchers {
		if f.err != nil {
			return f.err
		}
	}
	return nil
}

// fetcher reads records in the order of their places.
type fetcher struct {
	reader  *segment.Reader
	records *arena
	buf     segment.Buffer
	err     error
}

// fetch fills in the records of the items that order lists.
func (f *fetcher) fetch(items []logItem, order []logPlace, yield func() error) error {
	at := int64(0)
	var cur cursor
	var to block
	for _, p := range order {
		if p.offset != at {
			if err := yield(); err != nil {
				return err
			}
			payload, err := f.reader.ReadRecords(p.offset, 8<<10, &f.buf)
			if err != nil {
				return err
			}
			at, cur = p.offset, cursor{payload: payload}
		}
		b, err := cur.record(p.offset, int(p.ordinal))
		if err != nil {
			return err
		}
		items[p.item].size, items[p.item].place = uint32(len(b)), f.records.add(&to, b)
	}
	return nil
}
