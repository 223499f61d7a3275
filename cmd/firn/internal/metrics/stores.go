package metrics

import (
	"iter"
	"time"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
	"github.com/prometheus/client_golang/prometheus"
)

// stores collects what the open stores say of themselves. Counts begin again
// when a store is closed and opened again, as Prometheus expects it of counters.
type stores struct {
	open iter.Seq[*namespaces.Lease]
}

// Describe implements [prometheus.Collector].
func (s *stores) Describe(descs chan<- *prometheus.Desc) {
	descs <- info
	for _, list := range [][]metric{plain, byCause, byForm, byReason} {
		for _, m := range list {
			descs <- m.desc
		}
	}
}

// Collect implements [prometheus.Collector].
func (s *stores) Collect(out chan<- prometheus.Metric) {
	for lease := range s.open {
		ns, st := lease.Namespace(), lease.Store().Stats()
		out <- prometheus.MustNewConstMetric(info, prometheus.GaugeValue, 1, ns.ID, ns.Title)
		for _, list := range [][]metric{plain, byCause, byForm, byReason} {
			for _, m := range list {
				m.collect(&st, func(v float64, label ...string) {
					out <- prometheus.MustNewConstMetric(m.desc, m.kind, v, append([]string{ns.ID}, label...)...)
				})
			}
		}
	}
}

var info = prometheus.NewDesc("firn_namespace_info", "A namespace whose store is open; always 1.",
	[]string{"namespace", "title"}, nil)

// metric is one of a namespace.
type metric struct {
	desc    *prometheus.Desc
	kind    prometheus.ValueType
	collect func(st *engine.Stats, add func(v float64, label ...string))
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("firn_"+name, help, append([]string{"namespace"}, labels...), nil)
}

// plain are those with one value for each namespace.
var plain = []metric{
	value("keys", "Live keys.", func(st *engine.Stats) int64 { return st.Keys }),
	value("live_bytes", "Bytes of key, metadata and value of the live pairs, uncompressed.",
		func(st *engine.Stats) int64 { return st.Bytes }),
	value("disk_bytes", "Bytes that the files take on disk.", func(st *engine.Stats) int64 { return st.DiskBytes }),
	value("tombstones", "Records of deletes on disk.", func(st *engine.Stats) int64 { return st.Tombstones }),
	value("index_bytes", "Memory of the index.", func(st *engine.Stats) int64 { return st.IndexBytes }),
	value("key_lists_bytes", "Memory of lists of keys.", func(st *engine.Stats) int64 { return st.KeyLogBytes }),
	value("cache_bytes", "Memory of the cache.", func(st *engine.Stats) int64 { return st.CacheBytes }),
	counter("cache_hits_total", "Reads that the cache answered.", func(st *engine.Stats) int64 { return st.CacheHits }),
	counter("cache_misses_total", "Reads that the cache did not answer.",
		func(st *engine.Stats) int64 { return st.CacheMisses }),
	counter("written_records_total", "Puts and deletes that were written.",
		func(st *engine.Stats) int64 { return st.Writes }),
	counter("written_bytes_total", "Bytes of key, metadata and value that were put.",
		func(st *engine.Stats) int64 { return st.WrittenBytes }),
	counter("commit_groups_total", "Groups of writers that shared a sync.",
		func(st *engine.Stats) int64 { return st.Groups }),
	counter("syncs_total", "Syncs of the log.", func(st *engine.Stats) int64 { return st.Syncs }),
	duration("sync_seconds_total", "Time that syncs of the log took.", prometheus.CounterValue,
		func(st *engine.Stats) time.Duration { return st.SyncTime }),
	duration("longest_sync_seconds", "Time that the longest sync of the log took.", prometheus.GaugeValue,
		func(st *engine.Stats) time.Duration { return st.LongestSync }),
	counter("log_bytes_total", "Bytes that were written to the log, and to segments of large values.",
		func(st *engine.Stats) int64 { return st.LogBytes }),
	value("compaction_paused", "1 while compaction is paused.",
		func(st *engine.Stats) int64 { return one(st.Compaction.Paused) }),
	value("compaction_delays_writers", "1 while writers are slowed down, for compaction to keep up.",
		func(st *engine.Stats) int64 { return one(st.Compaction.Delayed) }),
	value("compaction_failed", "1 if the last compaction failed.",
		func(st *engine.Stats) int64 { return one(st.Compaction.LastError != "") }),
	value("compaction_victims", "Segments that are being rewritten.",
		func(st *engine.Stats) int64 { return int64(len(st.Compaction.Victims)) }),
	counter("compaction_read_bytes_total", "Bytes of segments that were rewritten.",
		func(st *engine.Stats) int64 { return st.Compaction.ReadBytes }),
	counter("compaction_freed_bytes_total", "Bytes on disk of segments that compaction removed.",
		func(st *engine.Stats) int64 { return st.Compaction.FreedBytes }),
	counter("compaction_removed_segments_total", "Segments that compaction removed.",
		func(st *engine.Stats) int64 { return st.Compaction.Removed }),
	counter("compaction_kept_records_total", "Puts that compaction wrote again.",
		func(st *engine.Stats) int64 { return st.Compaction.Kept }),
	counter("compaction_dropped_records_total", "Puts that compaction dropped, as they were no longer live.",
		func(st *engine.Stats) int64 { return st.Compaction.Dropped }),
	counter("compaction_dropped_tombstones_total", "Records of deletes that compaction dropped.",
		func(st *engine.Stats) int64 { return st.Compaction.Tombstones }),
}

func value(name, help string, of func(*engine.Stats) int64) metric {
	return metric{describe(name, help), prometheus.GaugeValue, func(st *engine.Stats, add func(float64, ...string)) {
		add(float64(of(st)))
	}}
}

func counter(name, help string, of func(*engine.Stats) int64) metric {
	m := value(name, help, of)
	m.kind = prometheus.CounterValue
	return m
}

func duration(name, help string, kind prometheus.ValueType, of func(*engine.Stats) time.Duration) metric {
	return metric{describe(name, help), kind, func(st *engine.Stats, add func(float64, ...string)) {
		add(of(st).Seconds())
	}}
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

var byCause = []metric{
	garbage("garbage_records", "Versions that are on disk but no longer live, by cause.",
		func(c engine.Count) int64 { return c.Records }),
	garbage("garbage_bytes", "Bytes of key, metadata and value of versions that are no longer live, by cause.",
		func(c engine.Count) int64 { return c.Bytes }),
}

func garbage(name, help string, of func(engine.Count) int64) metric {
	return metric{describe(name, help, "cause"), prometheus.GaugeValue, func(st *engine.Stats, add func(float64, ...string)) {
		add(float64(of(st.Garbage.Overwritten)), "overwritten")
		add(float64(of(st.Garbage.Deleted)), "deleted")
		add(float64(of(st.Garbage.Expired)), "expired")
	}}
}

var byForm = []metric{{
	describe("segments", "Segments, by form.", "form"), prometheus.GaugeValue,
	func(st *engine.Stats, add func(float64, ...string)) {
		forms := map[string]int{}
		for _, segment := range st.Segments {
			forms[segment.Form]++
		}
		for form, n := range forms {
			add(float64(n), form)
		}
	},
}}

// byReason are those of compaction. What it has not done yet has no value.
var byReason = []metric{
	{
		describe("compaction_running", "1 while segments are rewritten for that reason.", "reason"), prometheus.GaugeValue,
		func(st *engine.Stats, add func(float64, ...string)) {
			if reason := st.Compaction.Running; reason != "" {
				add(1, reason)
			}
		},
	},
	reasons("compaction_jobs_total", "Compactions that were done.",
		func(c *engine.CompactionStats) map[string]int64 { return c.Jobs }),
	reasons("compaction_made_bytes_total", "Bytes on disk of segments that compaction wrote.",
		func(c *engine.CompactionStats) map[string]int64 { return c.Made }),
}

func reasons(name, help string, of func(*engine.CompactionStats) map[string]int64) metric {
	return metric{describe(name, help, "reason"), prometheus.CounterValue, func(st *engine.Stats, add func(float64, ...string)) {
		for reason, n := range of(&st.Compaction) {
			add(float64(n), reason)
		}
	}}
}
