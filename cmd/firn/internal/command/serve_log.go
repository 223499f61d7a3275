package command

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// logFlags say how a server logs.
type logFlags struct {
	format, level string
}

func (f *logFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.format, "log-format", "text", "`format` of the log on standard error: text or json")
	flags.StringVar(&f.level, "log-level", "info", "least `level` that is logged: debug, info, warn or error")
}

// logger returns the logger of the flags.
func (f *logFlags) logger(cmd *cobra.Command, to io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, usage(cmd, "--log-level %q: it is debug, info, warn or error", f.level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(to, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(to, options)), nil
	}
	return nil, usage(cmd, "--log-format %q: it is text or json", f.format)
}
