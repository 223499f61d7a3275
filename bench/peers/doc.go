// Package peers compares Firn with the stores that Go programs would otherwise
// embed: Pebble, Badger, goleveldb and bbolt. It is a module of its own, so that
// what it measures never reaches the go.mod of those who import the engine.
//
//	go run ./cmd/peers -out report           everything, in less than half an hour on 2 cores
//	go run ./cmd/peers -out report -quick    smaller, in less than three minutes
//	go run ./cmd/peers -help                 what else there is
//	go test                                  everything once, tiny
//
// Package bench has the workloads and says how they are kept fair; [Engines] says
// how each engine is configured, and so does the report.
//
// # Benchmarks
//
// Two of the workloads are also Go benchmarks, for profiles and for many keys:
//
//	go test -bench Get -keys 1000000 -cpuprofile cpu.out
//	go test -bench Overwrite/uniform -engines firn,badger
//
// Each runs on the engines one right after the other, under names that end in the
// engine: benchstat -col /engine compares them. To repeat, loop over go test:
// -count would repeat one engine before the other gets its turn. Stores are made in
// the directory for temporary files; set TMPDIR to measure another disk. On a busy
// machine, cpu-ns/op, the processor time of the whole process, is steadier than the
// time that passed.
//
//   - Get: reads of a filled store that has done its background work; every value is
//     verified by its length.
//   - Overwrite: a filled store is overwritten ten times over, and its disk use
//     watched, until half a minute after the last put; then it is compacted by
//     hand, to see what it takes packed. Every put is timed.
package peers
