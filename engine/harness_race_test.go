//go:build race

package engine

// underRace says that the race detector makes everything some ten times slower:
// tests that try many places try fewer then.
const underRace = true
