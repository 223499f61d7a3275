// Package peers measures Firn beside Pebble, the store that Go programs would
// otherwise embed. It is a module of its own, so that what it measures never
// reaches the go.mod of those who import the engine.
//
//	go test -bench . -keys 1000000          everything
//	go test -bench 'Get/uniform' -cpu 2     what the pattern says
//	go test                                 every benchmark once, tiny
//
// Each workload runs on both engines, one right after the other, under names
// that end in the engine: benchstat -col /engine compares them. Figures drift
// from machine to machine and from minute to minute. So only ratios within one
// run mean something, and BenchmarkDisk tells what the disk gave at that time.
// To repeat, loop over go test: -count would repeat one engine before the other
// gets its turn. Stores are made in the directory for temporary files; set
// TMPDIR to measure another disk. On a busy machine, cpu-ns/op, the processor time
// of the whole process, is steadier than the time that passed.
//
// # Workloads
//
// Keys have 17 bytes. Values are JSON objects of 435 bytes on average, half of
// them below 288; [Data] has more. Stores have -keys pairs, and everything stays
// in the page cache at the default of a million.
//
//   - Put/durable: puts by so many writers, each on disk when it returns.
//   - Fill: a new store is filled in random order, nothing synced. One operation
//     is a put. Closing is not part of ns/op and puts/s, but of closed-puts/s and
//     of cpu-ns/op. The files are measured after it, as du would.
//   - Get/uniform, Get/absent, Get/zipf: reads of the filled store; every value
//     is verified by its length.
//   - Mixed: as many puts as gets, by Zipf's law, nothing synced.
//   - Overwrite: a filled store is overwritten ten times over, and its disk use
//     watched, until half a minute after the last put; then it is compacted by
//     hand, to see what it takes packed. Every put is timed.
//   - List: pages of up to 1,000 keys by prefix, to the end of the prefix.
//   - Open/clean and Open/crash: after a clean close, and after SIGKILL.
//   - Memory: what a process grows by when it opens the store.
//
// Zipf's law has the exponent 0.99, as in YCSB. Latencies are those of every
// eighth operation.
//
// # Configuration
//
// Both have 64 MiB of cache. Firn has the defaults otherwise. Pebble is
// configured as its own benchmark tool (cmd/pebble) does for CockroachDB's
// workload: the newest format, memtables of 64 MiB and up to four of them, L0
// compacted from two sublevels on and never stopping writes, 64 MiB in the base
// level, one to three compactions at once, Bloom filters of 10 bits a key. It
// differs where that favors point reads: filters in all levels, so that an
// absent key costs no block, and blocks of the default 4 KiB instead of 32.
// Compression is the default, Snappy. Puts are pebble.Sync or pebble.NoSync.
// Values are read in place, where Firn returns a copy. Absent keys are looked up
// by an iterator that uses the filters of the last level, which Get leaves out.
// Before reads are measured, Pebble compacts everything, so that it reads at its
// best.
package peers
