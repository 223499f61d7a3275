//go:build !race

package namespaces

const underRace = false
