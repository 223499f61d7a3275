// Package wire reads and writes the JSON in which the command line exchanges
// pairs and keys with its user: the shapes of the bulk API of Workers KV, as a
// stream. Memory is bounded by the largest single entry, whatever the length
// of the input.
//
// An input is a JSON array, or a sequence of JSON values with or without
// newlines between them (NDJSON); the first character decides.
package wire
