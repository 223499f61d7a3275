package index

import "sync"

// Totals sums up the entries of an index. The expired ones are part of both pairs.
type Totals struct {
	Keys, Bytes               int64
	ExpiredKeys, ExpiredBytes int64
}

// window is how many seconds ahead expirations are counted one by one. It bounds the memory for that: at most as many
// tallies.
const window = 3600

type tally struct{ keys, bytes int64 }

// ledger counts. For every shard, each of its entries that expires before the shard's edge is in exactly one of expired,
// if the clock has reached its expiration, and ahead otherwise; the rest is in neither. Once every edge is above the
// clock, expired is what its name says.
type ledger struct {
	mu      sync.Mutex
	all     tally
	expired tally
	ahead   map[int64]tally // by expiration; at most window of them, none zero
	clock   int64           // the greatest time seen
	swept   int64           // no shard's edge is below this
}

func (l *ledger) add(e Entry, edge int64) {
	l.mu.Lock()
	l.all.keys++
	l.all.bytes += e.Size
	l.due(e, edge, 1)
	l.mu.Unlock()
}

func (l *ledger) subtract(e Entry, edge int64) {
	l.mu.Lock()
	l.all.keys--
	l.all.bytes -= e.Size
	l.due(e, edge, -1)
	l.mu.Unlock()
}

func (l *ledger) replace(old, e Entry, edge int64) {
	if old.Size == e.Size && old.Expiration == e.Expiration {
		return
	}
	l.mu.Lock()
	l.all.bytes += e.Size - old.Size
	l.due(old, edge, -1)
	l.due(e, edge, 1)
	l.mu.Unlock()
}

// due counts the expiration of an entry, once or minus once, if it is before the edge of its shard.
func (l *ledger) due(e Entry, edge int64, times int64) {
	at := int64(e.Expiration)
	if at == 0 || at >= edge {
		return
	}
	if at <= l.clock {
		l.expired.keys += times
		l.expired.bytes += times * e.Size
		return
	}
	t := l.ahead[at]
	t.keys += times
	t.bytes += times * e.Size
	if t.keys == 0 {
		delete(l.ahead, at)
		return
	}
	if l.ahead == nil {
		l.ahead = make(map[int64]tally)
	}
	l.ahead[at] = t
}

// advance sets the clock, which must not go back.
func (l *ledger) advance(now int64) {
	if now-l.clock < int64(len(l.ahead)) {
		for at := l.clock + 1; at <= now; at++ {
			l.expire(at)
		}
	} else {
		for at := range l.ahead {
			if at <= now {
				l.expire(at)
			}
		}
	}
	l.clock = now
}

func (l *ledger) expire(at int64) {
	t, ok := l.ahead[at]
	if !ok {
		return
	}
	l.expired.keys += t.keys
	l.expired.bytes += t.bytes
	delete(l.ahead, at)
}

func (l *ledger) entries() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.keys
}

// read returns the totals at now if the ledger is swept that far, and how far it is.
func (l *ledger) read(now int64) (t Totals, swept int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = max(now, l.clock)
	if now >= l.swept {
		return Totals{}, l.swept, false
	}
	l.advance(now)
	return Totals{l.all.keys, l.all.bytes, l.expired.keys, l.expired.bytes}, l.swept, true
}

func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all, l.expired, l.ahead = tally{}, tally{}, nil
}
