// Package workload is what the stores under torture are written with, and what
// they have to hold after it.
//
// Every key belongs to one writer. What a writer writes as its step n follows
// from the seed, so that whoever knows how far it came knows what has to be
// there: a [Ledger] does. No two puts are of the same value, but for values of a
// few bytes.
package workload
