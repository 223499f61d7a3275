package engine

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine stays when all tests are done: every store is
// closed by then, and every goroutine of a store has an owner who waits for it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
