// Command torture kills, damages and loads stores of package engine at random, and
// checks that they hold what they have to.
package main

import (
	"os"

	"github.com/firnkv/firn/cmd/torture/internal/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
