package source

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine stays when all tests are done. One that is in a
// read when its source is given up ends with that read.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
