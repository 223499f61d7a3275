package cache

// Stats describes a cache. The counters start at zero with the cache.
type Stats struct {
	Hits      uint64 // calls of Get that found the record
	Misses    uint64 // calls of Get that did not
	Evictions uint64 // records dropped to make room
	Rejected  uint64 // calls of Admits and Put with a record that is too large
	Records   int    // records in the cache now
	Bytes     int64  // memory in use now, see Cache.Bytes
}

// Stats returns the state of the cache, one shard after the other: not that of one instant, if others use the cache
// meanwhile. On a nil *Cache not even misses are counted.
func (c *Cache) Stats() Stats {
	var sum Stats
	if c == nil {
		return sum
	}
	for i := range c.shards {
		c.shards[i].addStats(&sum)
	}
	return sum
}

// Bytes returns the memory in use, in bytes: for each record the block of memory that holds an entry of 80 bytes, key,
// value and metadata; and for each bucket of the hash table 104, which has 2 to 4 records. It never exceeds the budget.
func (c *Cache) Bytes() int64 {
	return c.Stats().Bytes
}

func (s *shard) addStats(sum *Stats) {
	sum.Hits += s.hits.Load()
	sum.Misses += s.misses.Load()
	sum.Rejected += s.rejected.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	sum.Evictions += s.evictions
	sum.Records += s.records()
	sum.Bytes += s.used.Load()
}
