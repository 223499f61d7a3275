//go:build race

package namespaces

// underRace says that the race detector makes everything some ten times slower.
const underRace = true
