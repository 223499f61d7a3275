// Package source reads the files and the standard input that commands are
// given: interruptible, decompressed if need be, with a measure of how far the
// reading is.
package source
