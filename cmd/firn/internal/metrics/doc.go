// Package metrics tells Prometheus what a server does and what its stores hold.
// Requests are counted as they are answered; everything else is asked for when
// the metrics are, of stores that are open.
package metrics
