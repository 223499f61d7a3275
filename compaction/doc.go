// Package compaction decides which segments of a store to rewrite and when, and
// rewrites them.
//
// The decision is a pure function of what is known about the segments ([Pick]),
// so that years of traffic can be simulated in seconds. Tests do that for a store
// that is modelled by counts and leaves half a core to compaction. Over a year,
// the table shows disk use as a multiple of what the live records take packed, at
// a target of 1.3, and bytes written to disk as a multiple of those written to the
// log:
//
//	                                              mean  most  at rest  writes
//	uniform overwrites, without a pause           1.45  1.46     1.20     2.4
//	skewed overwrites, without a pause            1.45  1.46     1.20     2.1
//	overwrites by day, in bursts of 36,000/s      1.25  1.78     1.19     2.3
//	records that live from an hour to 30 days     1.09  1.13     1.12     1.9
//	deletes at an age of 7, 30 and 90 days        1.46  1.46     1.21     2.1
//	a disk that fills up every week               1.23  1.46     1.19     4.4
//
// The first two days, with hardly anything in the store, are left out.
package compaction
