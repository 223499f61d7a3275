// Command firn works with Firn stores from the command line.
package main

import (
	"os"

	"github.com/firnkv/firn/cmd/firn/internal/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
