package command

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "version prints the version of firn, and what it was built from and for.",
		Example: `  firn version --json`,
		Args:    positional(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.json {
				return a.printJSON(version())
			}
			return a.printLine("firn " + version().String())
		},
	}
}

type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // the tree was not that of the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// version returns what the linker has noted in the program.
func version() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b build) String() string {
	commit := ""
	if b.Commit != "" {
		commit = " commit " + b.Commit[:min(len(b.Commit), 12)]
	}
	if b.Modified {
		commit += " (modified)"
	}
	return fmt.Sprintf("%s%s %s %s", b.Version, commit, b.Go, b.Platform)
}
