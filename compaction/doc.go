// Package compaction decides which segments of a store to rewrite and when, and
// rewrites them.
//
// The decision is a pure function of what is known about the segments ([Pick]),
// so that years of traffic can be simulated in seconds.
package compaction
