package index

// scanChunk bounds how long a scan holds the lock of a shard, and its buffer: 10 KiB.
const scanChunk = 256

type scanned struct {
	hash  Hash
	entry Entry
}

// Scan calls f for the entries of a shard in the order of their hashes (Hi, then Lo) until it returns false. The shard
// is not locked while f runs, so f may use the index. An entry that is there throughout the scan is seen exactly once,
// one that is put or deleted meanwhile at most once.
func (x *Index) Scan(shard int, f func(Hash, Entry) bool) {
	s := x.shards[shard].Load()
	if s == nil {
		return
	}
	var buffer [scanChunk]scanned
	var from Hash
	for {
		n := s.read(from, buffer[:])
		for _, e := range buffer[:n] {
			if !f(e.hash, e.entry) {
				return
			}
		}
		if n < len(buffer) {
			return
		}
		_, hi, lo := buffer[n-1].hash.parts()
		if lo++; lo > loMask {
			hi, lo = hi+1, 0
		}
		if hi == emptyHi {
			return
		}
		from = joinHash(shard, hi, lo)
	}
}

// read fills dst with the entries from a hash on.
func (s *shard) read(from Hash, dst []scanned) (n int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.tables) == 0 {
		return 0
	}
	_, hi, lo := from.parts()
	for d := s.slotOf(hi); d < len(s.tables); {
		t := s.tables[d]
		i := 0
		// In the tables behind the first everything is greater than from.
		if n == 0 && d == s.slotOf(hi) {
			i = t.seek(hi, lo)
		}
		for ; i < len(t.slots); i++ {
			if t.slots[i].free() {
				continue
			}
			if n == len(dst) {
				return n
			}
			p := &t.slots[i]
			dst[n] = scanned{joinHash(s.id, p.hi(), t.lo(i)), s.entry(t, i)}
			n++
		}
		span := 1 << (s.depth - t.depth)
		d = d&^(span-1) + span
	}
	return n
}
