package engine

import (
	"crypto/rand"
	"encoding/binary"
)

// randomBytes fills b with bytes that nobody can guess. It does not fail: see
// crypto/rand.
func randomBytes(b []byte) { _, _ = rand.Read(b) }

func randomUint64() uint64 {
	var b [8]byte
	randomBytes(b[:])
	return binary.LittleEndian.Uint64(b[:])
}
