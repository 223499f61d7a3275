package cache

import "sync/atomic"

// table is a hash table of entries with chaining. Readers walk its chains while one writer, the holder of the shard's
// lock, changes them.
type table struct {
	chains []atomic.Pointer[entry] // their number is a power of two
}

func newTable(chains int) *table {
	return &table{chains: make([]atomic.Pointer[entry], chains)}
}

// chain returns the head of the chain of a hash.
func (t *table) chain(h uint64) *atomic.Pointer[entry] {
	return &t.chains[h&uint64(len(t.chains)-1)]
}

// find returns the entry of an id with the given hash, or nil. It needs no lock.
func (t *table) find(id ID, h uint64) *entry {
	e := t.chain(h).Load()
	for e != nil && e.id != id {
		e = e.next.Load()
	}
	return e
}

// insert puts an entry at the head of its chain. Only there: a reader on the way never sees its chain get longer, so
// it comes to an end.
func (t *table) insert(e *entry, h uint64) {
	head := t.chain(h)
	e.next.Store(head.Load())
	head.Store(e)
}

// remove takes an entry of the table out of its chain. A reader that is at the entry finds the rest of the chain.
func (t *table) remove(e *entry, h uint64) {
	link := t.chain(h)
	for at := link.Load(); at != e; at = link.Load() {
		link = &at.next
	}
	link.Store(e.next.Load())
}

// moveTo moves every entry into another table. A reader on the way changes over to a chain of the new table and may
// miss what it looks for; it comes to an end, as the entries that were moved lead only to others moved earlier.
func (t *table) moveTo(other *table) {
	for i := range t.chains {
		for e := t.chains[i].Load(); e != nil; {
			next := e.next.Load()
			other.insert(e, e.id.hash())
			e = next
		}
	}
}
