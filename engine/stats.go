package engine

import (
	"runtime"
	"time"

	"github.com/firnkv/firn/index"
)

// Stats describes a store. The counts of work are since it was opened.
type Stats struct {
	Usage

	Segments   []SegmentStats
	Tombstones int64 // records of deletes on disk

	IndexBytes  int64 // memory of the index
	KeyLogBytes int64 // memory of the keys that no footer lists yet, and of sparse indexes
	CacheBytes  int64
	CacheHits   int64
	CacheMisses int64

	Writes          int64         // records written: puts and deletes
	WrittenBytes    int64         // key, metadata and value of them
	Groups          int64         // commits: groups of writers that shared a sync
	Syncs           int64         // of the log
	SyncTime        time.Duration // of all of them
	LongestSync     time.Duration
	LogBytes        int64 // written to log and value segments
	CheckpointBytes int64 // written to checkpoints of the index
	CutBytes        int64 // of a torn tail, when the store was opened
	RecoveryBytes   int64 // of the log that opening had to read

	// SpaceAmplification is DiskBytes / Bytes: below 1 if compression gains
	// more than garbage costs. 0 for an empty store.
	SpaceAmplification float64
	// WriteAmplification is what was written to segments, by writers and by
	// compaction, and to checkpoints / WrittenBytes. 0 if nothing was put.
	WriteAmplification float64

	Compaction CompactionStats
}

// SegmentStats describes a segment.
type SegmentStats struct {
	ID         uint64
	Kind       string // log, packed or value
	Form       string // log, young, settled or values; see package compaction
	State      string // active, frozen or sealed
	FileBytes  int64
	DiskBytes  int64
	Puts       Count // all versions whose value is in the segment: Live and Garbage
	Live       Count
	Tombstones int64
	Garbage    Garbage
}

// Usage returns what the store holds at this second. It is exact: the live
// counts are kept with every write, and pairs stop counting in the second in
// which they expire. Finding out what the files take on disk asks the file system
// about each.
func (s *Store) Usage() Usage {
	u := s.liveUsage()
	for _, sg := range s.segs.all() {
		u.Garbage.Overwritten.addCount(sg.counts.overwritten.count())
		u.Garbage.Deleted.addCount(sg.counts.deleted.count())
		u.Garbage.Expired.addCount(sg.counts.expired.count())
	}
	u.DiskBytes = s.diskBytes()
	return u
}

func (s *Store) liveUsage() Usage {
	t := s.index.Totals(s.clock.now())
	return Usage{
		Keys:    t.Keys - t.ExpiredKeys,
		Bytes:   t.Bytes - t.ExpiredBytes,
		Garbage: Garbage{Expired: Count{t.ExpiredKeys, t.ExpiredBytes}},
	}
}

// diskBytes adds up what all files of the store take on disk.
func (s *Store) diskBytes() int64 {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return 0
	}
	var n int64
	for _, name := range names {
		// A file that is gone by now takes nothing.
		if info, err := s.fs.Stat(s.path(name)); err == nil {
			n += info.Allocated
		}
	}
	return n
}

// Stats returns Usage and more. Expired pairs by segment are found by going
// through the index, at some 10 ns a key.
func (s *Store) Stats() Stats {
	st := Stats{Usage: s.Usage(), IndexBytes: s.index.Memory()}
	expired := s.expiredBySlot()
	for _, sg := range s.segs.all() {
		st.Segments = append(st.Segments, s.segmentStats(sg, expired[sg.slot]))
		st.Tombstones += sg.counts.tombstones.Load()
		if keys := sg.keys.Load(); keys != nil {
			st.KeyLogBytes += keys.size()
		}
		if part := sg.sealed.Load(); part != nil {
			st.KeyLogBytes += part.memory()
		}
	}
	if s.cache != nil {
		c := s.cache.Stats()
		st.CacheBytes, st.CacheHits, st.CacheMisses = c.Bytes, int64(c.Hits), int64(c.Misses)
	}
	m := &s.committer.metrics
	st.Writes, st.WrittenBytes = m.records.Load(), m.putBytes.Load()
	st.Groups, st.Syncs, st.LogBytes = m.groups.Load(), m.syncs.Load(), m.logBytes.Load()+m.valueBytes.Load()
	st.SyncTime, st.LongestSync = time.Duration(m.syncTime.Load()), time.Duration(m.longestSync.Load())
	st.CutBytes, st.RecoveryBytes = s.recovered.cutBytes, s.recovered.scanned
	st.SpaceAmplification = ratio(st.DiskBytes, st.Bytes)
	st.Compaction = s.compactor.stats()
	st.CheckpointBytes = s.checkpointBytes.Load()
	st.WriteAmplification = ratio(st.LogBytes+st.Compaction.MadeBytes+st.CheckpointBytes, st.WrittenBytes)
	return st
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func (s *Store) expiredBySlot() map[uint16]Count {
	expired := map[uint16]Count{}
	if s.index.Totals(s.clock.now()).ExpiredKeys == 0 {
		return expired
	}
	now := s.clock.now()
	for i := range index.Shards {
		runtime.Gosched() // a shard of a large store takes half a millisecond
		s.index.Scan(i, func(_ index.Hash, e index.Entry) bool {
			if e.Expiration != 0 && int64(e.Expiration) <= now {
				c := expired[e.Location.Slot()]
				c.add(e.Size)
				expired[e.Location.Slot()] = c
			}
			return true
		})
	}
	return expired
}

func (s *Store) segmentStats(sg *seg, expired Count) SegmentStats {
	expired.addCount(sg.counts.expired.count())
	st := SegmentStats{
		ID: sg.id, Kind: sg.kind.String(), Form: sg.form().String(),
		Puts: sg.counts.puts.count(), Tombstones: sg.counts.tombstones.Load(),
		Garbage: Garbage{sg.counts.overwritten.count(), sg.counts.deleted.count(), expired},
	}
	st.Live = st.Puts
	for _, g := range []Count{st.Garbage.Overwritten, st.Garbage.Deleted, st.Garbage.Expired} {
		st.Live.Records -= g.Records
		st.Live.Bytes -= g.Bytes
	}
	s.state.Lock()
	if info := s.manifest.state.segments[sg.id]; info != nil {
		st.State = info.state.String()
	}
	s.state.Unlock()
	if info, err := s.fs.Stat(s.path(sg.name())); err == nil {
		st.FileBytes, st.DiskBytes = info.Size, info.Allocated
	}
	return st
}
