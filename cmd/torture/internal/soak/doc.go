// Package soak does to a store all that a program and an operator do, and more, at
// random, and compares it with a model all the while.
package soak
