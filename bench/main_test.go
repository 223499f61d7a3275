package bench

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// childArg makes this program a child of itself.
const childArg = "bench-child"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		if err := Child(context.Background(), []Engine{Firn}, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
