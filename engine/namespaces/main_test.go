package namespaces

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine of a store stays when all tests are done.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
