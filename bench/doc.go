// Package bench measures stores: how fast they are, how big, and how steady. The
// command "firn bench" measures Firn with it, and module bench/peers compares Firn
// with other stores.
//
// # Fairness
//
// Every engine gets the same data, the same operations in the same order, as many
// threads, the same durability, and 64 MiB of cache. A round of a workload goes
// from engine to engine, beginning with another one each time, so that all of them
// suffer alike if the machine is slow for a while. Each round opens a store,
// warms up, and measures; a store that a round changes is a fresh copy. Values that
// are read are verified by their length. Small ones are read in place by the engines
// that can; of large ones every byte is taken in.
//
// Nothing waits for background work, with two exceptions: before reads are
// measured, each engine has brought its store into the state in which it reads
// best, and what a store takes "packed" is measured in that state.
//
// # Workloads
//
// [Workloads] lists them. Keys are chosen by package dataset: uniformly, or by
// Zipf's law with the exponent 0.99 as in YCSB. Every put or get is timed where it
// takes long enough, otherwise one of eight.
//
// Working sets larger than memory are measured if memory is limited, for example
// by
//
//	GOMEMLIMIT=450MiB systemd-run --user --scope -p MemoryMax=900M firn bench --keys 4000000 --random --only ^get/
//
// which limits the page cache too. The report tells the limit. All engines run in one
// process, and Go would let the garbage of one grow into the memory of the next:
// hence the other limit. A run of Firn with ten million keys takes 1.1 GB without the
// page cache, and loading four million pairs into Badger takes more than 900 MB.
//
// # Reading a report
//
// Package report documents it. Figures drift from machine to machine and from
// minute to minute: only ratios within one run mean something, and the rate of
// syncs that the report begins with tells what the disk gave; what zstd does alone, what
// the processor gave for large values.
package bench
