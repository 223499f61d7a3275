package cache

// queue is a first-in, first-out list of entries from which any entry can be removed.
type queue struct {
	newest, oldest *entry
	records        int
	bytes          int64 // sum of the sizes of the records
}

// push adds an entry that is in no queue.
func (q *queue) push(e *entry) {
	e.older = q.newest
	if q.newest != nil {
		q.newest.newer = e
	} else {
		q.oldest = e
	}
	q.newest = e
	q.records++
	q.bytes += e.size()
}

// remove takes out an entry of q. It clears the links, so that an entry that a reader still holds keeps no others
// alive.
func (q *queue) remove(e *entry) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		q.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		q.oldest = e.newer
	}
	e.newer, e.older = nil, nil
	q.records--
	q.bytes -= e.size()
}
