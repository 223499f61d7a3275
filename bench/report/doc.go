// Package report is what a run of benchmarks results in: as JSON, which is a
// [Report], as Markdown, as one HTML page with plots, and as plots in SVG. It says
// which goals of the project are met, and compares two reports.
//
// # Format
//
// The JSON of a report has a version. It goes up when members change their meaning
// or go away; members may be added without it. Times are in seconds, sizes in
// bytes, rates per second, and each metric names its unit.
//
// A metric has a sample for each round, in the order of the rounds. A table shows
// the median of them and in brackets the least and the greatest. Absolute figures
// drift from machine to machine and from minute to minute: what means something is
// ratios within a report, and differences between reports of the same machine that
// [Compare] calls significant.
package report
